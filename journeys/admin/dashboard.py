"""The admin's first page: is it running, what is stuck and why, and what went out lately."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse

from journeys.actions.base import OutsideAction
from journeys.actions.registry import ACTIONS
from journeys.checks import unconfigured_channels
from journeys.engine.clock import database_clock
from journeys.metrics import queue_state
from journeys.models import (
    BreakerState,
    ExecutionStatus,
    Heartbeat,
    Journey,
    JourneyStep,
    StepExecution,
    Tally,
    TallyTotal,
    What,
)

DAYS = 14
MOST = 1000
LATE = timedelta(minutes=5)
TICK_IS_LATE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    note: str = ""
    url: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Stuck:
    """Something that does not go on by itself, why, and where to look."""

    what: str
    why: str
    url: str = ""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What templates/admin/index.html shows, for operators who may see runs."""
    user = request.user
    if not user.has_perm("journeys.view_userjourney"):
        return context
    now = database_clock()
    days = sends_by_day(now)
    return context | {
        "title": "Overview",
        "tiles": tiles(now),
        "stuck": stuck(now),
        "days": days,
        "most_sends": max((count for _, count in days), default=0),
        "has_journeys": Journey.objects.exists(),
        "may_add_journey": user.has_perm("journeys.add_journey"),
    }


def tiles(now: datetime) -> list[Tile]:
    queue = queue_state(now)
    runs = reverse("admin:journeys_userjourney_changelist")
    letters = reverse("admin:journeys_deadletter_changelist")
    executions = reverse("admin:journeys_stepexecution_changelist")
    since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    failed = _at_most(StepExecution.objects.filter(status=ExecutionStatus.FAILED, executed_at__gte=since))
    tick = Heartbeat.objects.filter(name="tick").first()
    is_late = queue.oldest_due_seconds > LATE.total_seconds()
    is_silent = tick is None or now - tick.at > TICK_IS_LATE
    return [
        Tile("Runs due now", f"{queue.due:,}", "waiting for a worker", f"{runs}?status__exact=active"),
        Tile("Oldest due for", ago(queue.oldest_due_seconds), "should be seconds", is_bad=is_late),
        Tile("Failed today", failed, "steps, since midnight UTC", f"{executions}?status__exact=failed"),
        Tile("Dead letters", f"{queue.dead_letters:,}", "replay or dismiss them", letters, queue.dead_letters > 0),
        Tile(
            "Last tick",
            f"{ago((now - tick.at).total_seconds())} ago" if tick else "never",
            "the worker's pulse",
            is_bad=is_silent,
        ),
    ]


def stuck(now: datetime) -> list[Stuck]:
    queue = queue_state(now)
    found = []
    if queue.oldest_due_seconds > LATE.total_seconds():
        why = f"The oldest has been due for {ago(queue.oldest_due_seconds)}. Is the worker running?"
        found.append(
            Stuck(f"{queue.due:,} runs wait for a worker", why, reverse("admin:journeys_userjourney_changelist"))
        )
    if queue.dead_leases:
        why = "The worker that had them was lost. Another takes them over as soon as one runs."
        found.append(Stuck(f"{queue.dead_leases:,} runs were left behind", why))
    for breaker in queue.breakers[:5]:
        if breaker.state(now) == BreakerState.OPEN:
            since = ago((now - breaker.opened_at).total_seconds()) if breaker.opened_at else ""
            what = f"Nothing gets through to {breaker.destination} for {since}"
            found.append(Stuck(what, breaker.last_error[:200], reverse("admin:journeys_breaker_changelist")))
    for kind, missing, names in unconfigured_channels():
        why = f"{missing} is not set; used by {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}."
        what = "is captured, not sent" if settings.DEBUG else "can't send"
        found.append(Stuck(f"“{ACTIONS[kind].label}” {what}", why))
    return found + _letters()


def _letters() -> list[Stuck]:
    """The newest dead letters, by step and error."""
    newest = StepExecution.objects.filter(dead_at__isnull=False).order_by("-dead_at").values("pk")[:MOST]
    groups = (
        StepExecution.objects.filter(pk__in=newest)
        .values_list("step__journey__name", "step__name", "error_message")
        .annotate(number=Count("pk"))
        .order_by("-number")[:5]
    )
    url = reverse("admin:journeys_deadletter_changelist")
    return [
        Stuck(f"“{step}” in {journey} failed for {number:,} {'people' if number != 1 else 'person'}", error[:200], url)
        for journey, step, error, number in groups
    ]


def sends_by_day(now: datetime) -> list[tuple[datetime, int]]:
    """How many messages went out on each of the last days, from tallies and totals."""
    kinds = [kind for kind, action in ACTIONS.items() if isinstance(action, OutsideAction)]
    steps = JourneyStep.objects.filter(action_type__in=kinds).values("pk")
    first = (now - timedelta(days=DAYS - 1)).astimezone(UTC).date()
    chosen = {"what": What.SUCCESS, "step_id__in": steps}
    totals = TallyTotal.objects.filter(**chosen, day__gte=first).values_list("day").annotate(number=Sum("count"))
    fresh = (
        Tally.objects.filter(**chosen, at__date__gte=first)
        .values_list(TruncDate("at", tzinfo=UTC))
        .annotate(number=Sum("count"))
    )
    counts: dict[Any, int] = {}
    for day, number in totals.union(fresh, all=True):
        counts[day] = counts.get(day, 0) + number
    days = [first + timedelta(days=ahead) for ahead in range(DAYS)]
    return [(datetime(day.year, day.month, day.day, tzinfo=UTC), counts.get(day, 0)) for day in days]


def ago(seconds: float) -> str:
    """A duration in its largest unit: 40 s, 5 min, 3 h, 2 days."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {'day' if number == 1 and unit == 'days' else unit}"
    return f"{max(0, int(seconds))} s"


def _at_most(rows: Any) -> str:
    """A count that never looks at more than a few rows."""
    number = rows.order_by()[: MOST + 1].count()
    return f"{number:,}" if number <= MOST else f"over {MOST:,}"
