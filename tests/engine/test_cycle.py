"""A run's life: from the event to its end, step by step, on a clock that the tests own."""

from datetime import UTC, datetime, timedelta

import pytest

from journeys.engine import cycle
from journeys.engine.cycle import execute, work
from journeys.engine.ingest import Incoming, ingest
from journeys.logic.ids import execution_id
from journeys.models import (
    ContactTag,
    Journey,
    Message,
    MessageStatus,
    Reward,
    RunStatus,
    StepExecution,
    Tag,
    UserJourney,
)
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

pytestmark = pytest.mark.django_db


def tag(name: str, **more: object) -> dict[str, object]:
    return {"name": f"Tag {name}", "action_type": "apply_tag", "action_config": {"tag": name}, **more}


def start(user_id: str = "u1", now: datetime = NOW, **properties: object) -> UserJourney:
    ingest([Incoming(user_id, "signup", properties)], now)
    return UserJourney.objects.get(contact__user_id=user_id)


def work_at(now: datetime) -> int:
    total = 0
    while done := work(lambda: now, 500).runs:
        total += done
    return total


def tags_of(user_id: str = "u1") -> set[str]:
    return set(Tag.objects.filter(contact_tags__contact__user_id=user_id).values_list("name", flat=True))


def statuses(run: UserJourney) -> list[tuple[str, str]]:
    rows = StepExecution.objects.filter(user_journey=run).order_by("executed_at", "step__order")
    return list(rows.values_list("step__name", "status"))


def test_immediate_steps_run_at_once_and_the_run_completes():
    make_journey("Welcome", [tag("a"), tag("b")], now=NOW)
    run = start()
    assert work_at(NOW) == 1
    run.refresh_from_db()
    assert (run.status, run.completed_at, run.due_at) == (RunStatus.COMPLETED, NOW, None)
    assert tags_of() == {"a", "b"}
    assert run.current_step.name == "Tag b"


def test_a_step_waits_out_its_delay_from_the_end_of_the_step_before_it():
    make_journey("Slow", [tag("a"), tag("b", delay_minutes=5), tag("c", delay_minutes=1440)], now=NOW)
    run = start()
    work_at(NOW)
    run.refresh_from_db()
    assert (run.current_step.name, run.due_at) == ("Tag b", NOW + 5 * MINUTE)
    assert work_at(NOW + 5 * MINUTE - timedelta(seconds=1)) == 0
    late = NOW + 7 * MINUTE
    work_at(late)
    run.refresh_from_db()
    assert run.due_at == late + DAY
    work_at(late + DAY)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_condition_that_does_not_hold_skips_the_step_and_says_so():
    only_gold = {"field": "plan", "op": "eq", "value": "gold"}
    make_journey("Choosy", [tag("a", condition=only_gold), tag("b")], now=NOW)
    run = start(plan="silver")
    work_at(NOW)
    assert statuses(run) == [("Tag a", "skipped"), ("Tag b", "success")]
    skipped = StepExecution.objects.get(user_journey=run, status="skipped")
    assert skipped.result == {"reason": "its condition does not hold"}
    assert tags_of() == {"b"}


def test_a_later_step_sees_the_tag_that_an_earlier_one_put_there():
    has_it = {"field": "tags", "op": "contains", "value": "a"}
    make_journey("Chain", [tag("a"), tag("b", condition=has_it)], now=NOW)
    start()
    work_at(NOW)
    assert tags_of() == {"a", "b"}


def test_one_contact_in_two_journeys_of_one_batch_keeps_the_last_word_on_a_tag():
    remove = {"name": "Off", "action_type": "remove_tag", "action_config": {"tag": "a"}}
    make_journey("Adds", [tag("a")], priority=2, now=NOW)
    make_journey("Adds and takes", [tag("b"), remove | {"action_config": {"tag": "b"}}], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    work_at(NOW)
    assert tags_of() == {"a"}


def test_a_reward_is_granted_once_and_names_its_execution():
    grant = {"name": "Gift", "action_type": "grant_reward", "action_config": {"reward_type": "points", "value": 10}}
    make_journey("Generous", [grant], now=NOW)
    run = start()
    work_at(NOW)
    work_at(NOW)
    reward = Reward.objects.get()
    assert (reward.reward_type, reward.value) == ("points", 10)
    assert reward.execution_id == execution_id(run.id, run.current_step_id)


def test_schedule_next_replaces_the_following_steps_delay():
    nine = {"name": "At nine", "action_type": "schedule_next", "action_config": {"at": "09:00"}}
    make_contact("u1", now=NOW, timezone="America/New_York")
    make_journey("Morning", [nine, tag("a", delay_minutes=5)], now=NOW)
    run = start()
    work_at(NOW)
    run.refresh_from_db()
    assert run.due_at == datetime(2026, 3, 1, 14, 0, tzinfo=UTC)


def test_a_contact_without_the_address_is_a_skip_with_that_reason():
    mail = {"name": "Mail", "action_type": "send_email", "action_config": {"template": "welcome", "subject": "Hi"}}
    make_journey("Mail", [mail], now=NOW)
    run = start()
    work_at(NOW)
    execution = StepExecution.objects.get(user_journey=run)
    assert execution.status == "skipped"
    assert "e-mail" in execution.result["reason"]


def test_a_test_contacts_message_is_rendered_and_captured_whatever_is_configured(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    mail = {"name": "Mail", "action_type": "send_email", "action_config": {"template": "welcome", "subject": "Hi"}}
    make_contact("u1", now=NOW, email="ada@example.com", is_test=True)
    make_journey("Mail", [mail], now=NOW)
    run = start()
    work_at(NOW)
    message = Message.objects.get()
    assert (message.status, message.to, message.subject) == (MessageStatus.CAPTURED, "ada@example.com", "Hi")
    assert message.id == StepExecution.objects.get(user_journey=run).id


def test_without_a_provider_a_message_is_captured_in_debug_and_a_named_error_otherwise(settings):
    settings.TELEGRAM_BOT_TOKEN = ""
    text = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hi"}}
    make_journey("Chat", [text], now=NOW)
    for user_id, debug in (("u1", True), ("u2", False)):
        settings.DEBUG = debug
        make_contact(user_id, now=NOW, telegram_chat_id="7")
        start(user_id)
        work_at(NOW)
    by_user = {e.user_journey.contact.user_id: e for e in StepExecution.objects.all()}
    assert by_user["u1"].status == "success"
    assert by_user["u2"].status == "failed"
    assert "TELEGRAM_BOT_TOKEN is not set" in by_user["u2"].error_message


def test_a_journey_without_steps_completes_its_runs():
    make_journey("Empty", [], now=NOW)
    run = start()
    work_at(NOW)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_definition_that_cannot_be_compiled_fails_its_own_runs_in_the_end_with_the_reason():
    make_journey("Good", [tag("good")], now=NOW)
    bad = make_journey("Bad", [tag("bad", delay_minutes=1)], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    definition = bad.live_version.definition
    definition["steps"][0]["action_config"] = {"nonsense": 1}
    from journeys.engine import flows

    flows._flows.clear()
    type(bad.live_version).objects.filter(id=bad.live_version_id).update(definition=definition)
    for day in range(6):
        work_at(NOW + MINUTE + day * DAY)
    failed = UserJourney.objects.get(journey=bad)
    assert (failed.status, "compiled" in failed.failure_reason) == (RunStatus.FAILED, True)
    assert tags_of() == {"good"}
    flows._flows.clear()


def test_execute_takes_one_run_and_says_what_it_did():
    only_gold = {"field": "plan", "op": "eq", "value": "gold"}
    make_journey("Mixed", [tag("a"), tag("b", condition=only_gold), tag("c", delay_minutes=1)], now=NOW)
    first, second = start("u1"), start("u2")
    report = execute(first.id, lambda: NOW)
    assert report is not None
    assert (report.executed, report.skipped, report.failed) == (1, 1, 0)
    assert statuses(second) == []


def test_a_batch_costs_the_same_number_of_queries_for_one_run_and_for_a_hundred(django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(cycle, "_share", cycle.Share())  # Neither is one that looks for suspects, too.
    make_journey("Tags", [tag("a"), tag("b")], now=NOW)
    ingest([Incoming("one", "signup")], NOW)
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as single:
        assert work(lambda: NOW, 500).runs == 1
    ingest([Incoming(f"u{number}", "signup") for number in range(100)], NOW)
    with django_assert_num_queries(len(single)):
        assert work(lambda: NOW, 500).runs == 100
    assert ContactTag.objects.count() == 202
    assert len(single) <= 19


def test_an_inactive_journeys_runs_are_left_alone_even_when_they_are_in_the_queue():
    journey = make_journey("Off", [tag("a")], now=NOW)
    start()
    Journey.objects.filter(id=journey.id).update(is_active=False)
    assert work_at(NOW) == 0
    assert tags_of() == set()
