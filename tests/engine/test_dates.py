"""Journeys on a date of the contact's: where they are, each date once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from journeys.authoring.publish import set_active
from journeys.engine import rounds
from journeys.models import Event, Journey
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}

pytestmark = pytest.mark.django_db


def on_date(now: datetime = NOW, **config: Any) -> Journey:
    config = {"attribute": "birthday", **config}
    return make_journey("Birthday", [STEP], trigger_type="date", trigger_config=config, now=now)


def person(user_id: str, birthday: Any, timezone: str = "", now: datetime = NOW - DAY) -> None:
    make_contact(user_id, now=now, timezone=timezone, attributes={"birthday": birthday})


def told(at: datetime) -> list[str]:
    rounds.look_and_take_in(lambda: at)
    return list(Event.objects.order_by("received_at", "contact__user_id").values_list("contact__user_id", flat=True))


def test_an_anniversary_is_every_year_once():
    on_date()
    person("u1", "1990-03-01")
    person("other", "1990-03-02")
    assert told(NOW + 8 * HOUR) == []
    assert told(NOW + 9 * HOUR) == ["u1"]
    assert told(NOW + 10 * HOUR) == ["u1"]
    assert told(NOW + DAY + 9 * HOUR) == ["u1", "other"]
    assert told(NOW + 365 * DAY + 9 * HOUR) == ["u1", "other", "u1"]


def test_the_hour_is_that_of_the_contact():
    on_date(now=NOW - DAY)
    person("kiritimati", "1990-03-01", "Pacific/Kiritimati", now=NOW - 2 * DAY)  # UTC+14
    person("berlin", "1990-03-01", "Europe/Berlin")
    person("honolulu", "1990-03-01", "Pacific/Honolulu")  # UTC-10
    person("nowhere", "1990-03-01")
    told(NOW - 6 * HOUR)
    assert told(NOW - 5 * HOUR) == ["kiritimati"]
    assert told(NOW + 8 * HOUR) == ["kiritimati", "berlin"]
    assert told(NOW + 9 * HOUR) == ["kiritimati", "berlin", "nowhere"]
    assert told(NOW + 19 * HOUR) == ["kiritimati", "berlin", "nowhere", "honolulu"]


def test_a_leap_day_is_the_28th_in_other_years():
    on_date(now=datetime(2026, 2, 1, tzinfo=UTC))
    person("leap", "1992-02-29", now=datetime(2026, 1, 1, tzinfo=UTC))
    assert told(datetime(2026, 2, 28, 9, tzinfo=UTC)) == ["leap"]
    assert told(datetime(2026, 3, 1, 9, tzinfo=UTC)) == ["leap"]
    assert told(datetime(2028, 2, 28, 9, tzinfo=UTC)) == ["leap"]
    assert told(datetime(2028, 2, 29, 9, tzinfo=UTC)) == ["leap", "leap"]


def test_days_before_and_after_and_once():
    on_date(when="once", days=-7, attribute="ends", at="10:30")
    make_contact("soon", now=NOW - DAY, attributes={"ends": "2026-03-08T23:00:00Z"})
    make_contact("year", now=NOW - DAY, attributes={"ends": "2025-03-08"})
    assert told(NOW + 10 * HOUR) == []
    assert told(NOW + 11 * HOUR) == ["soon"]
    assert Event.objects.get().message_id.startswith("date:2026-03-08:")


def test_a_first_anniversary_is_a_year_later():
    on_date(attribute="joined")
    make_contact("today", now=NOW - DAY, attributes={"joined": "2026-03-01"})
    make_contact("year", now=NOW - DAY, attributes={"joined": "2025-03-01"})
    assert told(NOW + 9 * HOUR) == ["year"]


def test_what_is_no_date_is_nobodys():
    on_date()
    for number, nonsense in enumerate(("tomorrow", "2026-99-99", "03-01", 7, None, ["1990-03-01"], "1990-03-011")):
        person(f"odd{number}", nonsense)
    assert told(NOW + 9 * HOUR) == []


def test_who_came_the_same_day_before_the_hour_counts_and_later_does_not():
    on_date()
    person("early", "1990-03-01", now=NOW + 8 * HOUR)
    person("late", "1990-03-01", now=NOW + 10 * HOUR)
    assert told(NOW + 11 * HOUR) == ["early"]


def test_an_outage_of_a_day_misses_nobody_and_a_longer_one_what_is_past():
    on_date()
    person("first", "1990-03-01")
    person("third", "1990-03-03")
    told(NOW + HOUR)
    assert told(NOW + 2 * DAY + 20 * HOUR) == ["third"]


def test_a_date_while_it_is_off_is_past():
    journey = on_date()
    person("u1", "1990-03-01")
    told(NOW + HOUR)
    set_active(journey.id, False, None, NOW + 2 * HOUR)
    told(NOW + 9 * HOUR)
    set_active(journey.id, True, None, NOW + 10 * HOUR)
    assert told(NOW + 11 * HOUR) == []


def test_another_zone_on_the_same_day_is_not_another_birthday():
    on_date(now=NOW - DAY)
    person("u1", "1990-03-01", "Asia/Tokyo")
    assert told(NOW + HOUR) == ["u1"]
    make_contact("u1", timezone="America/New_York")
    assert told(NOW + 15 * HOUR) == ["u1"]
