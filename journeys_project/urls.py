"""Where everything is found."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from journeys.api import probes

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("healthz", probes.healthz),
    path("readyz", probes.readyz),
    path("metrics", probes.metrics),
]
