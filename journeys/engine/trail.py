"""What a run's way leaves behind: executions, messages that stay unsent, and what its steps cause."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from journeys.engine.decision import Decision, Execution, Past, Run
from journeys.logic.effects import (
    Direction,
    InsideEffect,
    Undelivered,
)
from journeys.logic.flow import Step
from journeys.logic.ids import execution_id
from journeys.models import ExecutionStatus, What


class Trail:
    """One run's executions, those that are there and those that are made now, and its decision, which notes them."""

    def __init__(self, run: Run, decision: Decision, now: datetime) -> None:
        self.run, self.decision, self.now = run, decision, now
        self.attempts = run.attempts
        self.past = dict(run.past)
        self._keyed: tuple[Step | None, UUID] = None, run.id

    def _key(self, step: Step) -> UUID:
        """The id of the step's execution, made once while the step is taken."""
        if self._keyed[0] is not step:
            self._keyed = step, execution_id(self.run.id, step.id)
        return self._keyed[1]

    def _is_done(self, step: Step) -> bool:
        past = self.past.get(step.id)
        return past is not None and past.status != ExecutionStatus.PENDING

    def _write(
        self,
        step: Step,
        status: ExecutionStatus,
        *,
        result: Mapping[str, Any] | None = None,
        error: str = "",
        dead: bool = False,
    ) -> UUID:
        """Note the step's execution; its id."""
        key = self._key(step)
        self.decision.executions[key] = Execution.of(
            key, self.run, step.id, status, self.now, result or {}, error, self.attempts, dead=dead
        )
        self.past[step.id] = Past(status, self.attempts)
        return key

    def _cause(self, effects: tuple[InsideEffect, ...], key: UUID) -> Direction | None:
        """Note the effects, and let this run's later steps see them; where they send the run."""
        direction: Direction | None = None
        for effect in effects:
            if isinstance(effect, Direction):
                direction = effect
            else:
                self.run.person.see(effect)
                self.decision.effects.append((effect, key))
        return direction

    def _give_up_pending(self, step: Step, reason: str) -> None:
        past = self.past.get(step.id)
        if past is not None and past.status == ExecutionStatus.PENDING:
            self._unsend(past, reason)
            self._give_up(step, reason)

    def _give_up(self, step: Step, reason: str) -> None:
        self.run.person.uncount(self._write(step, ExecutionStatus.SKIPPED, result={"reason": reason}))
        self.decision.count(What.SKIPPED, step.id)

    def _unsend(self, past: Past | None, reason: str) -> None:
        """A message that is pending stays unsent."""
        if past is not None and past.message is not None:
            self.run.person.uncount(past.message.id)
            self.decision.outcomes.append((past.message.id, Undelivered(reason, permanent=True), True))
