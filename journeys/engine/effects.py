"""Writing decisions down, set by set, in the caller's transaction. The caller holds the contacts' and runs' locks."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from journeys.actions.base import Outgoing
from journeys.engine.decision import SUSPECT_DEATHS, Decision
from journeys.engine.poison import Poison, told_apart
from journeys.engine.sql import execute, insert, pipelined, query, transpose, unnest, update, uuids
from journeys.engine.starting import start
from journeys.engine.tally import append
from journeys.logic.attributes import changed
from journeys.logic.effects import (
    ApplyTag,
    ChangeAttribute,
    Delivered,
    DropDevice,
    GrantReward,
    MarkChatDead,
    Outcome,
    RemoveTag,
)
from journeys.models import MessageStatus, RunStatus
from journeys.models.ids import new_id

# As Execution has them.
EXECUTION_COLUMNS = {
    "id": "uuid", "user_journey_id": "uuid", "step_id": "uuid", "status": "text", "executed_at": "timestamptz",
    "completed_at": "timestamptz", "result": "jsonb", "error_message": "text", "retry_count": "int",
    "created_at": "timestamptz", "dead_at": "timestamptz",
}  # fmt: skip
# One that is final is never overwritten; a step that would be executed twice is an error instead.
KEEP_FINAL = """ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, executed_at = EXCLUDED.executed_at,
    completed_at = EXCLUDED.completed_at, result = EXCLUDED.result, error_message = EXCLUDED.error_message,
    retry_count = EXCLUDED.retry_count, dead_at = EXCLUDED.dead_at
    WHERE step_executions.status = 'pending'"""

MESSAGE_COLUMNS = {
    "id": "uuid", "contact_id": "uuid", "journey_id": "uuid", "step_id": "uuid", "channel": "text", "to": "text",
    "subject": "text", "html": "text", "text": "text", "payload": "jsonb", "status": "text", "error": "text",
    "is_transactional": "bool", "created_at": "timestamptz",
}  # fmt: skip

RUN_COLUMNS = {
    "id": "uuid", "status": "text", "version_id": "uuid", "current_step_id": "uuid", "step_due_at": "timestamptz",
    "due_at": "timestamptz", "parked_due_at": "timestamptz", "previous_ended_at": "timestamptz", "attempts": "int",
    "awaits_event": "text", "listens_from": "timestamptz", "slot_at": "timestamptz", "capped_until": "timestamptz",
    "claim_token": "uuid", "lease_until": "timestamptz", "deaths": "int", "moved": "bool",
    "completed_at": "timestamptz", "failed_at": "timestamptz", "exited_at": "timestamptz", "failure_reason": "text",
    "exit_reason": "text", "updated_at": "timestamptz",
}  # fmt: skip

TAGGED = {"name": "text", "contact_id": "uuid", "execution_id": "uuid"}


class ExecutedTwice(Poison):
    """A step was about to be executed that is executed already. The transaction must not commit."""


def write(decisions: Sequence[Decision], now: datetime, token: UUID, lease_until: datetime) -> None:
    """Write what was decided: executions, inside effects, messages, outcomes, counts and the runs themselves.

    Runs that have something to send keep the claim `token` until `lease_until` (real clock); the others are let go.
    """
    with writing(decisions, now):
        update("user_journeys", RUN_COLUMNS, [_run_row(decision, now, token, lease_until) for decision in decisions])
    start(decisions, now)


@contextmanager
def writing(decisions: Sequence[Decision], now: datetime) -> Iterator[None]:
    """Write what decisions say of everything but whose turn it is next, which the caller writes within."""
    rows = [execution for decision in decisions for execution in decision.executions.values()]
    _write_attributes(decisions, now)
    with pipelined():
        executions = insert("step_executions", EXECUTION_COLUMNS, rows, KEEP_FINAL)
        _write_inside([pair for decision in decisions for pair in decision.effects], decisions, now)
        _write_messages(decisions)
        _write_outcomes([outcome for decision in decisions for outcome in decision.outcomes], now)
        append(Counter(counted for decision in decisions for counted in decision.counts), now)
        yield
    if executions.count != len(rows):
        raise ExecutedTwice("a step of this batch is executed already")


def _write_inside(effects: Sequence[tuple[Any, UUID]], decisions: Sequence[Decision], now: datetime) -> None:
    """Tags, rewards, and what a provider's answer says of devices and chats."""
    owners = {key: d.run.person.id for d in decisions for _, key in d.effects}
    _write_tags([(owners[key], effect, key) for effect, key in effects], now)
    rewards = [
        (new_id(now), owners[key], key, effect.reward_type, effect.value, now)
        for effect, key in effects
        if isinstance(effect, GrantReward)
    ]
    columns = {
        "id": "uuid", "contact_id": "uuid", "execution_id": "uuid", "reward_type": "text", "value": "numeric",
        "granted_at": "timestamptz",
    }  # fmt: skip
    insert("rewards", columns, rewards)
    devices = [effect.device_id for effect, _ in effects if isinstance(effect, DropDevice)]
    if devices:
        execute("DELETE FROM devices WHERE id = ANY(%s)", [sorted(devices)])
    chats = [(owners[key], effect.chat_id) for effect, key in effects if isinstance(effect, MarkChatDead)]
    if chats:
        execute(
            "UPDATE contacts SET telegram_dead_at = %s FROM unnest(%s::uuid[], %s::text[]) AS dead (id, chat) "
            "WHERE contacts.id = dead.id AND telegram_chat_id = dead.chat",
            [now, *map(list, zip(*chats, strict=True))],
        )


def _write_attributes(decisions: Iterable[Decision], now: datetime) -> None:
    """Merge all changes to a contact into one UPDATE, over what is stored: a part of the batch may have been rejected
    of which the decisions, too, know."""
    changes: dict[UUID, list[ChangeAttribute]] = {}
    for decision in decisions:
        for effect, _ in decision.effects:
            if isinstance(effect, ChangeAttribute):
                changes.setdefault(decision.run.person.id, []).append(effect)
    if not changes:
        return
    stored = query("SELECT id, attributes::text FROM contacts WHERE id = ANY(%s)", [uuids(changes)])
    columns = {"id": "uuid", "attributes": "jsonb", "updated_at": "timestamptz"}
    with told_apart():
        rows = [(key, changed(json.loads(attributes), changes[key]), now) for key, attributes in stored]
    update("contacts", columns, rows)


def _write_tags(effects: Iterable[tuple[UUID, Any, UUID]], now: datetime) -> None:
    last: dict[tuple[str, UUID], UUID | None] = {}  # The last word on a contact's tag in this batch wins.
    for contact_id, effect, key in effects:
        if isinstance(effect, ApplyTag):
            last[effect.tag, contact_id] = key
        elif isinstance(effect, RemoveTag):
            last[effect.tag, contact_id] = None
    applied = sorted((name, contact_id, key) for (name, contact_id), key in last.items() if key is not None)
    removed = sorted((name, contact_id) for (name, contact_id), key in last.items() if key is None)
    if applied:
        names = sorted({name for name, _, _ in applied})
        columns = {"id": "uuid", "name": "text", "created_at": "timestamptz"}
        insert("tags", columns, [(new_id(now), name, now) for name in names], "ON CONFLICT DO NOTHING")
        execute(
            "INSERT INTO contact_tags (contact_id, tag_id, execution_id, applied_at) "
            "SELECT new.contact_id, tags.id, new.execution_id, %s "
            f"FROM {unnest(TAGGED)} AS new (name, contact_id, execution_id) "
            "JOIN tags USING (name) ON CONFLICT DO NOTHING",
            [now, *transpose(TAGGED, applied)],
        )
    if removed:
        execute(
            "DELETE FROM contact_tags USING tags, unnest(%s::text[], %s::uuid[]) AS gone (name, contact_id) "
            "WHERE tags.name = gone.name AND tag_id = tags.id AND contact_tags.contact_id = gone.contact_id",
            [*map(list, zip(*removed, strict=True))],
        )


def _write_messages(decisions: Iterable[Decision]) -> None:
    columns = {f'"{name}"': kind for name, kind in MESSAGE_COLUMNS.items()}  # TO is a reserved word.
    insert("messages", columns, [_message_row(d, m, step_id) for d in decisions for m, step_id in d.messages])


def _message_row(d: Decision, m: Outgoing, step_id: UUID) -> tuple[Any, ...]:
    return (
        m.id, d.run.person.id, d.run.journey.id, step_id, m.channel, m.to, m.subject, m.html, m.text,
        dict(m.payload), MessageStatus.PENDING, "", m.id in d.exempt, m.created_at,
    )  # fmt: skip


def _write_outcomes(outcomes: Iterable[tuple[UUID, Outcome, bool]], now: datetime) -> None:
    """What became of messages. One that is to be tried again stays pending, with the last error."""
    rows: list[tuple[UUID, MessageStatus, str, datetime | None]] = []
    for key, outcome, final in outcomes:
        if isinstance(outcome, Delivered):
            status = MessageStatus.CAPTURED if outcome.captured else MessageStatus.SENT
            rows.append((key, status, "", now))
        else:
            rows.append((key, MessageStatus.FAILED if final else MessageStatus.PENDING, outcome.error, None))
    update("messages", {"id": "uuid", "status": "text", "error": "text", "sent_at": "timestamptz"}, rows)


def _run_row(d: Decision, now: datetime, token: UUID, lease_until: datetime) -> tuple[Any, ...]:
    sending, live = d.send is not None, d.status == RunStatus.ACTIVE
    # The journey was switched off while a worker had the run: it waits in the parking place.
    parked = live and not sending and not d.run.journey.is_active
    event, listens_from = (d.awaited if live else None) or (None, None)
    return (
        d.run.id, d.status, d.version_id, d.step_id, d.step_due_at if live else None,
        d.due_at if live and not parked else None, d.due_at if parked else None, d.previous_ended_at, d.attempts,
        event, listens_from, d.slot_at, d.capped_until if live else None,
        token if sending or d.has_pending else None, lease_until if sending else None,
        _deaths(d), d.moved, now if d.status == RunStatus.COMPLETED else None,
        now if d.status == RunStatus.FAILED else None, now if d.status == RunStatus.EXITED else None,
        d.failure_reason, d.exit_reason, now,
    )  # fmt: skip


def _deaths(d: Decision) -> int:
    if d.is_suspect:
        return max(d.run.deaths, SUSPECT_DEATHS)
    return d.run.deaths if d.send is not None or d.has_pending else 0
