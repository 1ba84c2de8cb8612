"""When a message's turn comes: its destination's breaker first (breakers.py), then the buckets of limited rates.

All workers share both, and waiting for them costs no attempt: nothing is written of what must wait but when to look
again. Locks come last (journeys → contacts → runs → breakers → buckets), each sorted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from journeys.actions.base import Outgoing
from journeys.actions.registry import CHANNELS
from journeys.engine import breakers
from journeys.engine.decision import Decision
from journeys.engine.dispatch import Parcel, leaves_the_house
from journeys.engine.sql import execute, query
from journeys.logic.limits import SKEW, parse_rate

PACED = timedelta(seconds=1)
"""What has its slot within this is kept, and sent at its slot; what has it later comes back for it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """When a message's turn is, if it isn't now. `is_slot`: the time is reserved for it."""

    at: datetime
    is_slot: bool

    def is_soon(self, now: datetime) -> bool:
        return self.is_slot and self.at <= now + PACED


def hold(decisions: Sequence[Decision], now: datetime) -> None:
    """Take from decisions the sends whose turn has not come: they come up again when it may have."""
    parcels = [Parcel(d.send, d.run.person.view.is_test) for d in decisions if d.send is not None]
    mine = {d.send.id: slot for d in decisions if d.send is not None and (slot := d.own_slot(now)) is not None}
    turns = turns_of(parcels, mine, now)
    for decision in decisions:
        turn = turns.get(decision.send.id) if decision.send is not None else None
        if turn is None:
            continue
        if turn.is_soon(now):
            decision.wait = turn.at - now
        else:
            decision.put_off(turn.at, turn.at if turn.is_slot else None)


def turns_of(parcels: Iterable[Parcel], mine: Mapping[UUID, datetime], now: datetime) -> dict[UUID, Turn]:
    """The turns of those messages that may not go at once; `mine` are the slots that have come already.

    Those are late by what it took to claim them, all by the same: so that they don't go out in a bunch. A probe takes a
    slot, and goes at once: when a later slot came, its minute would be over, and the breaker would hold it again.
    """
    leaving = [parcel.message for parcel in parcels if leaves_the_house(parcel)]
    if not leaving:
        return {}
    waits, probes = breakers.held(leaving, now)
    held = {message_id: Turn(at, is_slot=False) for message_id, at in waits.items()}
    first = min(mine.values(), default=now)
    late = {key: Turn(now + (slot - first), is_slot=True) for key, slot in mine.items() if slot > first}
    turns = _slots([m for m in leaving if m.id not in held and m.id not in mine], now) | late | held
    return {message_id: turn for message_id, turn in turns.items() if message_id not in probes}


def _slots(messages: Sequence[Outgoing], now: datetime) -> dict[UUID, Turn]:
    """Reserve a slot for each message of a limited channel; those that have a later one than now.

    A message under several limits goes at the latest of its slots.
    """
    rates = {name: gap for name, rate in settings.JOURNEYS["RATES"].items() if (gap := parse_rate(rate)) is not None}
    limits = {m.id: _limits(m, rates) for m in messages} if rates else {}
    wanted = Counter(key for under in limits.values() for key in under)
    if not wanted:
        return {}
    gaps = {key: gap for under in limits.values() for key, gap in under.items()}
    next_free = _reserve({key: gaps[key] * count for key, count in wanted.items()}, now)
    turns: dict[UUID, Turn] = {}
    for message in messages:
        slot = now
        for key, gap in limits[message.id].items():
            slot = max(slot, next_free[key])
            next_free[key] += gap
        if slot > now:
            turns[message.id] = Turn(slot, is_slot=True)
    return turns


def _limits(message: Outgoing, rates: Mapping[str, timedelta]) -> dict[str, timedelta]:
    """The buckets that the message comes under, each with its time between two messages."""
    channel = CHANNELS[message.channel]
    found = {}
    for name, per in channel.rate_names.items():
        if name in rates:
            owner = channel.owner(per, message) if per else ""
            if owner or not per:
                found[f"{name}:{owner}" if per else name] = rates[name]
    return found


def _reserve(spans: Mapping[str, timedelta], now: datetime) -> dict[str, datetime]:
    """Move each bucket on by its span, in one statement; where each was before."""
    rows = query(
        "INSERT INTO buckets (key, next_at, updated_at) SELECT key, %(now)s + span, %(now)s "
        "FROM unnest(%(keys)s::text[], %(spans)s::interval[]) AS new (key, span) ORDER BY key "
        "ON CONFLICT (key) DO UPDATE SET updated_at = %(now)s, next_at = EXCLUDED.next_at - %(now)s + "
        "CASE WHEN buckets.updated_at > %(now)s + %(skew)s THEN %(now)s ELSE GREATEST(buckets.next_at, %(now)s) END "
        "RETURNING key, next_at",
        {"now": now, "keys": list(spans), "spans": list(spans.values()), "skew": SKEW},
    )
    return {key: next_at - spans[key] for key, next_at in rows}


def tidy(now: datetime) -> None:
    """Remove buckets that are full again: to have none says the same."""
    execute(
        "DELETE FROM buckets WHERE key IN (SELECT key FROM buckets WHERE next_at <= %s FOR UPDATE SKIP LOCKED)", [now]
    )
