"""Numbers for Prometheus, read from the database at each request: exact whichever process worked."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Min, Q, Sum
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from journeys.models import (
    Breaker,
    BreakerState,
    Channel,
    Journey,
    JourneyStep,
    RunStatus,
    StepExecution,
    Tally,
    TallyTotal,
    UserJourney,
    What,
)


@dataclass(frozen=True, slots=True)
class QueueState:
    """Runs that are due and that nobody has, the age of the oldest in seconds, leases that ended, dead letters, and
    the breakers that are not closed, those that failed longest first."""

    due: int
    oldest_due_seconds: float
    dead_leases: int
    dead_letters: int
    breakers: tuple[Breaker, ...]


def queue_state(now: datetime) -> QueueState:
    """How the queue is at `now`, the database's time."""
    overdue = UserJourney.objects.filter(status=RunStatus.ACTIVE, due_at__lte=now)
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    numbers = overdue.aggregate(
        due=Count("pk", filter=free),
        oldest=Min("due_at", filter=free),
        dead_leases=Count("pk", filter=Q(claim_token__isnull=False, lease_until__lt=now)),
    )
    oldest = (now - numbers["oldest"]).total_seconds() if numbers["oldest"] else 0.0
    dead_letters = StepExecution.objects.filter(dead_at__isnull=False).count()
    breakers = Breaker.objects.filter(Q(opened_at__isnull=False) | Q(busy_until__gt=now)).order_by("opened_at")
    return QueueState(numbers["due"], oldest, numbers["dead_leases"], dead_letters, tuple(breakers))


class JourneyCollector(Collector):
    """The journeys' counters and the queue's gauges."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        names = dict(Journey.objects.values_list("id", "name"))
        started = CounterMetricFamily("journey_started", "Runs that began.", labels=["name"])
        counts = counted(What.STARTED, steps=False)
        for journey_id, name in names.items():
            started.add_metric([name], counts.get(journey_id, 0))
        yield started
        yield from self._goals(names)
        yield self._steps(names)
        yield from self._gauges()

    def _goals(self, names: dict[UUID, str]) -> Iterator[Metric]:
        """What goals compare: those who entered and those who are held out, and how many of each reached it."""
        families = {
            What.CONVERTED: ("journey_converted", "Runs that reached their goal."),
            What.HELD_OUT: ("journey_held_out", "People who would have entered and are held out."),
            What.HELD_OUT_CONVERTED: ("journey_held_out_converted", "Of those held out, those who reached the goal."),
        }
        for what, (family, meaning) in families.items():
            counter, counts = CounterMetricFamily(family, meaning, labels=["name"]), counted(what, steps=False)
            for journey_id, name in names.items():
                counter.add_metric([name], counts.get(journey_id, 0))
            yield counter

    def _steps(self, names: dict[UUID, str]) -> Metric:
        """Steps that did what they are for: an execution counts once, when it succeeds."""
        fired = CounterMetricFamily("journey_step_fired", "Steps that were carried out.", labels=["name", "step"])
        counts = counted(What.SUCCESS, steps=True)
        by_name: dict[tuple[str, str], int] = {}
        for step_id, journey_id, step in JourneyStep.objects.values_list("id", "journey_id", "name"):
            key = names.get(journey_id, ""), step  # An archived step and its successor may have the same name.
            by_name[key] = by_name.get(key, 0) + counts.get(step_id, 0)
        for labels, count in by_name.items():
            fired.add_metric(labels, count)
        return fired

    def _gauges(self) -> Iterator[Metric]:
        state = queue_state(self.now)
        yield GaugeMetricFamily("journey_runs_due", "Runs that are due and that no worker has.", value=state.due)
        yield GaugeMetricFamily(
            "journey_oldest_due_seconds",
            "For how long the oldest of them has been due.",
            value=state.oldest_due_seconds,
        )
        yield GaugeMetricFamily("journey_dead_leases", "Runs whose worker was lost.", value=state.dead_leases)
        yield GaugeMetricFamily("journey_dead_letters", "Executions that finally failed.", value=state.dead_letters)
        yield self._breakers(state)

    def _breakers(self, state: QueueState) -> Metric:
        number = Counter(breaker.channel for breaker in state.breakers if breaker.state(self.now) == BreakerState.OPEN)
        gauge = GaugeMetricFamily(
            "journey_breakers_open", "Destinations that fail, and to which nothing is sent.", labels=["channel"]
        )
        for channel in Channel.values:
            gauge.add_metric([channel], number[channel])
        return gauge


def counted(what: What, *, steps: bool) -> dict[object, int]:
    """Counts by journey or by step. One statement reads tallies and totals: what moves between them is seen once."""
    key = "step_id" if steps else "journey_id"
    chosen = {"what": what, "step_id__isnull": not steps}
    tallies = Tally.objects.filter(**chosen).values(key).annotate(sum=Sum("count")).values_list(key, "sum")
    totals = TallyTotal.objects.filter(**chosen).values(key).annotate(sum=Sum("count")).values_list(key, "sum")
    counts: dict[object, int] = {}
    for owner, count in tallies.union(totals, all=True):
        counts[owner] = counts.get(owner, 0) + count
    return counts


def registry(now: datetime) -> CollectorRegistry:
    """A registry for one scrape."""
    scrape = CollectorRegistry(auto_describe=False)
    scrape.register(JourneyCollector(now))
    return scrape
