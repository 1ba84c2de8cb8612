"""Engine and reference agree: on every execution, every due time, all that steps caused, and that nothing is lost."""

import os

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.reference.play import play
from tests.reference.script import World
from tests.reference.worlds import worlds

EXAMPLES = int(os.environ.get("REFERENCE_EXAMPLES", "400"))
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
