"""Events in: each is stored once, and starts the journeys that it should, in one transaction a batch.

Locks: journeys, then contacts, then the runs that wait for an event. Nothing here wakes a worker; the caller does,
after its commit.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from journeys.engine.enroll import Entry, enroll
from journeys.engine.flows import LiveJourney, flows_of, lock_concerned
from journeys.engine.lease import limit_idling
from journeys.engine.noticing import News, Witness, notice
from journeys.engine.people import COLUMNS as PERSON_COLUMNS
from journeys.engine.people import Person, add_segments, add_tags, by_user_id, person_of
from journeys.engine.sql import execute, insert, pipelined, query, uuids
from journeys.engine.waking import Concerned, lock_runs, wake_waiting
from journeys.logic.facts import Lazy
from journeys.logic.flow import Flow
from journeys.logic.instants import iso
from journeys.models import EventSource, RunStatus
from journeys.models.audience import hash_user_id
from journeys.models.ids import new_id


@dataclass(frozen=True, slots=True)
class Incoming:
    """An event as a producer reports it. `journeys` names those it is for; None means all that match.

    `entry_key` says by what it starts a run where people may enter again; without one, by its message_id.
    """

    user_id: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    message_id: str | None = None
    occurred_at: datetime | None = None
    source: str = EventSource.API
    journeys: frozenset[UUID] | None = None
    entry_key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an event: `accepted`, `duplicate` (with the first one's answer) or `refused` (with `reason`)."""

    status: str
    event_id: UUID | None
    message_id: str
    started: tuple[UUID, ...] = ()
    reason: str = ""
    woke: bool = False
    """Whether a run waited for it, or is to end because of it."""

    @property
    def makes_work(self) -> bool:
        return bool(self.started) or self.woke


@dataclass(slots=True)
class _Event:
    """An accepted event on its way into the tables."""

    id: UUID
    person: Person
    incoming: Incoming
    message_id: str
    occurred_at: datetime
    key: UUID
    started: list[UUID] = field(default_factory=list)


def event_key(contact_id: UUID, message_id: str) -> UUID:
    """The primary key that a contact's `message_id` has among the event keys."""
    return UUID(bytes=hashlib.sha256(contact_id.bytes + message_id.encode()).digest()[:16])


@transaction.atomic
def ingest(events: Sequence[Incoming], now: datetime) -> list[Answer]:
    """Store a batch of events and start their journeys, highest priority first. One answer each, in order.

    A repeated `message_id` of the same contact changes nothing and gets the first answer. An unknown `user_id` makes
    the contact, but one who was deleted a while ago is not brought back. Values must be valid: interfaces see to it.
    """
    limit_idling()
    names = {event.name for event in events}
    live = lock_concerned(names)
    people = _lock_contacts({event.user_id for event in events}, now)
    answers, fresh = _sort_out(events, people, now)
    flows = _flows(live)
    listeners = {key: flow for key, flow in flows.items() if not flow.listens_to.isdisjoint(names)}
    concerned = lock_runs({event.person.id for event in fresh.values()}, listeners, now)
    with pipelined():
        waiting = wake_waiting(concerned, {(event.person.id, event.incoming.name) for event in fresh.values()}, now)
        _store(fresh, waiting, now)
        starting = [flow for key, flow in flows.items() if live[key].is_active]
        _look_up({event.person.id: event.person for event in fresh.values()}, starting, listeners.values(), now)
        began = _start(fresh, live, flows, now)
        leaving = _notice(fresh, concerned, began, listeners, now) if listeners else set()
        _remember(fresh, now)
    for number, event in fresh.items():
        woke = number in leaving or (event.person.id, event.incoming.name) in waiting
        answers[number] = Answer("accepted", event.id, event.message_id, tuple(event.started), woke=woke)
    return _repeat_within_batch(answers, fresh)


def _lock_contacts(user_ids: set[str], now: datetime) -> dict[str, Person]:
    """Lock the contacts, made first where they are unknown. One with a tombstone is not made.

    Nobody is locked before: whoever waits here for another's new contact must hold nothing that this one may want.
    """
    known = query("SELECT user_id FROM contacts WHERE user_id = ANY(%s)", [list(user_ids)])
    unknown = user_ids - {user_id for (user_id,) in known}
    made = _make_contacts(unknown, now) if unknown else set()
    rows = query(
        f"SELECT {PERSON_COLUMNS} FROM contacts WHERE user_id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
        [list(user_ids)],
    )
    people = by_user_id(person_of(row) for row in rows)
    if gone := _buried(made):
        execute("DELETE FROM contacts WHERE user_id = ANY(%s)", [sorted(gone)])
    return {user_id: person for user_id, person in people.items() if user_id not in gone}


def _make_contacts(user_ids: Collection[str], now: datetime) -> set[str]:
    """Make these contacts; which of them are new. Somebody else may make some at the same moment."""
    made = insert(
        "contacts",
        {
            "id": "uuid", "user_id": "text", "email": "text", "telegram_chat_id": "text", "timezone": "text",
            "locale": "text", "attributes": "jsonb", "is_test": "bool", "created_at": "timestamptz",
            "updated_at": "timestamptz",
        },
        [(new_id(now), user_id, "", "", "", "", {}, False, now, now) for user_id in sorted(user_ids)],
        "ON CONFLICT DO NOTHING RETURNING user_id",
    ).rows  # fmt: skip
    return {user_id for (user_id,) in made}


def _buried(made: Collection[str]) -> set[str]:
    """Those of the new contacts who were deleted a while ago. Looked at after the insert, which waited for any
    deletion under way: its tombstone is visible now."""
    if not made:
        return set()
    hashes = {hash_user_id(user_id): user_id for user_id in made}
    buried = query("SELECT user_id_hash FROM contact_tombstones WHERE user_id_hash = ANY(%s)", [list(hashes)])
    return {hashes[bytes(digest)] for (digest,) in buried}


def _sort_out(
    events: Sequence[Incoming], people: Mapping[str, Person], now: datetime
) -> tuple[list[Answer | UUID], dict[int, _Event]]:
    """Answers for what is refused or was seen before; the fresh events by their number in the batch.

    An event that repeats an earlier one of this batch is answered, for now, with that one's key.
    """
    seen = _answered(events, people)
    answers: list[Answer | UUID] = []
    fresh: dict[int, _Event] = {}
    in_batch: set[UUID] = set()
    for number, event in enumerate(events):
        person = people.get(event.user_id)
        if person is None:
            answers.append(Answer("refused", None, event.message_id or "", reason="this contact was deleted"))
            continue
        event_id = new_id(now)
        message_id = event.message_id or str(event_id)
        key = event_key(person.id, message_id)
        accepted = _Event(event_id, person, event, message_id, event.occurred_at or now, key)
        if accepted.key in seen:
            answers.append(seen[accepted.key])
        elif accepted.key in in_batch:
            answers.append(accepted.key)
        else:
            in_batch.add(accepted.key)
            fresh[number] = accepted
            answers.append(accepted.key)
    return answers, fresh


def _answered(events: Sequence[Incoming], people: Mapping[str, Person]) -> dict[UUID, Answer]:
    keys = {
        event_key(people[event.user_id].id, event.message_id): event.message_id
        for event in events
        if event.message_id and event.user_id in people
    }
    if not keys:
        return {}
    rows = query("SELECT id, event_id, started::text FROM event_keys WHERE id = ANY(%s)", [uuids(keys)])
    return {
        key: Answer("duplicate", event_id, keys[key], tuple(UUID(journey_id) for journey_id in json.loads(started)))
        for key, event_id, started in rows
    }


def _store(fresh: Mapping[int, _Event], waiting: Mapping[tuple[UUID, str], datetime], now: datetime) -> None:
    """Store the events. Who waits for one has it from the moment on that is in `waiting`: it came after that look."""
    insert(
        "events",
        {
            "id": "uuid", "contact_id": "uuid", "name": "text", "properties": "jsonb", "message_id": "text",
            "source": "text", "occurred_at": "timestamptz", "received_at": "timestamptz",
        },
        [
            (e.id, e.person.id, e.incoming.name, dict(e.incoming.properties), e.message_id, e.incoming.source,
             e.occurred_at, max(now, waiting.get((e.person.id, e.incoming.name), now)))
            for e in fresh.values()
        ],
    )  # fmt: skip
    _note_activity(fresh)


def _note_activity(fresh: Mapping[int, _Event]) -> None:
    """Move each contact's `last_event_at` on. What a detector made is not something they did."""
    last: dict[UUID, datetime] = {}
    for event in fresh.values():
        if event.incoming.source != EventSource.DETECTOR:
            last[event.person.id] = max(event.occurred_at, last.get(event.person.id, event.occurred_at))
    if last:
        execute(
            "UPDATE contacts SET last_event_at = GREATEST(last_event_at, new.at) "
            "FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (id, at) WHERE contacts.id = new.id",
            [list(last), list(last.values())],
        )


def _flows(live: Mapping[UUID, LiveJourney]) -> dict[UUID, Flow]:
    """The live flow of each journey that can be compiled."""
    flows = flows_of({journey.version_id for journey in live.values()}) if live else {}
    return {key: flow for key, journey in live.items() if isinstance(flow := flows[journey.version_id], Flow)}


def _look_up(
    people: Mapping[UUID, Person], starting: Collection[Flow], listeners: Collection[Flow], now: datetime
) -> None:
    """Read the contacts' tags and segments, as far as conditions will ask for them."""
    if any(flow.admission_reads_tags for flow in starting) or any(flow.signals_read_tags for flow in listeners):
        add_tags(people)
    segments = frozenset().union(
        *(flow.admission_segments for flow in starting), *(flow.signals_segments for flow in listeners)
    )
    if segments:
        add_segments(people, segments, now)


def _start(
    fresh: Mapping[int, _Event], live: Mapping[UUID, LiveJourney], flows: Mapping[UUID, Flow], now: datetime
) -> list[Witness]:
    """Start what the events start, and note with each what it was; the runs that began."""
    by_name: dict[str, list[tuple[LiveJourney, Flow]]] = {}
    for journey in sorted(live.values(), key=lambda journey: (-journey.priority, journey.id)):
        if journey.is_active and journey.id in flows:
            by_name.setdefault(flows[journey.id].started_by, []).append((journey, flows[journey.id]))
    entries = [(number, entry) for number, event in fresh.items() for entry in _entries(event, by_name, now)]
    began: list[Witness] = []
    for (number, entry), run in zip(entries, enroll([entry for _, entry in entries], now), strict=True):
        if run is None:
            continue
        status = RunStatus.HELD_OUT if run.is_held_out else RunStatus.ACTIVE
        who, what = (run.run_id, entry.person, entry.journey.id), entry.metadata
        began.append(Witness(*who, status, now, leaves=None, goal_at=None, metadata=what, born=number))
        if not run.is_held_out:
            fresh[number].started.append(entry.journey.id)
    return began


def _notice(
    fresh: Mapping[int, _Event],
    concerned: Sequence[Concerned],
    began: Sequence[Witness],
    listeners: Mapping[UUID, Flow],
    now: datetime,
) -> set[int]:
    """Let the runs of journeys that listen take in the events; the numbers of those that make somebody leave."""
    news: dict[UUID, list[News]] = {}
    for number, event in fresh.items():
        it = event.incoming
        own = News(number, it.name, event.message_id, event.occurred_at, it.properties)
        news.setdefault(event.person.id, []).append(own)
    people = {event.person.id: event.person for event in fresh.values()}
    witnesses = [
        Witness(run.id, people[run.contact_id], run.journey_id, run.status, run.started_at, run.leaves, run.goal_at,
                Lazy(partial(json.loads, run.metadata)))
        for run in concerned
        if run.journey_id in listeners and run.metadata is not None
    ]  # fmt: skip
    return notice([*witnesses, *(run for run in began if run.journey_id in listeners)], news, listeners, now)


def _entries(event: _Event, by_name: Mapping[str, list[tuple[LiveJourney, Flow]]], now: datetime) -> list[Entry]:
    incoming = event.incoming
    metadata = dict(incoming.properties)
    what = {
        "name": incoming.name,
        "message_id": event.message_id,
        "occurred_at": iso(event.occurred_at),
    }
    facts = event.person.facts(what, metadata, now)
    key = incoming.entry_key or f"event:{event.message_id}"
    return [
        Entry(event.person, journey, flow, what, metadata, key)
        for journey, flow in by_name.get(incoming.name, ())
        if (journey.id in incoming.journeys if incoming.journeys is not None else not flow.is_called)
        and flow.admits(facts)
    ]


def _remember(fresh: Mapping[int, _Event], now: datetime) -> None:
    """Keep the answers under the producer's own keys; a key that we made up is never asked for again."""
    insert(
        "event_keys",
        {
            "id": "uuid",
            "contact_id": "uuid",
            "event_id": "uuid",
            "started": "jsonb",
            "received_at": "timestamptz",
        },
        [
            (event.key, event.person.id, event.id, [str(journey_id) for journey_id in event.started], now)
            for event in fresh.values()
            if event.incoming.message_id
        ],
    )


def _repeat_within_batch(answers: Sequence[Answer | UUID], fresh: Mapping[int, _Event]) -> list[Answer]:
    first = {event.key: event for event in fresh.values()}
    return [
        answer
        if isinstance(answer, Answer)
        else Answer("duplicate", first[answer].id, first[answer].message_id, tuple(first[answer].started))
        for answer in answers
    ]
