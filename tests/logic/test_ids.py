"""Keys sort by the caller's clock, and an execution has exactly one."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from journeys.logic.ids import earliest_id, execution_id, execution_range, time_of, uuid7

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


def test_the_earliest_id_of_a_moment_parts_the_keys_made_before_it_from_those_after():
    chance = random.Random(3)
    bound, tick = earliest_id(NOW), timedelta(milliseconds=1)
    for _ in range(100):
        assert uuid7(NOW - tick, chance.getrandbits) < bound <= uuid7(NOW, chance.getrandbits)
        assert execution_id(uuid7(NOW - tick, chance.getrandbits), UUID(int=7)) < bound
        assert bound <= execution_id(uuid7(NOW, chance.getrandbits), UUID(int=7))


def test_a_key_tells_its_moment_to_the_millisecond():
    chance = random.Random(4)
    for year in (1970, 2026, 8999):
        moment = datetime(year, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)
        assert time_of(uuid7(moment, chance.getrandbits)) == time_of(earliest_id(moment)) == moment


def test_all_executions_of_some_runs_lie_in_their_range_and_those_of_others_do_not():
    chance = random.Random(5)
    runs = [uuid7(NOW + timedelta(days=days), chance.getrandbits) for days in (3, 1, 2)]
    first, end = execution_range(runs)
    for run in runs:
        assert first <= execution_id(run, UUID(int=chance.getrandbits(128))) < end
    for days in (0, 4):
        other = uuid7(NOW + timedelta(days=days), chance.getrandbits)
        assert not first <= execution_id(other, UUID(int=7)) < end
