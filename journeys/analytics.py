"""Numbers for people, from tallies and totals. Reads models only."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import CharField, Count, Sum, Value

from journeys.models import RunStatus, Tally, TallyTotal, UserJourney, What

INSIDE = "inside"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What became of a journey's runs, ever; `inside` are the people in it now.

    Who is held out counts beside them: not among those who started, nor among those who converted.
    """

    started: int = 0
    completed: int = 0
    failed: int = 0
    exited: int = 0
    converted: int = 0
    held_out: int = 0
    held_out_converted: int = 0
    inside: int = 0

    @property
    def conversion(self) -> float | None:
        """The percentage of those who started that reached the goal; None of nobody."""
        return 100 * self.converted / self.started if self.started else None

    @property
    def held_out_conversion(self) -> float | None:
        """The same of those who are held out."""
        return 100 * self.held_out_converted / self.held_out if self.held_out else None


def journey_numbers(journey_ids: Iterable[UUID]) -> dict[UUID, Numbers]:
    """The numbers of each journey, in one statement, so that they fit each other."""
    ids = list(journey_ids)
    counted = [
        *(What.STARTED, What.COMPLETED, What.FAILED, What.EXITED),
        *(What.CONVERTED, What.HELD_OUT, What.HELD_OUT_CONVERTED),
    ]
    live = [RunStatus.ACTIVE, RunStatus.PAUSED]
    totals, fresh = (
        model.objects.filter(journey_id__in=ids, step_id=None, what__in=counted)
        .order_by()
        .values_list("journey_id", "what")
        .annotate(number=Sum("count"))
        for model in (TallyTotal, Tally)
    )
    inside = (
        UserJourney.objects.filter(journey_id__in=ids, status__in=live)
        .order_by()
        .annotate(what=Value(INSIDE, output_field=CharField()))
        .values_list("journey_id", "what")
        .annotate(number=Count("id"))
    )
    found: dict[UUID, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for journey_id, what, number in totals.union(fresh, inside, all=True):
        found[journey_id][what] += int(number)
    return {journey_id: Numbers(**found[journey_id]) for journey_id in ids}
