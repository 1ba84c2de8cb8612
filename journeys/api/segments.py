"""/api/v1/segments: named conditions over contacts, how many they hold for, and whom."""

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.audience_answers import MemberList, MemberOut, SegmentList, SegmentOut, SizeOut
from journeys.api.base import ApiView, answer
from journeys.api.bodies import SegmentPatch
from journeys.api.errors import refuse
from journeys.api.paging import page
from journeys.authoring.segments import SegmentBody, change_segment, create_segment, delete_segment, parse_segment
from journeys.engine.audience import SHOWN_WITHIN, audience, roomy, size
from journeys.engine.clock import database_clock
from journeys.models import Segment

TAGS = ("segments",)
VIEW = ("journeys.view_segment",)


class SegmentsView(ApiView):
    needs = {"GET": VIEW, "POST": ("journeys.add_segment",)}

    @schema.operation(
        "List segments", answers={200: SegmentList}, refuses=(400, 404), parameters=schema.PAGE, tags=TAGS
    )
    def get(self, request: Request) -> Response:
        found, links = page(request, Segment.objects.all(), ("name",))
        return answer(SegmentList([SegmentOut.of(segment) for segment in found]), headers=links)

    @schema.operation("Create a segment", body=SegmentBody, answers={201: SegmentOut}, refuses=(409,), tags=TAGS)
    def post(self, request: Request) -> Response:
        segment = create_segment(parse_segment(request.data), database_clock())
        return answer(SegmentOut.of(segment), 201, {"Location": f"{request.path}/{segment.id}"})


class SegmentView(ApiView):
    needs = {"GET": VIEW, "PATCH": ("journeys.change_segment",), "DELETE": ("journeys.delete_segment",)}

    @schema.operation("Get a segment", answers={200: SegmentOut}, refuses=(404,), tags=TAGS)
    def get(self, request: Request, segment_id: UUID) -> Response:
        return answer(SegmentOut.of(_found(segment_id)))

    @schema.operation("Change a segment", body=SegmentPatch, answers={200: SegmentOut}, refuses=(404, 409), tags=TAGS)
    def patch(self, request: Request, segment_id: UUID) -> Response:
        """What the body names is changed. The name of one that a journey uses stays."""
        changes: Any = request.data
        if not isinstance(changes, dict):
            raise refuse("", "must be an object")
        try:
            return answer(SegmentOut.of(change_segment(segment_id, changes, database_clock())))
        except Segment.DoesNotExist as error:
            raise Http404 from error

    @schema.operation("Delete a segment", answers={204: None}, refuses=(404, 409), tags=TAGS)
    def delete(self, request: Request, segment_id: UUID) -> Response:
        """One that a journey uses stays."""
        try:
            delete_segment(segment_id)
        except Segment.DoesNotExist as error:
            raise Http404 from error
        return Response(status=204)


class SizeView(ApiView):
    needs = {"GET": VIEW}

    @schema.operation("How many are in a segment", answers={200: SizeOut}, refuses=(404, 503), tags=TAGS)
    def get(self, request: Request, segment_id: UUID) -> Response:
        """Counted now. 503 where that takes longer than ten seconds."""
        return answer(SizeOut(size=size(_found(segment_id).condition, database_clock())))


class MembersView(ApiView):
    needs = {"GET": ("journeys.view_segment", "journeys.view_contact")}

    @schema.operation(
        "List who is in a segment",
        answers={200: MemberList},
        refuses=(400, 404, 503),
        parameters=schema.PAGE,
        tags=TAGS,
    )
    def get(self, request: Request, segment_id: UUID) -> Response:
        """As of now, those who came first at the top."""
        segment = _found(segment_id)
        with roomy(SHOWN_WITHIN):
            found, links = page(request, audience(segment.condition, database_clock()), ("id",))
        return answer(MemberList([MemberOut.of(contact) for contact in found]), headers=links)


def _found(segment_id: UUID) -> Segment:
    segment = Segment.objects.filter(id=segment_id).first()
    if segment is None:
        raise Http404
    return segment
