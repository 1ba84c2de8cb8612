"""/api/v1/events and /api/v1/journeys/trigger: what happened, reported by other systems."""

from datetime import datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.answers import EventAnswer, EventAnswers, FieldError, Triggered
from journeys.api.base import ApiView, answer
from journeys.api.bodies import EventBodies, EventBody, TriggerBody
from journeys.api.errors import Gone, refuse
from journeys.api.reading import BatchJSONParser, parse, refuse_unstorable
from journeys.authoring.faults import Faulty
from journeys.engine import wake
from journeys.engine.clock import database_clock
from journeys.engine.ingest import Answer, Incoming, ingest
from journeys.engine.triggers import REPORTED

MAX_EVENTS = 1_000


class TriggerView(ApiView):
    needs = {"POST": ("journeys.add_event",)}

    @schema.operation(
        "Start the journeys of a trigger for one person",
        body=TriggerBody,
        answers={200: Triggered},
        refuses=(410,),
        tags=("events",),
    )
    def post(self, request: Request) -> Response:
        """An unknown `user_id` makes the contact. Repeated, it starts nothing twice."""
        body = parse(TriggerBody, request.data)
        if body.trigger_type not in REPORTED:
            raise refuse(
                "trigger_type", f"there is no trigger {body.trigger_type!r:.60}; there are {', '.join(REPORTED)}"
            )
        event = EventBody.model_construct(
            user_id=body.user_id,
            name=body.trigger_type,
            properties=body.context,
            message_id=body.message_id,
            occurred_at=body.occurred_at,
        )
        now = database_clock()
        (ingested,) = _ingested([_incoming(event, now)], now)
        if ingested.status == "refused":
            raise Gone
        return answer(
            Triggered(trigger_type=body.trigger_type, user_id=body.user_id, started_journeys=list(ingested.started))
        )


class EventsView(ApiView):
    needs = {"POST": ("journeys.add_event",)}
    parser_classes = (BatchJSONParser,)

    @schema.operation("Report events", body=EventBodies, answers={200: EventAnswers}, refuses=(410,), tags=("events",))
    def post(self, request: Request) -> Response:
        """One event, or up to 1,000: then there is an answer for each, in order, and the good ones are kept."""
        if isinstance(request.data, list):
            return answer(EventAnswers(_many(request.data)))
        now = database_clock()
        (ingested,) = _ingested([_incoming(parse(EventBody, request.data), now)], now)
        if ingested.status == "refused":
            raise Gone
        return answer(EventAnswers(EventAnswer.of(ingested)))


def _many(raw: list[Any]) -> list[EventAnswer]:
    if len(raw) > MAX_EVENTS:
        raise refuse("", f"must have at most {MAX_EVENTS:,} events")
    now = database_clock()
    answers: list[EventAnswer | None] = []
    good: list[Incoming] = []
    for body in raw:
        try:
            refuse_unstorable(body)
            good.append(_incoming(parse(EventBody, body), now))
            answers.append(None)
        except Faulty as error:
            answers.append(_invalid(error))
    ingested = iter(_ingested(good, now))
    return [found if found is not None else EventAnswer.of(next(ingested)) for found in answers]


def _invalid(error: Faulty) -> EventAnswer:
    errors = [FieldError(field=fault.path, message=fault.message) for fault in error.faults]
    return EventAnswer(status="invalid", errors=errors)


def _incoming(body: EventBody, now: datetime) -> Incoming:
    return Incoming(
        user_id=body.user_id,
        name=body.name,
        properties=body.properties,
        message_id=body.message_id,
        occurred_at=body.happened(now),
    )


def _ingested(events: list[Incoming], now: datetime) -> list[Answer]:
    answers = ingest(events, now) if events else []
    if any(found.makes_work for found in answers):
        wake.after_commit()
    return answers
