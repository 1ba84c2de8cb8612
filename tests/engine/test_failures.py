"""When things go wrong: retries with the same key and bytes, dead letters, replays, dead workers, poison."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from journeys.actions import http
from journeys.actions.registry import ACTIONS
from journeys.authoring.publish import patch_journey
from journeys.engine import replay
from journeys.engine.claim import claim
from journeys.engine.contacts import upsert_contact
from journeys.engine.cycle import execute, work
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.record import record
from journeys.logic.effects import Delivered, MarkChatDead, Undelivered
from journeys.metrics import counted
from journeys.models import (
    Breaker,
    Contact,
    Message,
    MessageStatus,
    MessageTemplate,
    RunStatus,
    StepExecution,
    UserJourney,
    What,
)
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import make_contact, make_journey
from tests.sinks_http import BotApi, Reply

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HELLO = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hi {{ user.first_name }}"}}

pytestmark = pytest.mark.django_db


def start(**step: object) -> UserJourney:
    make_contact("u1", now=NOW, telegram_chat_id="7", attributes={"first_name": "Ada"})
    make_journey("Chat", [HELLO | step, tag("after")], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    return UserJourney.objects.get()


def texts(bot: BotApi) -> list[str]:
    return [request.json()["text"] for request in bot.requests]


def test_a_transient_failure_is_tried_again_with_the_same_bytes_and_the_run_goes_on(bot):
    run = start()
    bot.next(BotApi.error(500, "oops"))
    work_at(NOW)
    run.refresh_from_db()
    execution = StepExecution.objects.get(user_journey=run)
    assert (execution.status, execution.retry_count, run.status) == ("pending", 1, RunStatus.ACTIVE)
    assert NOW < run.due_at <= NOW + timedelta(seconds=30)
    Contact.objects.update(attributes={"first_name": "Changed"})
    work_at(NOW + HOUR)
    assert texts(bot) == ["Hi Ada", "Hi Ada"]
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert tags_of() == {"after"}
    assert Message.objects.get().status == MessageStatus.SENT


def test_a_providers_retry_after_is_obeyed(bot):
    run = start()
    bot.next(BotApi.error(429, "slow down", retry_after=600))
    work_at(NOW)
    run.refresh_from_db()
    assert run.due_at >= NOW + timedelta(seconds=600)


def test_an_edit_does_not_hurry_what_a_provider_wants_later(bot):
    run = start()
    bot.next(BotApi.error(429, "slow down", retry_after=600))
    work_at(NOW)
    patch_journey(run.journey_id, {"steps": [HELLO | {"delay_minutes": 1}, tag("after")]}, None, NOW)
    assert work_at(NOW + timedelta(seconds=599)) == 0
    work_at(NOW + DAY)
    assert texts(bot) == ["Hi Ada", "Hi Ada"]


def test_a_try_after_one_that_raised_is_noted_when_it_begins(bot, monkeypatch):
    start()
    with monkeypatch.context() as broken:
        broken.setattr(ACTIONS["send_telegram"], "prepare", lambda *_: 1 / 0)
        work_at(NOW)
    assert "ZeroDivisionError" in StepExecution.objects.get().error_message
    claim(NOW + HOUR, 10)
    execution = StepExecution.objects.get()
    noted = (execution.status, execution.executed_at, execution.retry_count, execution.error_message)
    assert noted == ("pending", NOW + HOUR, 1, "")


def test_what_raised_once_and_then_must_wait_for_its_provider_is_sent_when_that_is_ready(bot, monkeypatch):
    run = start()
    with monkeypatch.context() as broken:
        broken.setattr(ACTIONS["send_telegram"], "prepare", lambda *_: 1 / 0)
        work_at(NOW)
    assert StepExecution.objects.get().status == "pending"
    ready_at = NOW + HOUR + timedelta(minutes=1)
    place = http.destination_of(bot.url)
    Breaker.objects.create(destination=place, channel="telegram", busy_until=ready_at, updated_at=NOW + HOUR)
    work_at(NOW + HOUR)
    run.refresh_from_db()
    assert (run.status, run.due_at >= ready_at, run.attempts, texts(bot)) == (RunStatus.ACTIVE, True, 1, [])
    work_at(NOW + DAY)
    run.refresh_from_db()
    assert (run.status, texts(bot)) == (RunStatus.COMPLETED, ["Hi Ada"])


def test_exhausted_retries_are_a_dead_letter_and_the_run_goes_on(bot, settings):
    run = start()
    tries = settings.JOURNEYS["MAX_ATTEMPTS"]
    bot.next(*[BotApi.error(502, "down")] * tries)
    for hour in range(tries):
        work_at(NOW + hour * 2 * HOUR)
    execution = StepExecution.objects.get(user_journey=run, step__name="Hello")
    assert (execution.status, execution.retry_count) == ("failed", tries)
    assert execution.dead_at is not None
    assert Message.objects.get().status == MessageStatus.FAILED
    assert tags_of() == {"after"}
    assert len(bot.requests) == tries


def test_on_failure_stop_ends_the_run_as_failed_with_the_reason(bot):
    run = start(on_failure="stop")
    bot.next(BotApi.error(400, "Bad Request: message is too long"))
    work_at(NOW)
    run.refresh_from_db()
    assert (run.status, run.failed_at) == (RunStatus.FAILED, NOW)
    assert "message is too long" in run.failure_reason
    assert tags_of() == set()


def test_a_blocked_bot_is_permanent_and_marks_the_chat_dead(bot):
    run = start()
    bot.next(BotApi.error(403, "Forbidden: bot was blocked by the user"))
    work_at(NOW)
    assert StepExecution.objects.get(user_journey=run, step__name="Hello").status == "failed"
    assert Contact.objects.get().telegram_dead_at == NOW


def test_a_chat_that_is_gone_says_nothing_of_the_one_that_the_contact_has_by_now():
    make_contact("u1", now=NOW, telegram_chat_id="7")
    make_journey("Chat", [HELLO, HELLO | {"name": "Hello again"}], now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    claimed = claim(NOW, 10)
    ((decision, message),) = claimed.sends
    upsert_contact("u1", {"telegram_chat_id": "8"}, NOW)
    gone = Undelivered("gone", permanent=True, effects=(MarkChatDead("7"),))
    recorded = record({message.id: gone}, {message.id: decision}, claimed.lease.token, NOW)
    assert [decision.send and decision.send.to for decision in recorded] == ["8"]
    assert Contact.objects.get().telegram_dead_at is None


def test_a_replay_sends_with_the_original_key_and_bytes_and_moves_no_pointer(bot):
    run = start()
    bot.next(BotApi.error(400, "no"))
    work_at(NOW)
    dead = StepExecution.objects.get(dead_at__isnull=False)
    ended = UserJourney.objects.get()
    assert replay.replay([dead.id, uuid4()], NOW + DAY) == 1
    assert replay.work(lambda: NOW + DAY, 10) == 1
    dead.refresh_from_db()
    assert (dead.status, dead.dead_at, dead.replay_at) == ("success", None, None)
    assert texts(bot) == ["Hi Ada", "Hi Ada"]
    run.refresh_from_db()
    assert (run.updated_at, run.current_step_id) == (ended.updated_at, ended.current_step_id)
    assert counted(What.FAILED, steps=True) == {dead.step_id: 0}
    assert counted(What.SUCCESS, steps=True)[dead.step_id] == 1
    assert replay.work(lambda: NOW + DAY, 10) == 0


def test_a_replay_that_fails_again_is_a_dead_letter_again(bot):
    start()
    bot.next(BotApi.error(400, "no"), BotApi.error(400, "still no"))
    work_at(NOW)
    replay.replay(StepExecution.objects.filter(dead_at__isnull=False).values_list("id", flat=True), NOW)
    replay.work(lambda: NOW, 10)
    dead = StepExecution.objects.get(dead_at__isnull=False)
    assert "still no" in dead.error_message


def test_a_step_whose_template_went_missing_is_rendered_when_replayed(bot):
    words = {"text": "Hey {{ user.first_name }}", "created_at": NOW, "updated_at": NOW}
    template = MessageTemplate(id=uuid4(), name="greeting", channel="telegram", **words)
    template.save()
    run = start(action_config={"template": "greeting"})
    MessageTemplate.objects.all().delete()
    work_at(NOW)
    dead = StepExecution.objects.get(dead_at__isnull=False)
    assert "greeting" in dead.error_message
    template.save(force_insert=True)
    replay.replay([dead.id], NOW)
    replay.work(lambda: NOW, 10)
    assert texts(bot) == ["Hey Ada"]
    assert StepExecution.objects.get(user_journey=run, step__name="Hello").status == "success"


def test_dismissed_dead_letters_stay_failed_and_leave_the_list(bot):
    start()
    bot.next(BotApi.error(400, "no"))
    work_at(NOW)
    dead = StepExecution.objects.get(dead_at__isnull=False)
    assert replay.dismiss([dead.id], NOW) == 1
    dead.refresh_from_db()
    assert (dead.status, dead.dead_at) == ("failed", None)
    assert replay.replay([dead.id], NOW) == 0


def test_a_dead_workers_run_comes_back_when_its_lease_ends_with_the_same_message(bot):
    run = start()
    claimed = claim(NOW, 10)  # ... and the worker dies here, before it sends.
    assert [message.text for _, message in claimed.sends] == ["Hi Ada"]
    assert work_at(NOW + DAY) == 0
    assert execute(run.id, lambda: NOW) is None
    UserJourney.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    work_at(NOW)
    run.refresh_from_db()
    assert (run.status, run.deaths, texts(bot)) == (RunStatus.COMPLETED, 0, ["Hi Ada"])


def test_a_late_worker_writes_nothing(bot):
    start()
    late = claim(NOW, 10)
    UserJourney.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    work_at(NOW)
    before = list(UserJourney.objects.values()), list(StepExecution.objects.order_by("id").values())
    sent = {message.id: decision for decision, message in late.sends}
    recorded = record({key: Delivered({"status": "sent"}) for key in sent}, sent, late.lease.token, NOW + HOUR)
    assert recorded == []
    assert before == (list(UserJourney.objects.values()), list(StepExecution.objects.order_by("id").values()))


def test_a_batch_that_postgresql_rejects_is_taken_apart_and_only_the_bad_run_suffers():
    make_journey("Rewards", [{"name": "Gift", "action_type": "grant_reward",
                              "action_config": {"reward_type": "points", "value": 1}}], now=NOW)  # fmt: skip
    ingest([Incoming(f"u{number}", "signup") for number in range(9)], NOW)
    bad = UserJourney.objects.order_by("id")[4]
    # Something that only the database sees: this run's reward is in the ledger, although the run never executed.
    from journeys.logic.ids import execution_id
    from journeys.models import Reward

    Reward.objects.create(
        id=uuid4(), contact_id=bad.contact_id, execution_id=execution_id(bad.id, bad.current_step_id),
        reward_type="points", value=1, granted_at=NOW,
    )  # fmt: skip
    work_at(NOW)
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED).count() == 8
    bad.refresh_from_db()
    assert (bad.status, bad.attempts) == (RunStatus.ACTIVE, 1)
    for day in range(1, 6):
        work_at(NOW + day * DAY)
    bad.refresh_from_db()
    assert bad.status == RunStatus.FAILED
    assert "IntegrityError" in bad.failure_reason
    assert Reward.objects.count() == 9


def test_a_contact_deleted_while_its_message_is_sent_harms_nobody(bot):
    from journeys.engine.contacts import delete_contact

    start()
    claimed = claim(NOW, 10)
    delete_contact("u1", NOW)
    sent = {message.id: decision for decision, message in claimed.sends}
    recorded = record({key: Delivered({}) for key in sent}, sent, claimed.lease.token, NOW)
    assert recorded == []


def test_counts_are_conserved(bot):
    start(on_failure="stop")
    bot.next(Reply(400, body=json.dumps({"ok": False, "error_code": 400, "description": "no"}).encode()))
    make_journey("Done", [tag("x")], now=NOW)
    make_journey("Waiting", [tag("y", delay_minutes=5)], now=NOW)
    ingest([Incoming(f"c{number}", "signup") for number in range(5)], NOW)
    work(lambda: NOW, 500)
    started = sum(counted(What.STARTED, steps=False).values())
    ended = sum(sum(counted(what, steps=False).values()) for what in (What.COMPLETED, What.FAILED, What.EXITED))
    assert started == ended + UserJourney.objects.filter(status__in=["active", "paused"]).count()
    assert started == UserJourney.objects.count()
