"""Engine and reference agree: on every execution, every due time, all that steps caused, and that nothing is lost."""

import os
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, seed, settings

from journeys.logic import flow
from tests.reference.comparison import unconserved
from tests.reference.play import Disagreement, play
from tests.reference.script import Happens, Works, World
from tests.reference.worlds import STARTS, worlds

EXAMPLES = int(os.environ.get("REFERENCE_EXAMPLES", "200"))
SEED = int(os.environ.get("REFERENCE_SEED", "1"))
SHARDS = 4
"""So that as many processes can share the work."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_engine_does_what_the_reference_does(shard: int):
    @seed(SEED * SHARDS + shard)
    @settings(
        max_examples=EXAMPLES // SHARDS,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def agree(world: World) -> None:
        play(world)

    agree()


TAG = {"key": "k1", "name": "k1", "action_type": "apply_tag", "action_config": {"tag": "a"}}
STEPS = (TAG, {**TAG, "key": "k2", "name": "k2", "delay_minutes": 5})
JOURNEY = {
    "name": "J1", "trigger_type": "signup", "trigger_config": {}, "priority": 0, "is_active": True, "steps": STEPS,
}  # fmt: skip
SMALL = World(STARTS[0], {}, (JOURNEY,), (Happens("u1"), Works()))


def test_a_due_time_that_is_off_by_a_second_is_found_out(monkeypatch):
    play(SMALL)
    step_due = flow.step_due
    monkeypatch.setattr(flow, "step_due", lambda *about: step_due(*about) + timedelta(seconds=1))
    with pytest.raises(Disagreement, match=r"12:00:01.*the reference.*12:00:00"):
        play(SMALL)


def test_somebody_who_is_nowhere_and_somebody_whom_nothing_will_wake_are_found_out():
    asleep = ("active", "k1", None, None)
    counts = {("J1", "", "started"): 3, ("J1", "", "completed"): 1, ("J1", "k1", "success"): 1}
    assert unconserved({"count": counts, "run": {("u1", "J1"): asleep}}) == [
        "of 3 who entered J1, 2 are somewhere",
        "nothing will wake ('u1', 'J1')",
    ]
