"""Detectors find each person once: per idle spell, per expiry date, per crossing."""

from datetime import UTC, datetime, timedelta

import pytest

from journeys.engine.detect import detect
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, Event, EventSource, UserJourney
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}

pytestmark = pytest.mark.django_db


def found() -> list[str]:
    events = Event.objects.filter(source=EventSource.DETECTOR).order_by("contact__user_id")
    return list(events.values_list("contact__user_id", flat=True))


def set_attributes(user_id: str, **attributes: object) -> None:
    Contact.objects.filter(user_id=user_id).update(attributes=attributes)


def test_the_idle_are_found_once_per_spell_also_after_their_events_were_pruned():
    make_journey("Win back", [STEP], trigger_type="idle_user", trigger_config={"idle_days": 30}, now=NOW)
    ingest([Incoming("idle", "login"), Incoming("busy", "login", occurred_at=NOW + 20 * DAY)], NOW)
    assert detect(NOW + 29 * DAY) == 0
    assert detect(NOW + 30 * DAY) == 1
    assert found() == ["idle"]
    Event.objects.all().delete()
    assert detect(NOW + 31 * DAY) == 0
    ingest([Incoming("idle", "login")], NOW + 32 * DAY)
    ingest([Incoming("busy", "login")], NOW + 60 * DAY)
    assert detect(NOW + 62 * DAY) == 1
    assert found() == ["idle"]


def test_someone_who_never_did_anything_is_idle_since_they_came():
    make_journey("Win back", [STEP], trigger_type="idle_user", now=NOW)
    make_contact("quiet", now=NOW)
    assert detect(NOW + 29 * DAY) == 0
    assert detect(NOW + 30 * DAY) == 1


def test_the_idle_event_starts_only_the_journey_whose_setting_found_them():
    short = make_journey("Short", [STEP], trigger_type="idle_user", trigger_config={"idle_days": 7}, now=NOW)
    make_journey("Long", [STEP], trigger_type="idle_user", trigger_config={"idle_days": 70}, now=NOW)
    make_contact("quiet", now=NOW)
    detect(NOW + 8 * DAY)
    assert list(UserJourney.objects.values_list("journey_id", flat=True)) == [short.id]


def test_an_expiring_subscription_is_found_once_per_date():
    make_journey("Renew", [STEP], trigger_type="subscription_expiring", now=NOW)
    make_contact("soon", now=NOW, attributes={"subscription_expires_at": "2026-03-08"})
    make_contact("later", now=NOW, attributes={"subscription_expires_at": "2026-03-09T00:00:00Z"})
    make_contact("past", now=NOW, attributes={"subscription_expires_at": "2026-02-28"})
    for number, nonsense in enumerate(("tomorrow", "2026-99-99", "infinity", 7, None, ["2026-03-08"])):
        make_contact(f"odd{number}", now=NOW, attributes={"subscription_expires_at": nonsense})
    assert detect(NOW) == 1
    assert found() == ["soon"]
    assert detect(NOW + timedelta(hours=1)) == 0
    set_attributes("soon", subscription_expires_at="2026-04-08")
    assert detect(NOW + timedelta(days=32)) == 1
    assert found() == ["soon", "soon"]


def test_a_churn_score_is_found_once_per_crossing():
    make_journey("Save", [STEP], trigger_type="churn_risk", trigger_config={"threshold": 0.7}, now=NOW)
    make_contact("risky", now=NOW, attributes={"churn_score": 0.7})
    make_contact("safe", now=NOW, attributes={"churn_score": 0.69})
    make_contact("text", now=NOW, attributes={"churn_score": "0.9"})
    assert detect(NOW) == 1
    set_attributes("risky", churn_score=0.95)
    assert detect(NOW) == 0
    set_attributes("risky", churn_score=0.1)
    assert detect(NOW) == 0
    set_attributes("risky", churn_score=0.9)
    assert detect(NOW) == 1
    assert found() == ["risky", "risky"]


def test_detection_makes_no_query_per_contact(django_assert_num_queries):
    make_journey("Win back", [STEP], trigger_type="idle_user", now=NOW)
    ingest([Incoming("busy", "idle_user")], NOW + 30 * DAY)  # From here on the flow is compiled.
    make_contact("u0", now=NOW)
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as single:
        assert detect(NOW + 30 * DAY) == 1
    for number in range(1, 50):
        make_contact(f"u{number}", now=NOW)
    with django_assert_num_queries(len(single)):
        assert detect(NOW + 30 * DAY) == 49


def test_a_journey_whose_settings_cannot_be_read_keeps_no_other_from_its_detector():
    bad = make_journey("Bad", [STEP], trigger_type="idle_user", priority=9, now=NOW)
    bad.live_version.definition["trigger_config"] = {"idle_days": "many"}
    bad.live_version.save()
    make_journey("Good", [STEP], trigger_type="idle_user", now=NOW)
    make_contact("quiet", now=NOW)
    assert detect(NOW + 30 * DAY) == 1
