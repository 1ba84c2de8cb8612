"""/api/v1/breakers: destinations that fail, or want nothing for a while."""

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.answers import BreakerList, BreakerOut
from journeys.api.base import ApiView, answer
from journeys.api.paging import page
from journeys.engine import breakers
from journeys.engine.clock import database_clock
from journeys.models import Breaker

TAGS = ("breakers",)
DESTINATION = OpenApiParameter(
    "destination",
    {"type": "string", "minLength": 1, "maxLength": 300, "pattern": r"^[^/\x00-\x1f\x7f]+$"},
    OpenApiParameter.PATH,
)


class BreakersView(ApiView):
    needs = {"GET": ("journeys.view_breaker",)}

    @schema.operation(
        "List breakers", answers={200: BreakerList}, refuses=(400, 404), parameters=schema.PAGE, tags=TAGS
    )
    def get(self, request: Request) -> Response:
        """Destinations that failed lately, those that are closed again included, by name."""
        found, links = page(request, Breaker.objects.all(), ("destination",))
        now = database_clock()
        return answer(BreakerList([BreakerOut.of(breaker, now) for breaker in found]), headers=links)


class BreakerView(ApiView):
    needs = {"DELETE": ("journeys.delete_breaker",)}

    @schema.operation("Close a breaker", answers={204: None}, refuses=(404,), parameters=(DESTINATION,), tags=TAGS)
    def delete(self, request: Request, destination: str) -> Response:
        """Forgets the failures, and what the destination asked for: what comes next is sent there."""
        if not breakers.forget(destination):
            raise Http404
        return Response(status=204)
