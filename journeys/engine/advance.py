"""What a run does next, decided without writing anything: its flow, its facts and `now` in, a Decision out.

a step's due time comes  →  done already? condition? prepare  →  inside effects: go on  /  a send: stop and dispatch
an outcome comes back    →  success, retry or failure         →  go on
"""

import logging
import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from journeys.actions.base import (
    RECEIVED,
    TIMED_OUT,
    Outgoing,
    PermanentError,
    SkipStep,
    TemplateSource,
    TransientError,
    WaitingAction,
)  # fmt: skip
from journeys.actions.registry import ACTIONS
from journeys.engine import caps, listening, starting
from journeys.engine.decision import Decision, Heard, Past, Run, retry_policy, retry_run
from journeys.engine.trail import Trail
from journeys.logic.effects import (
    Delivered,
    Direction,
    EnterLane,
    ExitRun,
    InsideEffect,
    Outcome,
    Prepared,
    ScheduleNext,
    Undelivered,
)  # fmt: skip
from journeys.logic.flow import STOP, Flow, Step
from journeys.logic.ids import time_of
from journeys.logic.instants import iso
from journeys.logic.leaving import EXIT_CONDITION
from journeys.logic.retry import retry_delay
from journeys.models import ExecutionStatus, RunStatus, What

logger = logging.getLogger(__name__)

LEFT = "they left the journey"
"""Why a step that was pending is skipped."""


def advance(
    run: Run,
    flows: Mapping[UUID, Flow | Exception],
    templates: TemplateSource,
    now: datetime,
    outcome: Outcome | None = None,
    *,
    go_on: bool = True,
) -> Decision:
    """Decide how far a run goes. `outcome` is what its pending send came to, when that is why it is looked at.

    Without `go_on` the run stays at the step that it is at, although that be done: the next claim goes on from there.
    """
    live, old = flows[run.journey.version_id], flows[run.version_id]
    if outcome is not None and isinstance(live, Exception):
        live, go_on = old, False  # What was sent is settled all the same: otherwise it would be sent again.
    if isinstance(live, Exception) or isinstance(old, Exception):
        # Perhaps only here: a worker of another release may know what this one does not.
        return retry_run(run, f"this version can't be compiled: {live if isinstance(live, Exception) else old}", now)
    walk = _Walk(run, live, old, templates, now, go_on=go_on)
    if outcome is not None:
        walk.settle(outcome)
    elif run.leaves is None:
        walk.follow_version()
    walk.go()
    return walk.decision


class _Walk(Trail):
    """One run's way through its flow, from where it is to where it must stop.

    `old` is the flow of the run's own version, `flow` the live one; mostly they are the same.
    """

    def __init__(
        self, run: Run, flow: Flow, old: Flow, templates: TemplateSource, now: datetime, *, go_on: bool
    ) -> None:
        moved = run.moved or flow is not old or not go_on  # The past says that the step is done.
        decision = Decision(run, previous_ended_at=run.previous_ended_at, version_id=run.version_id, moved=moved)
        super().__init__(run, decision, now)
        self.flow, self.old, self.templates, self.go_on = flow, old, templates, go_on
        self.step_id = self.last_step_id = run.step_id
        self.step_due_at = run.step_due_at or now
        self.stopped = False

    # Where the run is

    def follow_version(self) -> None:
        """Go on in the live version: at the same step, or at the next one that is left."""
        if self.flow is self.old or self.step_id is None or self._in_flight() is not None:
            return
        before, step = self.old.step(self.step_id), self.flow.nearest(self.step_id, self.old)
        if step is None or step.id != before.id:
            self._give_up_pending(before, "the step was removed")
            self._wait_for(step, None)
        elif step.timing != before.timing and self.run.awaited is None:
            self._wait_for(step, None)

    def _in_flight(self) -> Outgoing | None:
        """The message that the current step has pending: it goes out whatever has been edited since."""
        past = self.past.get(self.step_id) if self.step_id is not None else None
        return past.message if past is not None and past.status == ExecutionStatus.PENDING else None

    def go(self) -> None:
        """Take steps until one is not due, one sends, or none is left; or leave at once, where an event said so."""
        while not self.stopped:
            if self.run.leaves is not None:
                self._leave(self.run.leaves)
            elif self.step_id is None:
                self._end(RunStatus.COMPLETED, What.COMPLETED)
            elif self.step_due_at > self.now or not self.run.journey.is_active or not self.go_on:
                self._rest(self.step_due_at)
            else:
                self._take(self._step(self.step_id))

    def _step(self, step_id: UUID) -> Step:
        return self.flow.step(step_id) if step_id in self.flow else self.old.step(step_id)

    def _wait_for(self, step: Step | None, override: ScheduleNext | None) -> None:
        """Wait for that step; where an earlier version had it elsewhere and it is done, for the next that isn't."""
        while step is not None and self._is_done(step):
            step = self.flow.after(step.id)
        self.step_id, self.attempts = (step.id if step else None), 0
        if step is not None:
            ended_at = self.decision.previous_ended_at or self.now
            self.step_due_at = step.due(ended_at, time_of(self.run.id), self.run.person.zone, override)

    def _wait_for_next(self, step: Step, direction: Direction | None) -> None:
        self.last_step_id = step.id
        if isinstance(direction, ExitRun):
            return self._end(RunStatus.EXITED, What.EXITED, exit_reason=direction.reason)
        if not self.go_on:
            self.attempts = 0
            return self._rest(self.now)
        override = direction if isinstance(direction, ScheduleNext) else None
        if step.id not in self.flow:
            self._wait_for(self.flow.nearest(step.id, self.old), override)
        elif isinstance(direction, EnterLane):
            self._wait_for(self.flow.enter(step.id, direction.lane), None)
        else:
            self._wait_for(self.flow.after(step.id), override)

    def _rest(self, due_at: datetime) -> None:
        self.stopped = True
        decision = self.decision
        decision.step_id, decision.step_due_at, decision.due_at = self.step_id, self.step_due_at, due_at
        decision.attempts = self.attempts
        if self.flow is not self.old and self.step_id is not None and self.step_id in self.flow:
            decision.version_id = self.run.journey.version_id

    def _end(self, status: RunStatus, what: What, reason: str = "", *, exit_reason: str = "") -> None:
        self.stopped = True
        self.decision.end(status, what, self.last_step_id, reason=reason, exit_reason=exit_reason)

    def _leave(self, why: str) -> None:
        """End here. What the step at hand was waiting for, or about to try again, is given up."""
        if self.step_id is not None:
            self._give_up_pending(self._step(self.step_id), LEFT)
        self._end(RunStatus.EXITED, What.EXITED, exit_reason=why)

    # One step

    def _may_leave(self) -> bool:
        """Whether who is about to take a step leaves instead."""
        condition = self.flow.exits.condition
        return condition is not None and condition(self.run.facts(self.now))

    def _take(self, step: Step) -> None:
        if self._is_done(step):
            return self._wait_for_next(step, None)  # Earlier releases waited for such a step too.
        if self._may_leave():
            return self._leave(EXIT_CONDITION)
        past, action = self.past.get(step.id), ACTIONS[step.action_type]
        if past is not None and self.run.awaited is not None and isinstance(action, WaitingAction):
            return self._listen(step, action, past.executed_at or self.now)
        if step.is_stale(self.step_due_at, self.now):
            return self._expire(step, past)
        if (opens_at := self._opens(step, self.now)) > self.now:
            # It comes late, or is tried again, or the contact lives by another clock now.
            self.decision.has_pending = past is not None and past.message is not None
            return self._rest(opens_at)
        if past is not None and past.message is not None:
            return self._dispatch(past.message)  # The same key and the same bytes again.
        try:
            facts = self.run.facts(self.now)
            if not step.holds(facts):
                raise SkipStep("its condition does not hold")
            context = self.run.context(step, self._key(step), facts, self.templates)
            prepared = action.prepare(step.config, context)
            starting.check(self.run, prepared.effects)
            caps.check(self.run, step.config, prepared.send, self.now)
        except starting.Busy:
            self._rest(self.now + starting.BUSY)
        except caps.Capped as capped:
            self.decision.capped_until = capped.until
            self._rest(min(capped.until, step.stale_from(self.step_due_at) or capped.until))
        except SkipStep as skip:
            self._finish(step, ExecutionStatus.SKIPPED, {"reason": str(skip)})
        except PermanentError as error:
            self._fail(step, str(error))
        except TransientError as error:
            self._retry(step, Undelivered(str(error), permanent=False, retry_after=error.retry_after))
        except Exception as error:
            logger.exception("a step raised", extra={"user_journey": str(self.run.id), "step": str(step.id)})
            self._retry(step, Undelivered(f"{type(error).__name__}: {error}", permanent=False))
        else:
            self._carry_out(step, prepared)

    def _opens(self, step: Step, moment: datetime) -> datetime:
        """The first instant from then on at which the step may be taken."""
        return moment if step.hours is None else step.hours.first_from(moment, self.run.person.zone)

    def _expire(self, step: Step, past: Past | None) -> None:
        """Skip what comes too late: after an outage, a pause, or the tries so far. A message of it stays unsent."""
        self._unsend(past, "stale: it could not be sent in time")
        self._finish(step, ExecutionStatus.SKIPPED, {"reason": "stale", "meant_for": iso(self.step_due_at)})

    def _carry_out(self, step: Step, prepared: Prepared) -> None:
        if prepared.send is None:
            if isinstance(action := ACTIONS[step.action_type], WaitingAction):
                self._write(step, ExecutionStatus.PENDING)
                return self._stay(listening.begin(action, step.config, time_of(self.run.id), self.now))
            self._finish(step, ExecutionStatus.SUCCESS, prepared.result, prepared.effects)
            return
        key = self._key(step)
        message = Outgoing.of(prepared.send, key, self.now)
        self.decision.messages.append((message, step.id))
        caps.note(self.decision, step.config, message)
        self._cause(prepared.effects, key)
        self._write(step, ExecutionStatus.PENDING)
        self._dispatch(message)

    def _listen(self, step: Step, action: WaitingAction[Any], began_at: datetime) -> None:
        match listening.listen(self.run, action, step.config, began_at, self.now):
            case listening.Waiting() as waiting:
                self._stay(waiting)
            case Heard() as heard:
                result = {"lane": RECEIVED, "event": heard.name, "message_id": heard.message_id}
                self._finish(step, ExecutionStatus.SUCCESS, result, (EnterLane(RECEIVED),))
            case listening.TimedOut():
                self._finish(step, ExecutionStatus.SUCCESS, {"lane": TIMED_OUT}, (EnterLane(TIMED_OUT),))

    def _stay(self, waiting: listening.Waiting) -> None:
        self.decision.awaited = waiting.awaited
        self._rest(waiting.due_at)

    def _dispatch(self, message: Outgoing) -> None:
        self.decision.send = message
        self._rest(self.now)

    def settle(self, outcome: Outcome) -> None:
        """Take in what the current step's send came to."""
        if self.step_id is None:
            raise LookupError("an outcome came for a run that is at no step")
        step = self._step(self.step_id)
        key = self._key(step)
        self._cause(outcome.effects, key)
        if isinstance(outcome, Delivered):
            self._finish(step, ExecutionStatus.SUCCESS, outcome.result)
            final = True
        elif outcome.permanent:
            self.attempts += 1
            self._fail(step, outcome.error)
            final = True
        elif self.run.leaves is not None:
            self.attempts += 1
            self._give_up(step, LEFT)
            final = True
        else:
            final = self._retry(step, outcome)
        self.decision.outcomes.append((key, outcome, final))

    def _retry(self, step: Step, fault: Undelivered) -> bool:
        """Wait and try again, or fail when it was the last try; whether it was."""
        self.attempts += 1
        wait = retry_delay(self.attempts, random.random, fault.retry_after, retry_policy())
        if wait is None:
            self._fail(step, fault.error)
            return True
        self._write(step, ExecutionStatus.PENDING, error=fault.error)
        self._rest(self._opens(step, self.now + wait))
        return False

    def _fail(self, step: Step, error: str) -> None:
        self.run.person.uncount(self._write(step, ExecutionStatus.FAILED, error=error, dead=True))
        self.decision.count(What.FAILED, step.id)
        self.decision.previous_ended_at = self.now
        if step.on_failure == STOP:
            self.last_step_id = step.id
            self._end(RunStatus.FAILED, What.FAILED, f"{step.name}: {error}")
        else:
            self._wait_for_next(step, None)

    def _finish(
        self,
        step: Step,
        status: ExecutionStatus,
        result: Mapping[str, Any],
        effects: tuple[InsideEffect, ...] = (),
    ) -> None:
        key = self._write(step, status, result=result)
        what = What.SUCCESS if status == ExecutionStatus.SUCCESS else What.SKIPPED
        self.decision.count(what, step.id)
        direction = self._cause(effects, key)
        self.decision.previous_ended_at = self.now
        self._wait_for_next(step, direction)
