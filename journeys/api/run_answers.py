"""What the API answers of runs, their executions and dead letters."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, JsonValue, RootModel

from journeys.api.answers import Answer
from journeys.models import DeadLetter, StepExecution, UserJourney


class RunOut(Answer):
    """One person's way through one journey."""

    id: UUID
    user_id: str
    journey_id: UUID
    journey_name: str
    status: str
    current_step_id: UUID | None
    started_at: datetime
    completed_at: datetime | None
    metadata: dict[str, JsonValue]

    @classmethod
    def fields_of(cls, run: UserJourney) -> dict[str, Any]:
        """Reads the journey and the contact: fetch them before."""
        return {
            "id": run.id,
            "user_id": run.contact.user_id,
            "journey_id": run.journey_id,
            "journey_name": run.journey.name,
            "status": run.status,
            "current_step_id": run.current_step_id,
            "started_at": run.started_at,
            "completed_at": run.completed_at,
            "metadata": run.metadata,
        }


class RunList(RootModel[list[RunOut]]):
    @classmethod
    def of(cls, runs: Iterable[UserJourney]) -> "RunList":
        return cls([RunOut.model_validate(RunOut.fields_of(run)) for run in runs])


class ExecutionOut(Answer):
    id: UUID
    step_id: UUID
    step_key: str
    step_name: str
    status: str
    executed_at: datetime
    completed_at: datetime | None
    result: dict[str, JsonValue]
    error_message: str
    retry_count: int

    @classmethod
    def of(cls, execution: StepExecution) -> "ExecutionOut":
        own = {name: getattr(execution, name) for name in cls.model_fields if not name.startswith("step_")}
        step = execution.step
        return cls.model_validate({**own, "step_id": step.id, "step_key": step.key, "step_name": step.name})


_OF_DETAIL = ("failed_at", "failure_reason", "exit_reason", "goal_at", "due_at", "awaits_event")


class RunDetail(RunOut):
    failed_at: datetime | None
    failure_reason: str
    exit_reason: str
    goal_at: datetime | None = Field(description="When the journey's goal was reached.")
    due_at: datetime | None = Field(description="When it needs attention next.")
    awaits_event: str | None = Field(description="The event that it waits for, if it does; until `due_at`.")
    executions: list[ExecutionOut]

    @classmethod
    def of(cls, run: UserJourney, executions: Iterable[StepExecution]) -> "RunDetail":
        own = {name: getattr(run, name) for name in cls.model_fields if name in _OF_DETAIL}
        listed = [ExecutionOut.of(execution) for execution in executions]
        return cls.model_validate({**RunOut.fields_of(run), **own, "executions": listed})


class DeadLetterOut(Answer):
    """A step that failed for good."""

    id: UUID = Field(description="The execution's, and the key of all its tries.")
    run_id: UUID
    user_id: str
    journey_id: UUID
    journey_name: str
    step_id: UUID
    step_key: str
    step_name: str
    action_type: str
    error_message: str
    retry_count: int
    dead_at: datetime

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterOut":
        """Reads step, journey, run and contact: fetch them before."""
        own = {name: getattr(letter, name) for name in ("id", "error_message", "retry_count", "dead_at")}
        step, run = letter.step, letter.user_journey
        return cls.model_validate(
            {
                **own,
                "run_id": run.id,
                "user_id": run.contact.user_id,
                "journey_id": step.journey_id,
                "journey_name": step.journey.name,
                "step_id": step.id,
                "step_key": step.key,
                "step_name": step.name,
                "action_type": step.action_type,
            }
        )


class DeadLetterList(RootModel[list[DeadLetterOut]]):
    @classmethod
    def of(cls, letters: Iterable[DeadLetter]) -> "DeadLetterList":
        return cls([DeadLetterOut.of(letter) for letter in letters])


class Executed(Answer):
    """What that call did."""

    status: Literal["executed"] = "executed"
    executed: int
    skipped: int
    failed: int
    total_steps: int


class NotExecuted(Answer):
    status: Literal["skipped"] = "skipped"
    reason: Literal["journey not active", "being executed"]


class ExecuteAnswer(RootModel[Executed | NotExecuted]):
    pass
