"""Windows, quiet hours and delays from the start, as runs keep them: at computing, and again at each attempt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from journeys.authoring.document import DocumentError, export, parse
from journeys.authoring.publish import patch_journey
from journeys.engine import cycle
from journeys.engine.contacts import upsert_contact
from journeys.engine.ingest import Incoming, ingest
from journeys.models import JourneyVersion, Message, StepExecution, UserJourney
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import document_of, make_contact, make_journey
from tests.sinks_http import BotApi, Reply

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""A Monday; noon in UTC, two o'clock in Berlin."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFFICE = {"from": "09:00", "to": "17:00"}
NIGHT = {"from": "22:00", "to": "08:00"}
HELLO = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hi"}}

pytestmark = pytest.mark.django_db


def start(*steps: dict[str, Any], zone: str = "Europe/Berlin", now: datetime = NOW, **settings: Any) -> UserJourney:
    make_contact("u1", now, timezone=zone, telegram_chat_id="7")
    make_journey("Hours", steps, now=now, **settings)
    ingest([Incoming("u1", "signup")], now)
    return UserJourney.objects.get()


def due() -> datetime | None:
    return UserJourney.objects.get().due_at


def test_the_first_step_is_due_when_its_window_opens():
    start(tag("a", window={"from": "15:00", "to": "16:00"}))
    assert due() == NOW + HOUR


def test_a_delay_that_ends_outside_the_window_waits_for_it():
    start(tag("a"), tag("b", delay_minutes=240, window=OFFICE))
    work_at(NOW)
    run = UserJourney.objects.get()
    assert run.due_at == run.step_due_at == datetime(2026, 6, 2, 7, tzinfo=UTC)


def test_only_messages_keep_the_quiet_hours(bot):
    start(tag("a", delay_minutes=600), HELLO, quiet_hours=NIGHT)
    work_at(NOW + 10 * HOUR)
    assert tags_of() == {"a"}
    assert (due(), Message.objects.count()) == (datetime(2026, 6, 2, 6, tzinfo=UTC), 0)
    work_at(due())
    assert [message.status for message in Message.objects.all()] == ["sent"]


def test_a_step_that_comes_late_looks_at_the_clock_again():
    """Due within its window, and taken after an outage behind it: it waits for the next."""
    start(tag("a", delay_minutes=60, window=OFFICE))
    assert due() == NOW + HOUR
    work_at(NOW + 8 * HOUR)
    run = UserJourney.objects.get()
    assert (run.due_at, run.step_due_at, tags_of()) == (datetime(2026, 6, 2, 7, tzinfo=UTC), NOW + HOUR, set())
    work_at(run.due_at)
    assert tags_of() == {"a"}


def test_a_message_that_failed_in_the_evening_is_tried_again_in_the_morning(settings):
    evening = datetime(2026, 6, 1, 19, 59, 58, tzinfo=UTC)
    with BotApi(token="1:a") as api:
        api.next(*[Reply(500)] * 9)
        settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = api.url, "1:a"
        settings.JOURNEYS = {**settings.JOURNEYS, "RETRY_BASE_SECONDS": 600, "RETRY_AFTER_CAP_SECONDS": 600}
        start(HELLO, quiet_hours=NIGHT, now=evening)
        work_at(evening)
        while (at := due()) is not None and at < evening + 3 * HOUR:
            work_at(at)
    assert due() == datetime(2026, 6, 2, 6, tzinfo=UTC)
    assert StepExecution.objects.get().status == "pending"


def test_somebody_who_moved_is_not_woken_at_night(bot):
    start(tag("a"), HELLO | {"delay_minutes": 60 * 20}, quiet_hours=NIGHT)
    work_at(NOW)
    upsert_contact("u1", {"timezone": "America/Los_Angeles"}, NOW + HOUR)
    work_at(due())  # 10:00 in Berlin, one o'clock in the night in Los Angeles.
    assert due() == datetime(2026, 6, 2, 15, tzinfo=UTC)


def test_a_step_is_stale_by_the_time_that_its_window_gave_it():
    start(tag("a", delay_minutes=240, window=OFFICE, expires_after_minutes=60))
    work_at(datetime(2026, 6, 2, 7, 30, tzinfo=UTC))
    assert tags_of() == {"a"}


def test_a_delay_from_the_start_does_not_add_up():
    start(tag("a", delay_minutes=600), tag("b", delay_minutes=1440, delay_from="journey_start"))
    work_at(NOW + 10 * HOUR)
    assert due() == NOW + DAY


def test_a_delay_from_the_start_that_is_over_waits_for_the_step_before():
    start(tag("a", delay_minutes=600), tag("b", delay_minutes=60, delay_from="journey_start"))
    work_at(NOW + 10 * HOUR)
    assert tags_of() == {"a", "b"}


def test_an_edit_of_the_quiet_hours_reaches_who_waits_at_a_message():
    run = start(HELLO | {"delay_minutes": 60 * 9})
    assert due() == NOW + 9 * HOUR
    patch_journey(run.journey_id, {"quiet_hours": NIGHT}, None, NOW)
    work_at(NOW)
    assert due() == datetime(2026, 6, 2, 6, tzinfo=UTC)
    patch_journey(run.journey_id, {"quiet_hours": None}, None, NOW)
    work_at(NOW)
    assert due() == NOW + 9 * HOUR


def test_a_journey_without_hours_keeps_its_version():
    run = start(tag("a", delay_minutes=5))
    version = JourneyVersion.objects.get()
    assert not {"quiet_hours", "window", "delay_from"} & {*version.definition, *version.definition["steps"][0]}
    patch_journey(run.journey_id, {"description": "Nothing else."}, None, NOW)
    assert JourneyVersion.objects.count() == 1


def test_hours_come_back_from_the_document_as_they_went_in():
    window = {"days": ["mon", "fri"], "from": "22:00", "to": "02:00"}
    run = start(tag("a", window=window, delay_from="journey_start"), quiet_hours=NIGHT)
    written = export(run.journey)
    assert (written["quiet_hours"], written["steps"][0]["window"]) == (NIGHT, window)
    assert parse(written).steps[0].delay_from == "journey_start"
    assert parse({**written, "steps": [{**written["steps"][0], "window": {}}]}).steps[0].window is None


@pytest.mark.parametrize(
    ("settings", "step", "field", "fault"),
    [
        (
            {"quiet_hours": NIGHT},
            HELLO | {"window": {"from": "23:00", "to": "07:00"}},
            "steps[0].window",
            "wholly within",
        ),
        ({"quiet_hours": {"from": "22:00"}}, HELLO, "quiet_hours.to", "required"),
        ({"quiet_hours": {"from": "8:00", "to": "09:00"}}, HELLO, "quiet_hours.from", "09:00"),
        ({"quiet_hours": {"from": "08:00", "to": "08:00"}}, HELLO, "quiet_hours", "differs"),
        ({}, HELLO | {"window": {"from": "09:00"}}, "steps[0].window", "both from and to"),
        ({}, HELLO | {"window": {"from": "24:00", "to": "09:00"}}, "steps[0].window.from", "09:00"),
        ({}, HELLO | {"window": {"days": ["mon", "mon"]}}, "steps[0].window.days", "twice"),
        ({}, HELLO | {"window": {"days": ["someday"]}}, "steps[0].window.days[0]", "mon"),
        ({}, HELLO | {"delay_from": "yesterday"}, "steps[0].delay_from", "previous_step"),
    ],
)
def test_hours_that_make_no_sense_are_refused(settings: dict[str, Any], step: dict[str, Any], field: str, fault: str):
    with pytest.raises(DocumentError) as caught:
        parse(document_of(steps=[step], **settings))
    (found,) = caught.value.faults
    assert found.path == field
    assert fault in found.message


def test_a_tag_may_come_within_the_quiet_hours():
    parse(document_of(steps=[tag("a", window={"from": "23:00", "to": "07:00"})], quiet_hours=NIGHT))


def test_a_message_whose_worker_died_waits_for_its_hours_and_goes_out_as_it_was(bot, monkeypatch):
    start(HELLO, quiet_hours=NIGHT)
    with monkeypatch.context() as deadly:
        deadly.setattr(cycle, "dispatch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            work_at(NOW)
    UserJourney.objects.update(lease_until=NOW)
    upsert_contact("u1", {"timezone": "Pacific/Auckland"}, NOW)
    work_at(NOW)  # Midnight there.
    assert due() == datetime(2026, 6, 1, 20, tzinfo=UTC)
    work_at(due())
    (message,) = Message.objects.all()
    assert (message.status, message.created_at, len(bot.requests)) == ("sent", NOW, 1)
