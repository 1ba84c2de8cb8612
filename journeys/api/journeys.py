"""/api/v1/journeys: what operators write."""

from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.base import ApiView, answer, by
from journeys.api.bodies import JourneyPatch
from journeys.api.errors import refuse
from journeys.api.journey_answers import JourneyList, JourneyOut
from journeys.api.paging import page
from journeys.authoring.bodies import JourneyBody
from journeys.authoring.document import parse
from journeys.authoring.publish import create_journey, delete_journey, patch_journey, set_active
from journeys.engine.clock import database_clock
from journeys.engine.triggers import TRIGGERS
from journeys.models import Journey, JourneyStep

ORDER = ("-priority", "name")
TAGS = ("journeys",)


class JourneysView(ApiView):
    needs = {"GET": ("journeys.view_journey",), "POST": ("journeys.add_journey",)}

    @schema.operation(
        "List journeys",
        answers={200: JourneyList},
        refuses=(400, 404),
        parameters=(
            OpenApiParameter("trigger_type", str, enum=list(TRIGGERS)),
            OpenApiParameter("is_active", bool),
            *schema.PAGE,
        ),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        found, links = page(request, _filtered(request), ORDER, ("trigger_type", "is_active"))
        return answer(JourneyList([JourneyOut.of(journey) for journey in found]), headers=links)

    @schema.operation("Create a journey", body=JourneyBody, answers={201: JourneyOut}, refuses=(409,), tags=TAGS)
    def post(self, request: Request) -> Response:
        journey = create_journey(parse(request.data), by(request), database_clock())
        return answer(JourneyOut.of(_whole().get(id=journey.id)), 201, {"Location": f"{request.path}/{journey.id}"})


class JourneyView(ApiView):
    needs = {
        "GET": ("journeys.view_journey",),
        "PATCH": ("journeys.change_journey",),
        "DELETE": ("journeys.delete_journey",),
    }

    @schema.operation("Get a journey", answers={200: JourneyOut}, refuses=(404,), tags=TAGS)
    def get(self, request: Request, journey_id: UUID) -> Response:
        return answer(JourneyOut.of(_found(journey_id)))

    @schema.operation(
        "Change a journey",
        body=JourneyPatch,
        answers={200: JourneyOut},
        refuses=(404, 409),
        tags=TAGS,
    )
    def patch(self, request: Request, journey_id: UUID) -> Response:
        """What the body names is changed, the steps as a whole. Changes are published at once."""
        _change(journey_id, request.data, request)
        return answer(JourneyOut.of(_found(journey_id)))

    @schema.operation("Delete a journey and its runs", answers={204: None}, refuses=(404, 409), tags=TAGS)
    def delete(self, request: Request, journey_id: UUID) -> Response:
        """Refused while another journey has a step that starts it."""
        try:
            delete_journey(journey_id)
        except Journey.DoesNotExist as error:
            raise Http404 from error
        return Response(status=204)


def _change(journey_id: UUID, changes: Any, request: Request) -> None:
    if not isinstance(changes, dict):
        raise refuse("", "must be an object")
    try:
        if changes.keys() == {"is_active"} and isinstance(changes["is_active"], bool):
            set_active(journey_id, changes["is_active"], by(request), database_clock())
        else:
            patch_journey(journey_id, changes, by(request), database_clock())
    except Journey.DoesNotExist as error:
        raise Http404 from error


def _whole() -> QuerySet[Journey]:
    steps = Prefetch("steps", queryset=JourneyStep.objects.filter(archived_at=None))
    return Journey.objects.select_related("live_version").prefetch_related(steps)


def _found(journey_id: UUID) -> Journey:
    journey = _whole().filter(id=journey_id).first()
    if journey is None:
        raise Http404
    return journey


def _filtered(request: Request) -> QuerySet[Journey]:
    journeys = _whole().defer("live_version__definition")
    trigger_type = request.query_params.get("trigger_type")
    if trigger_type is not None:
        if trigger_type not in TRIGGERS:
            raise refuse("trigger_type", f"there is no trigger {trigger_type!r:.60}; there are {', '.join(TRIGGERS)}")
        journeys = journeys.filter(trigger_type=trigger_type)
    is_active = request.query_params.get("is_active")
    if is_active is not None:
        if is_active not in ("true", "false"):
            raise refuse("is_active", "must be true or false")
        journeys = journeys.filter(is_active=is_active == "true")
    return journeys
