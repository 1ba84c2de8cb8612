"""/api/v1/journeys/{id}/start: starting many people by hand."""

from uuid import UUID

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.answers import DecidedOut
from journeys.api.base import ApiView, answer
from journeys.api.bodies import StartBody
from journeys.api.errors import refuse
from journeys.api.reading import parse
from journeys.engine import manual, wake
from journeys.engine.clock import database_clock
from journeys.models import Journey, Segment


class StartView(ApiView):
    needs = {"POST": ("journeys.change_journey", "journeys.view_contact")}

    @schema.operation(
        "Start people by hand",
        body=StartBody,
        answers={200: DecidedOut},
        refuses=(404, 409, 503),
        tags=("journeys",),
    )
    def post(self, request: Request, journey_id: UUID) -> Response:
        """Of a journey whose trigger is `manual`: a list of people, or all who are in a segment.

        Without `count` nothing is done, and the answer says how many people it would be: those of the list whom we
        know. Send that number as `count` to start them; where more than one in a hundred came or went since, nothing is
        done either. They start within a minute or two, many thousand a minute. With a `key`, a repetition changes
        nothing.
        """
        if not Journey.objects.filter(id=journey_id).exists():
            raise Http404
        body, now = parse(StartBody, request.data), database_clock()
        choice = manual.Choice(tuple(body.user_ids or ()), body.segment or "")
        try:
            if body.count is None:
                return answer(DecidedOut(count=manual.how_many(journey_id, choice, now), done=False))
            asked = manual.Request(choice, body.count, body.key or "", body.properties)
            count = manual.start(journey_id, asked, now)
        except Segment.DoesNotExist as error:
            raise refuse("segment", f"there is no segment {body.segment!r:.110}") from error
        wake.take_in_after_commit()
        return answer(DecidedOut(count=count, done=True))
