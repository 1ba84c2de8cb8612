"""Starting people by hand: chosen, counted, confirmed, and then taken in like any others who enter together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db.models import QuerySet

from journeys.engine.audience import SHOWN_WITHIN, audience, roomy
from journeys.engine.flows import flows_of, lock_journeys
from journeys.engine.intakes import BY_HAND, fill, open_intake
from journeys.logic.flow import Flow
from journeys.models import Contact, Intake, Segment

TOLERANCE = 100
"""Of so many people one may have come or gone since they were counted: large segments never stand still."""
FILL_SECONDS = 60


class CannotStart(Exception):
    """This journey starts nobody by hand, or not now."""


class KeyUsed(Exception):
    """Another request had this key: its people are not these."""

    def __init__(self, key: str, people: int) -> None:
        super().__init__(f"the key {key!r:.60} was used to start {people:,} people: take another for others")


class AudienceChanged(Exception):
    """There are not as many as were confirmed."""

    def __init__(self, count: int, expected: int) -> None:
        super().__init__(f"there are {count:,} people now, not {expected:,}: look again")
        self.count = count


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is meant: those of the `user_ids` whom we know, or those in a segment."""

    user_ids: Sequence[str] = ()
    segment: str = ""

    def people(self, now: datetime) -> QuerySet[Contact]:
        """Raises Segment.DoesNotExist."""
        if self.segment:
            return audience(Segment.objects.get(name=self.segment).condition, now)
        return Contact.objects.filter(user_id__in=self.user_ids)


@dataclass(frozen=True, slots=True)
class Request:
    """`key` makes a repetition of the request the same one; `properties` are what the event brings."""

    choice: Choice
    count: int
    key: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


def how_many(journey_id: UUID, choice: Choice, now: datetime) -> int:
    """How many people that would start. Raises CannotStart, TooSlow and Segment.DoesNotExist."""
    with roomy(SHOWN_WITHIN):
        _check(journey_id)
        return choice.people(now).count()


def start(journey_id: UUID, request: Request, now: datetime) -> int:
    """Write down that these people are to start; how many they are. The caller wakes a worker, which starts them.

    A request that was made before changes nothing, and gets the first answer. Raises CannotStart, AudienceChanged,
    KeyUsed, TooSlow and Segment.DoesNotExist.
    """
    key = f"{BY_HAND}:{request.key or uuid4()}"
    with roomy(FILL_SECONDS):
        _check(journey_id)
        intake = open_intake(journey_id, key, request.properties, now)
        if intake is None:
            before = Intake.objects.get(journey_id=journey_id, key=key).people
            if abs(before - request.count) > request.count // TOLERANCE:
                raise KeyUsed(request.key, before)
            return before
        count = fill(intake, request.choice.people(now), now)
        if abs(count - request.count) > request.count // TOLERANCE:
            raise AudienceChanged(count, request.count)
        return count


def _check(journey_id: UUID) -> None:
    journey = lock_journeys({journey_id}).get(journey_id)
    if journey is None:
        raise CannotStart("there is no such journey")
    flow = flows_of({journey.version_id})[journey.version_id]
    if not isinstance(flow, Flow) or flow.trigger_type != BY_HAND:
        raise CannotStart("this journey is not started by hand: its trigger is another one")
    if not journey.is_active:
        raise CannotStart("this journey is switched off: it starts nobody")
