"""/api/v1/frequency-caps: how many messages a person gets at most."""

from uuid import UUID

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.answers import CapList, CapOut
from journeys.api.base import ApiView, answer
from journeys.api.bodies import CapBody
from journeys.api.reading import parse
from journeys.authoring.caps import create_cap, delete_cap, save_cap
from journeys.engine.clock import database_clock
from journeys.models import FrequencyCap

TAGS = ("frequency caps",)


class CapsView(ApiView):
    needs = {"GET": ("journeys.view_frequencycap",), "POST": ("journeys.add_frequencycap",)}

    @schema.operation("List frequency caps", answers={200: CapList}, tags=TAGS)
    def get(self, request: Request) -> Response:
        return answer(CapList([CapOut.of(cap) for cap in FrequencyCap.objects.all()]))

    @schema.operation("Create a frequency cap", body=CapBody, answers={201: CapOut}, refuses=(409,), tags=TAGS)
    def post(self, request: Request) -> Response:
        """It holds for every message that is not written yet, and counts those that were."""
        cap = create_cap(parse(CapBody, request.data).document(), database_clock())
        return answer(CapOut.of(cap), 201, {"Location": f"{request.path}/{cap.id}"})


class CapView(ApiView):
    needs = {
        "GET": ("journeys.view_frequencycap",),
        "PUT": ("journeys.change_frequencycap",),
        "DELETE": ("journeys.delete_frequencycap",),
    }

    @schema.operation("Get a frequency cap", answers={200: CapOut}, refuses=(404,), tags=TAGS)
    def get(self, request: Request, cap_id: UUID) -> Response:
        cap = FrequencyCap.objects.filter(id=cap_id).first()
        if cap is None:
            raise Http404
        return answer(CapOut.of(cap))

    @schema.operation("Change a frequency cap", body=CapBody, answers={200: CapOut}, refuses=(404, 409), tags=TAGS)
    def put(self, request: Request, cap_id: UUID) -> Response:
        """The whole of it. Those who wait for a cap are looked at again at once."""
        try:
            cap = save_cap(cap_id, parse(CapBody, request.data).document(), database_clock())
        except FrequencyCap.DoesNotExist as error:
            raise Http404 from error
        return answer(CapOut.of(cap))

    @schema.operation("Delete a frequency cap", answers={204: None}, refuses=(404,), tags=TAGS)
    def delete(self, request: Request, cap_id: UUID) -> Response:
        if not delete_cap(cap_id, database_clock()):
            raise Http404
        return Response(status=204)
