"""The service itself: whether it works, what its API is, and what isn't there."""

from typing import Any

from django.db import DatabaseError, connection
from django.http import Http404
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.answers import Health
from journeys.api.base import PublicView, answer


class HealthView(PublicView):
    @schema.operation("Whether the service works", answers={200: Health, 503: Health}, login=False, tags=("service",))
    def get(self, request: Request) -> Response:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except DatabaseError:
            return answer(Health(status="unavailable"), 503)
        return answer(Health(status="ok"))


class SchemaView(SpectacularAPIView):
    authentication_classes: Any = ()


class DocsView(SpectacularSwaggerSplitView):
    """Its script is a file of its own, as a strict Content-Security-Policy wants."""

    authentication_classes: Any = ()
    url_name = "journeys-api-schema"


class NothingHere(PublicView):
    """Whatever else is asked below /api/: 404 as JSON, with DEBUG as without."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404
