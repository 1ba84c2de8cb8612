"""What an event means to those inside a journey, or who were: it makes them leave, or they have reached the goal.

It is decided when the event comes in, under the contact's lock, so no event that comes after the start of a run is
missed, and none before it counts. Who is to leave is marked, and made due; whoever claims the run, or records what it
was sending, ends it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from journeys.engine.parking import NOW_AT_LATEST
from journeys.engine.people import Person
from journeys.engine.sql import execute, update, uuids
from journeys.engine.tally import Counted, append
from journeys.logic.facts import Facts, event_mapping
from journeys.logic.flow import Flow
from journeys.logic.leaving import GOAL_REACHED
from journeys.models import RunStatus, What


@dataclass(slots=True)
class Witness:
    """A run, as an event finds it. `born` is the number of the event in its batch that has just started it."""

    id: UUID
    person: Person
    journey_id: UUID
    status: str
    started_at: datetime
    leaves: str | None
    goal_at: datetime | None
    metadata: Mapping[str, Any]
    born: int = -1


class News(NamedTuple):
    """A fresh event, with its number in the batch."""

    number: int
    name: str
    message_id: str
    occurred_at: datetime
    properties: Mapping[str, Any]


class Noticed(NamedTuple):
    """Those who are to leave because of an event, and those who reached their goal by one."""

    leaving: list[tuple[Witness, News]]
    reached: list[Witness]


def notice(
    witnesses: Iterable[Witness], news: Mapping[UUID, Sequence[News]], flows: Mapping[UUID, Flow], now: datetime
) -> set[int]:
    """Let runs take in the news of their contacts, and write what they mean; which of the news made somebody leave.

    `flows` are the live ones of the journeys that listen to such events. An event means nothing to the run that it
    started, nor to one that was started after it.
    """
    noticed = Noticed([], [])
    for run in witnesses:
        for event in news.get(run.person.id, ()):
            if event.number > run.born:
                _take_in(run, event, flows[run.journey_id], noticed, now)
    _write(noticed, now)
    return {event.number for _, event in noticed.leaving}


def _take_in(run: Witness, event: News, flow: Flow, noticed: Noticed, now: datetime) -> None:
    if event.name not in flow.listens_to:
        return
    facts = _facts(run, event, now)
    reason = None
    goal = flow.goal
    if goal and run.goal_at is None and goal.is_open(run.started_at, now) and goal.signal.is_in(event.name, facts):
        run.goal_at = now
        noticed.reached.append(run)
        reason = GOAL_REACHED if goal.exits else None
    if run.status == RunStatus.ACTIVE and run.leaves is None:
        run.leaves = reason or flow.exits.reason(event.name, facts)
        if run.leaves is not None:
            noticed.leaving.append((run, event))


def _facts(run: Witness, event: News, now: datetime) -> Facts:
    mapping = event_mapping(event.name, event.message_id, event.occurred_at, event.properties)
    return run.person.facts_of(mapping, run.metadata, now)


def _write(noticed: Noticed, now: datetime) -> None:
    """The runs are locked, or were made by this transaction."""
    if noticed.leaving:
        update("user_journeys", {"id": "uuid", "leaves": "text"}, [(run.id, run.leaves) for run, _ in noticed.leaving])
        execute(
            f"UPDATE user_journeys SET {NOW_AT_LATEST} WHERE id = ANY(%(ids)s)",
            {"now": now, "ids": uuids(run.id for run, _ in noticed.leaving)},
        )
    if noticed.reached:
        ids = uuids(run.id for run in noticed.reached)
        execute("UPDATE user_journeys SET goal_at = %s WHERE id = ANY(%s)", [now, ids])
        counts: Counter[Counted] = Counter((run.journey_id, None, _what(run)) for run in noticed.reached)
        append(counts, now)


def _what(run: Witness) -> What:
    return What.HELD_OUT_CONVERTED if run.status == RunStatus.HELD_OUT else What.CONVERTED
