"""What deciding takes in and gives out, as values: a locked Run with its past, and the Decision that is written."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings

from journeys.actions.base import Outgoing, StepContext, TemplateSource
from journeys.engine.flows import LiveJourney
from journeys.engine.people import Person
from journeys.engine.tally import Counted
from journeys.logic.caps import Cap
from journeys.logic.effects import InsideEffect, Outcome, Undelivered
from journeys.logic.facts import Facts, event_mapping
from journeys.logic.flow import Flow, Step
from journeys.logic.ids import execution_id
from journeys.logic.limits import is_mine
from journeys.logic.retry import RetryPolicy, retry_delay
from journeys.models import ExecutionStatus, RunStatus, What

SUSPECT_DEATHS = 2
"""A run whose lease died this often is a suspect, and claimed alone."""
DEATHS_ALONE = 3
"""A suspect whose lease died so often while it was alone fails. Once or twice may be chance."""

HEARD_AT_ONCE = 100
"""So many events, and those of the same moment as the last, are looked at for a waiting run before it comes up again:
somebody may do the same thing all day."""


class Past(NamedTuple):
    """What is known of an execution that is there already. `message` is what it is sending, while it is pending."""

    status: str
    retry_count: int
    message: Outgoing | None = None
    executed_at: datetime | None = None


class Awaited(NamedTuple):
    """What a run waits for: an event of that name. Those received before `listens_from` don't count."""

    event: str
    listens_from: datetime


class Heard(NamedTuple):
    """An event that came while a run waited for one of its name."""

    name: str
    message_id: str
    occurred_at: datetime
    received_at: datetime
    properties: Mapping[str, Any]


class Target(NamedTuple):
    """A journey that steps may start, locked, with its flow, or what is wrong with it."""

    journey: LiveJourney
    flow: Flow | Exception


@dataclass(slots=True)
class Run:
    """A locked run with all that deciding needs."""

    id: UUID
    journey: LiveJourney
    person: Person
    version_id: UUID
    step_id: UUID | None
    step_due_at: datetime | None
    previous_ended_at: datetime
    attempts: int
    deaths: int
    moved: bool
    slot_at: datetime | None
    leaves: str | None
    event: Mapping[str, Any]
    metadata: Mapping[str, Any]
    awaited: Awaited | None = None
    targets: Mapping[UUID, Target | None] = field(default_factory=dict)
    """What it may start; None for a journey that is just being changed."""
    caps: Sequence[Cap] = ()
    past: dict[UUID, Past] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    """What came and is not looked at yet, in order; of very much, the first HEARD_AT_ONCE."""

    def facts(self, now: datetime) -> Facts:
        """What conditions and messages may look at, as it is at this point of the run."""
        return self.person.facts(self.event, self.metadata, now)

    def facts_of(self, heard: Heard, now: datetime) -> Facts:
        """The same, with that event in the place of the one that started the run."""
        event = event_mapping(heard.name, heard.message_id, heard.occurred_at, heard.properties)
        return self.person.facts_of(event, self.metadata, now)

    def context(self, step: Step, key: UUID, facts: Facts, templates: TemplateSource) -> StepContext:
        """All that the step's action may look at; `key` is its execution's id."""
        return StepContext(
            execution_id=key,
            facts=facts,
            contact=self.person.view,
            devices=self.person.devices,
            journey_id=self.journey.id,
            journey_name=self.journey.name,
            run_id=self.id,
            step_key=step.key,
            step_name=step.name,
            templates=templates,
            now=facts.now,
            lanes=step.lanes,
        )


class Execution(NamedTuple):
    """A row of step_executions to be written; one that is final already is never overwritten."""

    id: UUID
    run_id: UUID
    step_id: UUID
    status: ExecutionStatus
    executed_at: datetime
    completed_at: datetime | None
    result: Mapping[str, Any]
    error: str
    retry_count: int
    created_at: datetime
    dead_at: datetime | None

    @classmethod
    def of(
        cls, key: UUID, run: Run, step_id: UUID, status: ExecutionStatus, now: datetime, result: Mapping[str, Any],
        error: str, retry_count: int, *, dead: bool,
    ) -> "Execution":  # fmt: skip
        """What became of the step now. `dead` puts it among the dead letters."""
        ended_at = None if status == ExecutionStatus.PENDING else now
        dead_at = now if dead else None
        return cls(key, run.id, step_id, status, now, ended_at, result, error, retry_count, now, dead_at)


@dataclass(slots=True)
class Decision:
    """What is to be written for one run, and what is to be sent."""

    run: Run
    status: RunStatus = RunStatus.ACTIVE
    step_id: UUID | None = None
    step_due_at: datetime | None = None
    due_at: datetime | None = None
    previous_ended_at: datetime | None = None
    attempts: int = 0
    failure_reason: str = ""
    exit_reason: str = ""
    version_id: UUID | None = None
    moved: bool = False
    executions: dict[UUID, Execution] = field(default_factory=dict)
    effects: list[tuple[InsideEffect, UUID]] = field(default_factory=list)
    messages: list[tuple[Outgoing, UUID]] = field(default_factory=list)
    exempt: set[UUID] = field(default_factory=set)
    """Those of the messages that frequency caps don't count."""
    outcomes: list[tuple[UUID, Outcome, bool]] = field(default_factory=list)
    send: Outgoing | None = None
    wait: timedelta = timedelta()
    """For how long to hold the send back, so that it goes out at its slot."""
    slot_at: datetime | None = None
    capped_until: datetime | None = None
    is_suspect: bool = False
    """That the run broke its batch: it is claimed alone from now on."""
    awaited: Awaited | None = None
    has_pending: bool = False
    """That a message is committed that this decision does not send."""
    counts: list[Counted] = field(default_factory=list)
    """What happened, once for each time."""

    def count(self, what: What, step_id: UUID | None = None) -> None:
        """Note that this happened to the step, or without one to the run."""
        self.counts.append((self.run.journey.id, step_id, what))

    def end(
        self, status: RunStatus, what: What, step_id: UUID | None, *, reason: str = "", exit_reason: str = ""
    ) -> None:
        """Let the run end at that step. `reason` is why it failed, `exit_reason` why it exited."""
        self.status, self.failure_reason, self.exit_reason = status, reason, exit_reason
        self.step_id = step_id
        self.count(what)

    def own_slot(self, now: datetime) -> datetime | None:
        """The slot that was reserved for the send when it was put off, if that is now."""
        slot_at = self.run.slot_at
        return slot_at if self.step_id == self.run.step_id and is_mine(slot_at, now) else None

    def put_off(self, until: datetime, slot_at: datetime | None) -> None:
        """Send nothing now, but look again then. What was rendered just now is forgotten, and nothing counts."""
        if self.send is None:
            raise LookupError("there is nothing to put off")
        key, self.send = self.send.id, None
        self.due_at, self.slot_at = until, slot_at
        rendered = [(message, step_id) for message, step_id in self.messages if message.id != key]
        self.has_pending = len(rendered) == len(self.messages)
        if not self.has_pending:
            self.messages = rendered
            self.effects = [(effect, owner) for effect, owner in self.effects if owner != key]
            self.executions.pop(key, None)  # None where an earlier try, which raised, left one that is pending.


def fail_run(run: Run, reason: str, now: datetime) -> Decision:
    """The decision that ends a run as failed, and with it the execution that it has pending."""
    decision = Decision(run, status=RunStatus.FAILED, step_id=run.step_id, version_id=run.version_id, moved=run.moved)
    decision.failure_reason, decision.previous_ended_at = reason, now
    decision.count(What.FAILED)
    past = run.past.get(run.step_id) if run.step_id is not None else None
    if run.step_id is not None and past is not None and past.status == ExecutionStatus.PENDING:
        key = execution_id(run.id, run.step_id)
        decision.executions[key] = Execution.of(
            key, run, run.step_id, ExecutionStatus.FAILED, now, {}, reason, run.attempts, dead=True
        )
        decision.count(What.FAILED, run.step_id)
        if past.message is not None:
            run.person.uncount(key)
            decision.outcomes.append((key, Undelivered(reason, permanent=True), True))
    return decision


def retry_run(run: Run, reason: str, now: datetime) -> Decision:
    """The decision that looks at a run again later, and fails it when that has been tried often enough."""
    wait = retry_delay(run.attempts + 1, random.random, None, retry_policy())
    if wait is None:
        return fail_run(run, reason, now)
    return Decision(
        run,
        step_id=run.step_id,
        step_due_at=run.step_due_at,
        due_at=now + wait,
        previous_ended_at=run.previous_ended_at,
        attempts=run.attempts + 1,
        version_id=run.version_id,
        moved=run.moved,
        awaited=run.awaited,
    )


def retry_policy() -> RetryPolicy:
    engine = settings.JOURNEYS
    return RetryPolicy(
        max_attempts=engine["MAX_ATTEMPTS"],
        base_seconds=engine["RETRY_BASE_SECONDS"],
        cap_seconds=engine["RETRY_CAP_SECONDS"],
        max_retry_after=engine["RETRY_AFTER_CAP_SECONDS"],
    )
