"""Building the demo, and taking it away again. A database is the demo's own when the operator `demo` is in it."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Min

from journeys.authoring.caps import create_cap
from journeys.authoring.document import parse
from journeys.authoring.publish import create_journey, delete_journey
from journeys.authoring.segments import create_segment, parse_segment
from journeys.demo.documents import CAPS, JOURNEYS, SEGMENTS
from journeys.demo.people import DAYS, DemoPerson, Happening, happenings, people
from journeys.engine import cycle, housekeeping, rounds
from journeys.engine.detect import detect
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.queue import beaten_since
from journeys.models import (
    Contact,
    Detection,
    Device,
    Event,
    FrequencyCap,
    Journey,
    JourneyStep,
    RunStatus,
    Segment,
    Tag,
    Tally,
    TallyTotal,
    UserJourney,
)  # fmt: skip
from journeys.models.ids import new_id

SEED = 20_250_118
OPERATOR = "demo"
DETECTORS_AT = 6  # o'clock, UTC
ROUNDS_AT = (6, 9, 15)
"""When it is looked whom segments, dates and schedules start: each minute in life, and that would take long here."""
WORKER_SEEN = timedelta(seconds=10)
RESCORED = 8
SOON = 40
"""People who sign up in the last minutes, so that a newcomer sees the next steps happen."""


class NotOurs(Exception):
    """The database has something in it that the demo did not make."""


def is_ours() -> bool:
    return get_user_model().objects.filter(username=OPERATOR).exists()


def is_empty() -> bool:
    return not (Journey.objects.exists() or Contact.objects.exists())


def build(now: datetime) -> None:
    """Make the demo. Raises NotOurs in a database that has something else in it, and while a worker runs.

    A worker would run at once what the demo has due in its past.
    """
    if not is_empty():
        raise NotOurs("this database has journeys or contacts already; the demo wants an empty one")
    _refuse_while_working(now)
    chance = random.Random(SEED)  # noqa: S311 - a demo that is the same each time
    end = now.replace(second=0, microsecond=0)
    start = end - timedelta(days=DAYS)
    operator = get_user_model().objects.create_user(OPERATOR, is_active=False)
    everyone = people(start, chance)
    _store(everyone)
    for cap in CAPS:
        create_cap(cap, start)
    for segment in SEGMENTS:
        create_segment(parse_segment(segment), start)
    for document in JOURNEYS:
        create_journey(parse(document), operator, start)
    _live_through(happenings(everyone, start, end, chance), start, end, chance)
    _sign_up_just_now(everyone, end)
    housekeeping.minute(now)


def _refuse_while_working(now: datetime) -> None:
    if beaten_since("tick", now - WORKER_SEEN):
        raise NotOurs("a worker is running; stop it while the demo is made")


@transaction.atomic
def _store(everyone: list[DemoPerson]) -> None:
    contacts = [
        Contact(
            id=new_id(person.since),
            user_id=person.user_id,
            email=person.email,
            telegram_chat_id=person.telegram_chat_id,
            timezone=person.timezone,
            locale="en",
            attributes={key: value for key, value in person.attributes.items() if key != "is_new"},
            is_test=True,
            created_at=person.since,
            updated_at=person.since,
        )
        for person in everyone
    ]
    Contact.objects.bulk_create(contacts)
    Device.objects.bulk_create(
        Device(id=new_id(person.since), contact=contact, kind="fcm", token=f"demo-{uuid4()}", created_at=person.since)
        for person, contact in zip(everyone, contacts, strict=True)
        if person.has_device
    )


def _live_through(past: list[Happening], start: datetime, end: datetime, chance: random.Random) -> None:
    """Let the past happen: the clock jumps to whatever comes next, an event, a due step or the detectors' hour."""
    arrivals = {at: list(group) for at, group in groupby(past, key=lambda one: one.at)}
    appointments = sorted(arrivals.keys() | set(_detector_hours(start, end)))
    for at, until in zip(appointments, [*appointments[1:], end], strict=True):
        if at in arrivals:
            ingest([Incoming(one.user_id, one.name, one.properties, occurred_at=at) for one in arrivals[at]], at)
        if at.hour == DETECTORS_AT:
            _rescore(at, chance)
            detect(at)
        if at.hour in ROUNDS_AT:
            rounds.look_and_take_in(lambda at=at: at)  # type: ignore[misc]
        _work_until(at, until)


def _rescore(now: datetime, chance: random.Random) -> None:
    """What a data team's nightly job would do: a few customers' churn scores go up."""
    customers = Contact.objects.filter(attributes__has_key="churn_score").order_by("user_id")
    rescored = chance.sample(list(customers), RESCORED)
    for contact in rescored:
        contact.attributes["churn_score"] = round(chance.uniform(0.5, 0.98), 2)
        contact.updated_at = now
    Contact.objects.bulk_update(rescored, ["attributes", "updated_at"])


def _detector_hours(start: datetime, end: datetime) -> Iterator[datetime]:
    at = start.replace(hour=DETECTORS_AT, minute=0)
    while (at := at + timedelta(days=1)) < end:
        yield at


def _work_until(now: datetime, until: datetime) -> None:
    """Work off what is due, then jump from due time to due time, up to but not including `until`."""
    while True:
        while cycle.work(lambda now=now: now, settings.JOURNEYS["BATCH"]).runs:  # type: ignore[misc]
            pass
        later = UserJourney.objects.filter(status=RunStatus.ACTIVE, due_at__gt=now)
        due = later.aggregate(next=Min("due_at"))["next"]
        if due is None or due >= until:
            return
        now = due


def _sign_up_just_now(everyone: list[DemoPerson], end: datetime) -> None:
    """Some who sign up now, a few seconds apart: their next steps come due in the next minutes."""
    fresh = [f"newcomer-{number:02}" for number in range(1, SOON + 1)]
    _store(
        [
            DemoPerson(user_id, end, f"{user_id}@example.com", person.telegram_chat_id, "", True, person.attributes)
            for user_id, person in zip(fresh, everyone, strict=False)
        ]
    )
    for number, user_id in enumerate(fresh):
        at = end - timedelta(seconds=6 * (SOON - number))
        ingest([Incoming(user_id, "signup", {"plan": "team"}, occurred_at=at)], at)
        _work_until(at, at + timedelta(seconds=1))


def reset(now: datetime) -> int:
    """Empty the database of journeys, contacts and all that belongs to them; how many contacts it had.

    Raises NotOurs in one that the demo did not make, or in which somebody real has turned up since, and while a worker
    runs: the demo could not be made anew.
    """
    _refuse_while_working(now)
    if not is_ours():
        raise NotOurs("this database was not made by the demo, so nothing is removed")
    real = Contact.objects.filter(is_test=False)
    if names := list(real.values_list("user_id", flat=True)[:3]):
        raise NotOurs(f"somebody here is not of the demo ({', '.join(names)}), so nothing is removed")
    # Journeys that start each other would keep each other.
    JourneyStep.objects.filter(action_type="start_journey").update(archived_at=now)
    for journey_id in Journey.objects.values_list("id", flat=True):
        delete_journey(journey_id)
    for model in (Tally, TallyTotal, Detection, Event, Tag, Segment, FrequencyCap):
        model._default_manager.all().delete()
    _, removed = Contact.objects.all().delete()
    get_user_model().objects.filter(username=OPERATOR).delete()
    return removed.get("journeys.Contact", 0)
