from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from journeys.logic.caps import Cap, Sent, free_at

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAILY, WEEKLY = Cap("email", 2, DAY), Cap("", 3, 7 * DAY)


def sent(*ago: timedelta, by: str = "email") -> list[Sent]:
    return [Sent(by, NOW - each, UUID(int=number)) for number, each in enumerate(ago)]


@pytest.mark.parametrize(
    ("caps", "before", "channel", "free"),
    [
        ([], sent(HOUR, HOUR, HOUR), "email", None),
        ([DAILY], sent(HOUR), "email", None),
        ([DAILY], sent(HOUR, 5 * HOUR), "email", NOW + 19 * HOUR),
        ([DAILY], sent(5 * HOUR, HOUR, 3 * HOUR), "email", NOW + 21 * HOUR),
        ([DAILY], sent(DAY, HOUR), "email", None),
        ([DAILY], sent(DAY - timedelta(microseconds=1), HOUR), "email", NOW + timedelta(microseconds=1)),
        ([DAILY], sent(HOUR, 2 * HOUR), "push", None),
        ([DAILY], [*sent(HOUR), *sent(HOUR, by="push")], "email", None),
        ([DAILY, WEEKLY], [*sent(HOUR, 2 * HOUR), *sent(6 * DAY, by="push")], "email", NOW + DAY),
        ([DAILY, WEEKLY], [*sent(HOUR, 2 * HOUR), *sent(3 * DAY, by="push")], "email", NOW + 4 * DAY),
        ([DAILY, WEEKLY], [*sent(HOUR), *sent(3 * DAY, 2 * DAY, by="push")], "push", NOW + 4 * DAY),
    ],
)
def test_a_message_may_go_when_each_cap_has_room(
    caps: list[Cap], before: list[Sent], channel: str, free: datetime | None
) -> None:
    assert free_at(caps, before, channel, NOW) == free
