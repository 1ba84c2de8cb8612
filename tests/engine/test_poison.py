"""What one run's own data can break, breaks that run alone, and is never sent again and again."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.db import NotSupportedError

from journeys.engine import claim as claim_module
from journeys.engine import cycle, flows, lease, replay, stopping
from journeys.engine.claim import claim
from journeys.engine.decision import Decision
from journeys.engine.dispatch import Parcel, dispatch
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.lease import RUNS, Renewal
from journeys.engine.record import record
from journeys.logic import flow
from journeys.logic.ids import execution_id
from journeys.metrics import counted
from journeys.models import (
    Contact,
    Journey,
    JourneyStep,
    JourneyVersion,
    Message,
    MessageTemplate,
    Reward,
    RunStatus,
    StepExecution,
    UserJourney,
    What,
)
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import make_contact, make_journey
from tests.sinks_http import BotApi, Reply, Request

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
HELLO = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hi"}}
GIFT = {"name": "Gift", "action_type": "grant_reward", "action_config": {"reward_type": "points", "value": 1}}

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(settings) -> Iterator["SlowBotApi"]:
    with SlowBotApi(token="1:a") as api:
        settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = api.url, "1:a"
        yield api


class SlowBotApi(BotApi):
    """One that takes its time."""

    seconds = 0.0

    def reply(self, request: Request) -> Reply:
        time.sleep(self.seconds)
        return super().reply(request)


def start(*steps: dict[str, object], **contact: object) -> UserJourney:
    make_contact("u1", now=NOW, telegram_chat_id="7", **contact)
    make_journey("Poison", list(steps), now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    return UserJourney.objects.get(contact__user_id="u1")


def make_template(text: str) -> MessageTemplate:
    return MessageTemplate.objects.create(
        id=uuid4(), name="hello", channel="telegram", text=text, created_at=NOW, updated_at=NOW
    )


def start_without_template(*steps: dict[str, object]) -> None:
    template = make_template("Hi")
    start({**HELLO, "action_config": {"template": "hello"}}, *steps)
    template.delete()


def days(count: int = 6) -> None:
    for day in range(count):
        work_at(NOW + day * DAY)
        UserJourney.objects.filter(claim_token__isnull=False).update(lease_until=datetime.now(UTC) - DAY)


def already_rewarded(run: UserJourney, name: str) -> None:
    """Something that only the database sees: this step's reward is in the ledger, although it never executed."""
    step = JourneyStep.objects.get(name=name)
    Reward.objects.create(
        id=uuid4(), contact_id=run.contact_id, execution_id=execution_id(run.id, step.id), reward_type="points",
        value=1, granted_at=NOW,
    )  # fmt: skip


def test_a_sent_message_is_recorded_although_the_step_behind_it_is_rejected(bot):
    run = start(HELLO, GIFT)
    already_rewarded(run, "Gift")
    days()
    assert len(bot.requests) == 1
    assert StepExecution.objects.get(step__name="Hello").status == "success"
    run.refresh_from_db()
    assert (run.status, "IntegrityError" in run.failure_reason) == (RunStatus.FAILED, True)


def test_an_answer_with_characters_that_postgresql_refuses_is_recorded(bot):
    start(HELLO | {"on_failure": "stop"})
    bot.next(BotApi.error(400, "Bad \x00 \ud800 Request"))
    days(2)
    assert len(bot.requests) == 1
    assert StepExecution.objects.get().status == "failed"


def test_a_contact_in_a_zone_that_is_unknown_here_is_taken_for_one_in_the_projects_zone(bot):
    start(HELLO, tag("after"), timezone="Mars/Olympus")
    days(2)
    assert len(bot.requests) == 1
    assert tags_of() == {"after"}


def test_a_contact_that_cannot_be_read_harms_nobody_else(bot):
    run = start(tag("a"))
    ingest([Incoming("u2", "signup")], NOW)
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE contacts SET last_event_at = '20000-01-01T00:00:00Z' WHERE user_id = 'u1'")
    days()
    assert tags_of("u2") == {"a"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, failure_reason FROM user_journeys WHERE id = %s", [run.id])
        status, reason = cursor.fetchone()
    assert (status, "DataError" in reason) == ("failed", True)
    assert sum(counted(What.FAILED, steps=False).values()) == 1


@pytest.mark.parametrize("error", [MemoryError("none left"), NotSupportedError("cached plan must not change")])
def test_what_no_run_is_to_blame_for_fails_none_and_puts_none_off(monkeypatch, error):
    start(tag("a"))
    with monkeypatch.context() as broken:
        broken.setattr(claim_module, "load", Mock(side_effect=error))
        with pytest.raises(type(error)):
            cycle.work(lambda: NOW, 10)
    assert UserJourney.objects.get().attempts == 0
    work_at(NOW)
    assert UserJourney.objects.get().status == RunStatus.COMPLETED


def test_what_cannot_be_read_once_is_looked_at_again_later_and_goes_on(monkeypatch):
    start(tag("a"))
    with monkeypatch.context() as broken:
        broken.setattr(claim_module, "load", Mock(side_effect=LookupError("nobody foresaw this")))
        work_at(NOW)
    run = UserJourney.objects.get()
    assert (run.status, run.attempts, run.due_at > NOW) == (RunStatus.ACTIVE, 1, True)
    work_at(NOW + DAY)
    run.refresh_from_db()
    assert (run.status, run.deaths) == (RunStatus.COMPLETED, 0)


def test_a_suspect_that_postgresql_rejects_fails_and_holds_up_nobody():
    run = start(GIFT)
    already_rewarded(run, "Gift")
    UserJourney.objects.update(deaths=2)
    days()
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED


def test_a_version_that_cannot_be_compiled_here_is_looked_at_again_later():
    """As when a worker of the last release meets an action of the next one."""
    run = start(tag("a"))
    version = JourneyVersion.objects.get()
    version.definition["steps"][0]["action_type"] = "from_the_future"
    version.save()
    flows._flows.clear()
    work_at(NOW)
    run.refresh_from_db()
    assert (run.status, run.attempts) == (RunStatus.ACTIVE, 1)
    version.definition["steps"][0]["action_type"] = "apply_tag"
    version.save()
    flows._flows.clear()
    work_at(NOW + DAY)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_what_was_sent_is_recorded_although_the_live_version_cannot_be_compiled_here(bot, monkeypatch):
    """As when a worker of the next release publishes meanwhile."""
    start(HELLO, tag("a"))
    old = JourneyVersion.objects.get()
    steps = [old.definition["steps"][0], {**old.definition["steps"][1], "action_type": "from_the_future"}]
    new = JourneyVersion(id=uuid4(), journey=old.journey, number=2, trigger_type="signup", created_at=NOW)
    new.definition = {**old.definition, "steps": steps}

    def recorded_when_it_is_live(*args: object) -> Sequence[Decision]:
        new.save()
        Journey.objects.update(live_version=new)
        return record(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(cycle, "record", recorded_when_it_is_live)
        cycle.work(lambda: NOW, 10)
    assert (StepExecution.objects.get().status, Message.objects.get().status) == ("success", "sent")
    work_at(NOW)
    run = UserJourney.objects.get()
    assert (run.status, run.attempts) == (RunStatus.ACTIVE, 1)
    new.definition = old.definition
    new.save()
    flows._flows.clear()
    work_at(NOW + DAY)
    run.refresh_from_db()
    assert (run.status, tags_of(), len(bot.requests)) == (RunStatus.COMPLETED, {"a"}, 1)


def test_what_was_sent_is_recorded_although_the_way_on_from_there_raises(bot, monkeypatch):
    run = start(HELLO, tag("a", delay_minutes=5))
    with monkeypatch.context() as broken:
        broken.setattr(flow, "step_due", lambda *_: 1 / 0)
        cycle.work(lambda: NOW, 10)
    run.refresh_from_db()
    assert (run.status, StepExecution.objects.get().status) == (RunStatus.ACTIVE, "success")
    work_at(NOW + MINUTE)
    assert tags_of() == set()
    work_at(NOW + DAY)
    run.refresh_from_db()
    assert (run.status, tags_of(), len(bot.requests)) == (RunStatus.COMPLETED, {"a"}, 1)


def test_what_could_not_be_sent_in_time_is_let_go_and_no_death(bot, monkeypatch):
    """A slow provider must not make a run look like one that workers die of."""
    make_journey("Slow", [HELLO], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(20)], NOW)
    Contact.objects.update(telegram_chat_id="7")
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 0.5)
    bot.seconds = 0.6
    cycle.work(lambda: NOW, 500)
    left = UserJourney.objects.filter(status=RunStatus.ACTIVE)
    assert left.exists()
    assert not left.filter(lease_until__isnull=False).exists()
    monkeypatch.undo()
    bot.seconds = 0
    work_at(NOW)
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED).count() == 20
    assert len(bot.requests) == 20


def test_a_stopping_worker_starts_no_further_send_and_lets_go(bot, monkeypatch):
    run = start(HELLO)
    monkeypatch.setattr(stopping._flag, "value", 1)
    cycle.work(lambda: NOW, 500)
    run.refresh_from_db()
    assert (bot.requests, run.status, run.lease_until) == ([], RunStatus.ACTIVE, None)
    monkeypatch.setattr(stopping._flag, "value", 0)
    work_at(NOW)
    run.refresh_from_db()
    assert (len(bot.requests), run.status) == (1, RunStatus.COMPLETED)


def test_a_batch_that_takes_long_leaves_its_next_sends_to_the_next_claim(bot, monkeypatch):
    run = start(HELLO, HELLO | {"name": "And again"})
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 0.2)
    bot.seconds = 0.3
    cycle.work(lambda: NOW, 500)
    assert len(bot.requests) == 1
    cycle.work(lambda: NOW, 500)
    run.refresh_from_db()
    assert (len(bot.requests), run.status, run.deaths) == (2, RunStatus.COMPLETED, 0)


def test_nothing_more_is_sent_once_nobody_records(bot):
    """As when the database goes away in the middle: what is sent then is sent again later."""
    make_journey("Many", [HELLO], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(100)], NOW)
    Contact.objects.update(telegram_chat_id="7")
    bot.seconds = 0.1
    claimed = claim(NOW, 500)
    lots = dispatch([Parcel(message, False) for _, message in claimed.sends], Renewal(RUNS, claimed.lease))
    next(lots)
    lots.close()
    assert 0 < len(bot.requests) < 60


def test_a_replay_of_a_step_that_is_gone_iscounted_for_that_step():
    from journeys.authoring.document import export, parse
    from journeys.authoring.publish import save_journey

    start_without_template(tag("b", delay_minutes=5))
    work_at(NOW)
    dead = StepExecution.objects.get(dead_at__isnull=False)
    journey = Journey.objects.get()
    save_journey(journey.id, parse({**export(journey), "steps": [tag("b", delay_minutes=5)]}), None, NOW)
    work_at(NOW)
    UserJourney.objects.update(version_id=Journey.objects.get().live_version_id)
    replay.replay([dead.id], NOW)
    replay.work(lambda: NOW, 10)
    assert counted(What.FAILED, steps=True)[dead.step_id] == 1
    assert sum(counted(What.FAILED, steps=False).values()) == 0


def test_a_replay_that_postgresql_rejects_is_a_dead_letter_again_and_holds_up_nobody(bot):
    start_without_template()
    ingest([Incoming("u2", "signup")], NOW)
    Contact.objects.filter(user_id="u2").update(telegram_chat_id="8")
    work_at(NOW)
    make_template("Hi {{ user.user_id }}")
    from django.db import connection

    with connection.cursor() as cursor:  # PostgreSQL won't store it for one contact.
        cursor.execute("ALTER TABLE messages ADD CONSTRAINT not_for_u1 CHECK (text <> 'Hi u1')")
    replay.replay(StepExecution.objects.filter(dead_at__isnull=False).values_list("id", flat=True), NOW)
    while replay.work(lambda: NOW, 10):
        pass
    assert Message.objects.get().to == "8"
    bad = StepExecution.objects.get(user_journey__contact__user_id="u1")
    assert (bad.status, bad.replay_at) == ("failed", None)
    assert bad.dead_at is not None
