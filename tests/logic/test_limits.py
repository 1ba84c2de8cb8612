"""Rates as people write them, and for how long what waits is left alone."""

from datetime import UTC, datetime, timedelta

import pytest

from journeys.logic.limits import LATE, SPREAD_CAP, is_mine, parse_rate, wait_for_probe, wait_until_free

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("1/s", SECOND),
        ("20/m", 3 * SECOND),
        ("60/h", MINUTE),
        ("1/d", timedelta(days=1)),
        ("1000/s", timedelta(milliseconds=1)),
        ("unlimited", None),
    ],
)
def test_a_rate_is_the_time_between_two_messages(text: str, gap: timedelta | None) -> None:
    assert parse_rate(text) == gap


@pytest.mark.parametrize("text", ["", "0/s", "30", "30/x", "-1/s", "1.5/s", "30 / s", "9" * 20 + "/s", "٣/s"])
def test_what_is_no_rate_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate: expected 30/s"):
        parse_rate(text)


def test_a_slot_can_be_used_from_its_time_on_and_is_lost_soon_after() -> None:
    assert is_mine(NOW, NOW)
    assert is_mine(NOW, NOW + LATE)
    assert not is_mine(NOW, NOW + LATE + SECOND)
    assert not is_mine(NOW + SECOND, NOW)
    assert not is_mine(None, NOW)


def test_the_longer_a_breaker_is_open_the_wider_what_waits_is_spread() -> None:
    def latest(open_for: timedelta) -> timedelta:
        return wait_for_probe(NOW - open_for, NOW + MINUTE, NOW, 1.0) - NOW

    assert latest(timedelta(0)) == 2 * MINUTE
    assert latest(10 * MINUTE) == 11 * MINUTE
    assert latest(timedelta(days=2)) == SPREAD_CAP + MINUTE
    assert wait_for_probe(NOW - timedelta(days=2), NOW + MINUTE, NOW, 0.0) == NOW + MINUTE
    assert wait_for_probe(NOW, NOW - MINUTE, NOW, 0.0) == NOW, "a probe that is overdue is no reason to look back"


def test_what_a_destination_wanted_later_comes_no_earlier_and_not_all_at_once() -> None:
    until = NOW + 10 * MINUTE
    assert wait_until_free(until, NOW, 0.0) == until
    assert wait_until_free(until, NOW, 1.0) == until + MINUTE
    assert wait_until_free(NOW + SECOND, NOW, 1.0) == NOW + 2 * SECOND
