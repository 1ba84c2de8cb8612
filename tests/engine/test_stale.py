"""Steps that come too late: after an outage, a pause or long tries, what has expired is skipped, not sent."""

from datetime import UTC, datetime, timedelta

import pytest

from journeys.authoring.document import export, parse
from journeys.authoring.publish import patch_journey, set_active
from journeys.engine import replay
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Journey, JourneyVersion, Message, MessageStatus, RunStatus, StepExecution, UserJourney
from tests.engine.test_cycle import start, statuses, tag, tags_of, work_at
from tests.factories import make_contact, make_journey
from tests.sinks_http import BotApi

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SALE = {
    "name": "Sale",
    "action_type": "send_telegram",
    "action_config": {"message": "Today only"},
    "expires_after_minutes": 60,
}

pytestmark = pytest.mark.django_db


def test_a_step_whose_turn_comes_after_it_expired_is_skipped_as_stale_and_the_run_goes_on():
    make_journey("Outage", [tag("a", expires_after_minutes=30), tag("b")], now=NOW)
    run = start()
    work_at(NOW + 31 * MINUTE)
    assert statuses(run) == [("Tag a", "skipped"), ("Tag b", "success")]
    skipped = StepExecution.objects.get(status="skipped")
    assert skipped.result == {"reason": "stale", "meant_for": "2026-03-01T09:00:00.000000+00:00"}
    assert tags_of() == {"b"}


def test_the_last_moment_is_in_time():
    make_journey("Outage", [tag("a", delay_minutes=5, expires_after_minutes=30)], now=NOW)
    start()
    work_at(NOW + 35 * MINUTE)
    assert tags_of() == {"a"}


def test_each_step_is_measured_by_its_own_due_time():
    make_journey("Outage", [tag("a", delay_minutes=5), tag("b", delay_minutes=5, expires_after_minutes=1)], now=NOW)
    start()
    work_at(NOW + DAY)  # Late for the first, which never expires; the second counts from the first one's end.
    work_at(NOW + DAY + 5 * MINUTE)
    assert tags_of() == {"a", "b"}


def test_a_retry_expires_too_and_its_message_stays_unsent(bot):
    make_contact("u1", now=NOW, telegram_chat_id="7")
    make_journey("Outage", [SALE, tag("after")], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    bot.next(BotApi.error(500, "down"))
    work_at(NOW)
    work_at(NOW + DAY)
    run = UserJourney.objects.get()
    assert (statuses(run), run.status) == ([("Sale", "skipped"), ("Tag after", "success")], RunStatus.COMPLETED)
    message = Message.objects.get()
    assert (message.status, message.error) == (MessageStatus.FAILED, "stale: it could not be sent in time")
    assert len(bot.requests) == 1


def test_a_retry_in_time_is_sent(bot):
    make_contact("u1", now=NOW, telegram_chat_id="7")
    make_journey("Outage", [SALE], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    bot.next(BotApi.error(500, "down"))
    work_at(NOW)
    work_at(NOW + 59 * MINUTE)
    assert Message.objects.get().status == MessageStatus.SENT


def test_what_waited_out_a_pause_of_its_journey_is_stale():
    journey = make_journey("Paused", [tag("a", delay_minutes=10, expires_after_minutes=60)], now=NOW)
    run = start()
    set_active(journey.id, False, None, NOW)
    set_active(journey.id, True, None, NOW + DAY)
    work_at(NOW + DAY)
    assert statuses(run) == [("Tag a", "skipped")]


def test_a_replay_is_sent_however_late_because_somebody_asked_for_it(bot):
    make_contact("u1", now=NOW, telegram_chat_id="7")
    make_journey("Outage", [SALE], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    bot.next(BotApi.error(400, "no"))
    work_at(NOW)
    replay.replay(StepExecution.objects.values_list("id", flat=True), NOW + DAY)
    replay.work(lambda: NOW + DAY, 10)
    assert Message.objects.get().status == MessageStatus.SENT


def test_an_expiry_given_by_an_edit_reaches_those_inside():
    journey = make_journey("Edited", [tag("a", delay_minutes=10)], now=NOW)
    run = start()
    patch_journey(journey.id, {"steps": [tag("a", delay_minutes=10, expires_after_minutes=60)]}, None, NOW)
    assert Journey.objects.get().live_version.number == 2
    work_at(NOW + DAY)
    assert statuses(run) == [("Tag a", "skipped")]


def test_the_expiry_is_part_of_the_document():
    journey = make_journey("Document", [tag("a", expires_after_minutes=60), tag("b")], now=NOW)
    written = export(journey)
    assert [step["expires_after_minutes"] for step in written["steps"]] == [60, None]
    assert [step.expires_after_minutes for step in parse(written).steps] == [60, None]


def test_a_version_of_the_first_release_runs():
    make_journey("Old", [tag("a")], now=NOW)
    version = JourneyVersion.objects.get()
    for step in version.definition["steps"]:
        del step["expires_after_minutes"]
    version.save()
    start()
    work_at(NOW + DAY)
    assert tags_of() == {"a"}
