"""Keys sort by the caller's clock, and an execution has exactly one."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from journeys.logic.ids import execution_id, uuid7

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_keys_are_version_seven_and_sort_by_the_given_time():
    chance = random.Random(1)
    keys = [uuid7(NOW + timedelta(milliseconds=number), chance.getrandbits) for number in range(1000)]
    assert keys == sorted(keys)
    assert {(key.version, key.variant) for key in keys} == {(7, "specified in RFC 4122")}


def test_keys_of_one_millisecond_differ():
    assert len({uuid7(NOW, random.Random(1).getrandbits)}) == 1
    chance = random.Random(1)
    assert len({uuid7(NOW, chance.getrandbits) for _ in range(10_000)}) == 10_000


def test_an_execution_has_one_id_with_its_runs_time():
    run, step = uuid7(NOW, random.Random(1).getrandbits), UUID(int=7)
    key = execution_id(run, step)
    assert key == execution_id(run, step)
    assert key.version == 8
    assert key.int >> 80 == run.int >> 80
    assert key != execution_id(run, UUID(int=8))
    assert key != execution_id(uuid7(NOW, random.Random(2).getrandbits), step)
