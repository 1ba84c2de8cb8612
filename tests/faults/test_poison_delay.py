"""One run, one journey, one template or one definition that raises delays nobody by much, and ends with its reason.

Delay is counted as work (poison.py), so that a slow machine changes nothing.
"""

from datetime import timedelta
from functools import cache

import pytest

from journeys.engine import cycle
from journeys.models import RunStatus, UserJourney
from tests.faults import poison
from tests.faults.scene import LENGTHEN

pytestmark = pytest.mark.django_db
OTHERS, BATCH = 3000 * LENGTHEN, 300


@cache
def work_without_poison() -> int:
    poison.others(OTHERS, "Alone", "downgrade")
    return poison.work_until_done(BATCH, "Alone").amount


def test_a_journey_whose_every_run_is_a_suspect_delays_others_by_a_tenth_at_most(monkeypatch: pytest.MonkeyPatch):
    """Small batches, so that it is their turn often; the clock runs, so that they come up again and again."""
    monkeypatch.setattr(cycle, "_share", cycle.Share())
    poison.others(OTHERS, "Alone", "downgrade")
    alone = poison.work_until_done(BATCH // 5, "Alone", minutes=1).amount
    UserJourney.objects.all().delete()
    poison.others(OTHERS)
    poison.suspects()
    poison.poison_comes_first()
    beside = poison.work_until_done(BATCH // 5, minutes=1).amount
    assert UserJourney.objects.filter(journey__name="Rejected journey", attempts__gt=1).exists()
    assert alone < beside <= alone * 1.1, (alone, beside)


@pytest.mark.parametrize("kind", poison.KINDS)
def test_poison_delays_others_by_a_tenth_at_most_and_ends_with_its_reason(kind: str):
    alone = work_without_poison()
    UserJourney.objects.all().delete()
    poison.others(OTHERS)
    poison.KINDS[kind]()
    poison.poison_comes_first()
    assert alone < poison.work_until_done(BATCH).amount <= alone * 1.1
    bad = UserJourney.objects.exclude(journey__name="Others")
    assert bad.exists()
    with poison.a_tag_that_raises():
        for day in range(1, 7):
            while cycle.work(lambda: poison.NOW + timedelta(days=day), BATCH).runs:  # noqa: B023 - called at once
                pass
    for run in bad.all():
        assert (run.status, poison.REASONS[kind] in run.failure_reason) == (RunStatus.FAILED, True)
    statuses = UserJourney.objects.filter(journey__name="Others").values_list("status", flat=True)
    assert set(statuses) == {RunStatus.COMPLETED}
