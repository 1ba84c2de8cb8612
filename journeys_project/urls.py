"""Where everything is found."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from journeys.api import probes

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/", include("journeys.api.urls")),
    path("healthz", probes.healthz),
    path("readyz", probes.readyz),
    path("metrics", probes.metrics),
]
