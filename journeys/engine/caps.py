"""How many messages a contact gets at most, over all journeys and workers.

A cap can't be exceeded: who decides on a message holds its contact's lock, and counts what is committed and what this
batch is about to commit. Where no cap exists, that costs a look at an empty table for each batch that may send.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from journeys.actions.base import MessageConfig, Outgoing, SkipStep
from journeys.actions.registry import ACTIONS
from journeys.engine.decision import Decision, Run
from journeys.engine.load import Loaded
from journeys.engine.parking import NOW_AT_LATEST
from journeys.engine.people import Person
from journeys.engine.queue import beat, beaten_since
from journeys.engine.sql import execute, query, uuids
from journeys.logic.caps import Cap, Sent, free_at
from journeys.logic.effects import Send
from journeys.logic.flow import Flow
from journeys.models import FrequencyCap

BATCH = 5_000
CHANGED = "caps"
LONGEST_CLAIM = timedelta(minutes=5)
"""More than a claim takes, and the minute job leaves between two of its turns."""


class Capped(Exception):
    """Caps hold the message back until then. Nothing counts, and it is looked at again."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"capped until {until}")
        self.until = until


def look(loaded: Loaded, now: datetime) -> None:
    """Let the runs of a batch know the caps, and what their contacts were sent. Under the contacts' locks."""
    if not any(isinstance(flow, Flow) and _has_messages(flow) for flow in loaded.flows.values()):
        return
    caps = _caps()
    if not caps:
        return
    _add_sent({run.person.id: run.person for run in loaded.runs}, now - max(cap.period for cap in caps))
    for run in loaded.runs:
        run.caps = caps


def _has_messages(flow: Flow) -> bool:
    return any(issubclass(ACTIONS[kind].config_class, MessageConfig) for kind in flow.action_types)


def _caps() -> list[Cap]:
    rows = query("SELECT channel, at_most, period_hours FROM frequency_caps")
    return [Cap(channel, at_most, timedelta(hours=hours)) for channel, at_most, hours in rows]


def _add_sent(people: Mapping[UUID, Person], since: datetime) -> None:
    """Read what counts, in one query. A message that finally failed does not, and one that is still tried does."""
    rows = query(
        "SELECT contact_id, channel, created_at, id FROM messages WHERE contact_id = ANY(%s) AND created_at > %s "
        "AND status <> 'failed' AND channel <> 'webhook' AND NOT is_transactional",
        [uuids(people), since],
    )
    sent: dict[UUID, list[Sent]] = {}
    for contact_id, *one in rows:
        sent.setdefault(contact_id, []).append(Sent(*one))
    for contact_id, all_of in sent.items():
        people[contact_id].sent = tuple(all_of)


def check(run: Run, config: Any, send: Send | None, now: datetime) -> None:
    """Look whether a new message may go now. Raises Capped or SkipStep, as its step says."""
    if send is None or not run.caps or not isinstance(config, MessageConfig) or config.transactional:
        return
    until = free_at(run.caps, run.person.sent, send.channel, now)
    if until is not None and config.when_capped == "skip":
        raise SkipStep("a frequency cap is reached")
    if until is not None:
        raise Capped(until)


def note(decision: Decision, config: Any, message: Outgoing) -> None:
    """Let a message that is about to be committed count, or be known as one that does not."""
    if not isinstance(config, MessageConfig):
        return
    if config.transactional:
        decision.exempt.add(message.id)
    else:
        decision.run.person.sent += (Sent(message.channel, message.created_at, message.id),)


def look_again(now: datetime) -> int:
    """Let all who wait for a cap be looked at by the caps as they are now; how many."""
    total = 0
    while batch := _release(now):
        total += batch
    return total


def note_change(now: datetime) -> None:
    """Note that caps were changed: the minute job looks again at those who were just being decided on."""
    beat(CHANGED, now)


def repair(now: datetime) -> None:
    """A claim that was under way when caps were changed may have held somebody back by those of before."""
    if beaten_since(CHANGED, now - LONGEST_CLAIM):
        look_again(now)


@transaction.atomic
def _release(now: datetime) -> int:
    """Make a batch of those due who wait for a cap; how many. Who was decided on since `now` stays: workers hold back
    again whom we let go, and neither would come to an end."""
    return execute(
        f"UPDATE user_journeys SET {NOW_AT_LATEST}, capped_until = NULL WHERE id IN (SELECT id FROM user_journeys "
        "WHERE status = 'active' AND capped_until IS NOT NULL AND updated_at <= %(now)s "
        "ORDER BY id LIMIT %(batch)s FOR NO KEY UPDATE)",
        {"now": now, "batch": BATCH},
    )


def longest() -> timedelta:
    """How far back messages are counted."""
    hours: Collection[int | None] = FrequencyCap.objects.values_list("period_hours", flat=True)
    return timedelta(hours=max((each or 0 for each in hours), default=0))
