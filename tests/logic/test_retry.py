from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.logic.retry import RetryPolicy, parse_retry_after, retry_delay

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = RetryPolicy(max_attempts=4, base_seconds=10, cap_seconds=25, max_retry_after=600)


def seconds(attempt: int, chance: float, retry_after: float | None = None) -> float:
    delay = retry_delay(attempt, lambda: chance, retry_after, POLICY)
    assert delay is not None
    return delay.total_seconds()


def test_ceiling_doubles_with_each_attempt_up_to_the_cap() -> None:
    assert [seconds(attempt, 1.0) for attempt in (1, 2, 3)] == [10, 20, 25]


def test_jitter_takes_any_share_of_the_ceiling() -> None:
    assert (seconds(2, 0.0), seconds(2, 0.25)) == (0, 5)


@pytest.mark.parametrize("attempt", [4, 5, 100])
def test_exhausted_attempts_are_not_retried_whatever_the_provider_asks(attempt: int) -> None:
    assert retry_delay(attempt, lambda: 0.5, 5, POLICY) is None


@pytest.mark.parametrize("attempt", [0, -1])
def test_an_attempt_that_never_happened_is_a_programming_error(attempt: int) -> None:
    with pytest.raises(ValueError, match="attempt"):
        retry_delay(attempt, lambda: 0.5, None, POLICY)


@given(chance=st.floats(0, 1, exclude_max=True), asked=st.floats(0.001, 600), attempt=st.integers(1, 3))
def test_a_retry_is_never_earlier_than_the_provider_asked(chance: float, asked: float, attempt: int) -> None:
    assert asked - 1e-6 <= seconds(attempt, chance, asked) <= max(25, asked * 1.1) + 1e-6


@pytest.mark.parametrize("asked", [601, 10**9, float("inf")])
def test_an_excessive_retry_after_is_clamped(asked: float) -> None:
    assert seconds(1, 0.0, asked) == 600


@pytest.mark.parametrize("asked", [0, -5, float("nan")])
def test_a_retry_after_that_asks_for_nothing_leaves_the_backoff(asked: float) -> None:
    assert seconds(1, 0.5, asked) == 5


def test_a_million_attempts_do_not_overflow() -> None:
    patient = RetryPolicy(max_attempts=2_000_000, base_seconds=1, cap_seconds=60)
    assert retry_delay(1_000_000, lambda: 1.0, None, patient) == timedelta(seconds=60)


@pytest.mark.parametrize("name", ["max_attempts", "base_seconds", "cap_seconds", "max_retry_after"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_policy_refuses_values_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        RetryPolicy(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),  # RFC 850, obsolete and still to be accepted
        ("Sun Mar  1 12:00:30 2026", 30.0),  # asctime, the same
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("٣", None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
        ("Sun, 01 Mar 99999999999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, expected: float | None) -> None:
    assert parse_retry_after(header, NOW) == expected


@given(st.text())
def test_no_retry_after_header_raises(header: str) -> None:
    found = parse_retry_after(header, NOW)
    assert found is None or found >= 0


def test_an_absurdly_long_number_is_clamped_like_any_other() -> None:
    assert seconds(1, 0.0, parse_retry_after("9" * 500, NOW)) == 600
