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
    """What became of a journey's runs, ever; `inside` are the people in it now."""

    started: int = 0
    completed: int = 0
    failed: int = 0
    exited: int = 0
    inside: int = 0


def journey_numbers(journey_ids: Iterable[UUID]) -> dict[UUID, Numbers]:
    """The numbers of each journey, in one statement, so that they fit each other."""
    ids = list(journey_ids)
    counted = [What.STARTED, What.COMPLETED, What.FAILED, What.EXITED]
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
