"""Inside steps a second against the way that this field's first versions work: every run loaded, and a query a step."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction

from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes, middle, per_second
from journeys.bench.inside_steps import HALF_DAY, drain
from journeys.bench.population import DAY, START
from journeys.logic.ids import execution_id
from journeys.models import ContactTag, ExecutionStatus, JourneyStep, RunStatus, StepExecution, Tag, UserJourney


def naive(sizes: Sizes) -> Figure:
    empty()
    for name, due, runs in (("engine", START, sizes.runs), ("naive", START + HALF_DAY, sizes.naive_runs)):
        journey = population.journey(name, population.tag_steps(sizes.rounds + 1, name))
        population.contacts(runs, f"{name}-")
        population.runs(journey, f"{name}-", due)
    fast, slow = [], []
    for day in range(sizes.rounds):
        settle()
        fast.append(per_second(partial(drain, START + day * DAY), sizes.runs))
        settle()
        slow.append(per_second(partial(_run_all, START + HALF_DAY + day * DAY), sizes.naive_runs))
    executions = count("step_executions", "status = 'success'")
    if executions != sizes.rounds * (sizes.runs + sizes.naive_runs):
        raise RuntimeError(f"{executions} executions were written: this is no figure")
    return Figure(
        "naive",
        middle(fast),
        middle(slow),
        "steps/s",
        "one process, against each active run loaded and each step asked for, by the ORM",
        at_least=30,
        details={"runs": sizes.runs, "naive_runs": sizes.naive_runs, "executions_written": executions},
    )


def _run_all(now: datetime) -> int:
    runs = UserJourney.objects.filter(status=RunStatus.ACTIVE, journey__name="naive").values_list("id", flat=True)
    return sum(_run(run_id, now) for run_id in runs)


@transaction.atomic
def _run(run_id: UUID, now: datetime) -> int:
    """One run as the seed's `execute_steps` takes it: from the first step on, each asked for by itself."""
    run = UserJourney.objects.get(id=run_id)
    taken, previous_ended_at = 0, run.started_at
    for step in JourneyStep.objects.filter(journey_id=run.journey_id, is_active=True).order_by("order"):
        earlier = StepExecution.objects.filter(user_journey=run, step=step).first()
        if earlier is not None:
            previous_ended_at = earlier.completed_at or previous_ended_at
            continue
        due_at = previous_ended_at + timedelta(minutes=step.delay_minutes)
        if due_at > now:
            run.current_step, run.due_at, run.step_due_at = step, due_at, due_at
            break
        contact = run.contact
        holds = contact.attributes.get("plan") == "premium"
        execution = StepExecution.objects.create(
            id=execution_id(run.id, step.id),
            user_journey=run,
            step=step,
            status=ExecutionStatus.PENDING,
            executed_at=now,
            created_at=now,
        )
        if holds:
            tag, _ = Tag.objects.get_or_create(
                name=step.action_config["tag"], defaults={"id": execution_id(run.id, step.id), "created_at": now}
            )
            ContactTag.objects.get_or_create(
                contact=contact, tag=tag, defaults={"execution_id": execution.id, "applied_at": now}
            )
        execution.status = ExecutionStatus.SUCCESS if holds else ExecutionStatus.SKIPPED
        execution.completed_at = previous_ended_at = now
        execution.save()
        run.previous_ended_at = run.updated_at = now
        taken += 1
    run.save()
    return taken
