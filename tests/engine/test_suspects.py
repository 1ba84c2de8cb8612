"""Runs that workers die with are claimed alone, and only what dies alone again and again is failed for it."""

from datetime import UTC, datetime, timedelta

import pytest

from journeys.engine import cycle
from journeys.engine.claim import claim, claim_suspect
from journeys.engine.decision import DEATHS_ALONE, SUSPECT_DEATHS
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.record import record
from journeys.logic.effects import Delivered
from journeys.models import Contact, RunStatus, StepExecution, UserJourney
from tests.engine.test_cycle import work_at
from tests.factories import make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HELLO = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hi"}}

pytestmark = pytest.mark.django_db


def start(count: int, steps: int = 1) -> None:
    make_journey("Chat", [{**HELLO, "name": f"Hello {number}"} for number in range(steps)], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(count)], NOW)
    Contact.objects.update(telegram_chat_id="7")


def the_worker_dies() -> None:
    UserJourney.objects.filter(lease_until__isnull=False).update(lease_until=datetime.now(UTC) - timedelta(hours=1))


def test_a_run_that_workers_die_of_is_claimed_alone_and_in_the_end_failed_with_its_reason(bot):
    start(1)
    for _ in range(SUSPECT_DEATHS):
        assert len(claim(NOW, 10).sends) == 1
        the_worker_dies()
    for _ in range(DEATHS_ALONE):
        assert claim(NOW, 10).decisions == ()
        assert len(claim_suspect(NOW).sends) == 1
        the_worker_dies()
    work_at(NOW)
    run = UserJourney.objects.get()
    assert (run.status, "died 5 times" in run.failure_reason) == (RunStatus.FAILED, True)
    assert StepExecution.objects.get().dead_at is not None
    assert bot.requests == []


def test_the_innocent_of_a_batch_that_workers_died_of_are_not_failed(bot):
    start(20)
    for _ in range(SUSPECT_DEATHS):
        claim(NOW, 50)
        the_worker_dies()
    killer = UserJourney.objects.earliest("due_at", "id").id
    for _ in range(100):
        claimed = claim_suspect(NOW)
        if not claimed.decisions:
            break
        if claimed.decisions[0].run.id == killer:
            the_worker_dies()
            continue
        cycle._see_through(claimed, lambda: NOW, cycle.Report())
    assert UserJourney.objects.get(id=killer).status == RunStatus.FAILED
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED, deaths=0).count() == 19


def test_a_death_counts_no_more_once_something_of_the_run_is_recorded(bot):
    """Nobody's long journey is failed because a worker happened to die at each of its steps."""
    start(1, steps=SUSPECT_DEATHS + DEATHS_ALONE + 1)
    for _ in range(SUSPECT_DEATHS + DEATHS_ALONE):
        claimed = claim(NOW, 10)
        ((decision, send),) = claimed.sends
        record({send.id: Delivered({})}, {send.id: decision}, claimed.lease.token, NOW)
        the_worker_dies()
    work_at(NOW)
    assert UserJourney.objects.get().status == RunStatus.COMPLETED


def test_a_backlog_does_not_starve_the_suspects(bot, monkeypatch):
    monkeypatch.setattr(cycle, "_share", cycle.Share())
    start(60)
    suspect = UserJourney.objects.earliest("due_at", "id")
    UserJourney.objects.filter(id=suspect.id).update(deaths=SUSPECT_DEATHS)
    for _ in range(cycle.SUSPECTS_EVERY + 1):
        cycle.work(lambda: NOW, 2)
    assert UserJourney.objects.filter(status=RunStatus.ACTIVE).exists()
    suspect.refresh_from_db()
    assert suspect.status == RunStatus.COMPLETED


def test_suspects_have_their_share_of_the_batches_time_and_make_up_for_more():
    share = cycle.Share()
    for _ in range(cycle.SUSPECTS_EVERY):
        assert not share.is_due
        share.earn(1)
    mine = cycle.SUSPECTS_EVERY * cycle.SUSPECTS_SHARE
    assert (share.is_due, share.seconds) == (True, pytest.approx(mine))
    share.spend(mine * 2.5)
    for _ in range(2):
        assert not share.is_due
        for _ in range(cycle.SUSPECTS_EVERY):
            share.earn(1)
    # What was too much is made up for in a turn and a half; what is left then is not saved once they had their turn.
    assert (share.is_due, share.seconds) == (True, pytest.approx(mine / 2))
    share.spend(0.1)
    assert (share.is_due, share.seconds) == (False, 0)


def test_what_broke_one_batch_breaks_no_other(bot):
    from uuid import uuid4

    from journeys.logic.ids import execution_id
    from journeys.models import Reward

    gift = {"name": "Gift", "action_type": "grant_reward", "action_config": {"reward_type": "points", "value": 1}}
    make_journey("Gifts", [gift], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(9)], NOW)
    bad = UserJourney.objects.order_by("id")[4]
    Reward.objects.create(
        id=uuid4(), contact_id=bad.contact_id, execution_id=execution_id(bad.id, bad.current_step_id),
        reward_type="points", value=1, granted_at=NOW,
    )  # fmt: skip
    claim(NOW, 50)
    bad.refresh_from_db()
    assert (bad.attempts, bad.deaths) == (1, SUSPECT_DEATHS)
    later = NOW + timedelta(days=1)
    ingest([Incoming("another", "signup")], later)
    assert [decision.run.id for decision in claim(later, 50).decisions] != [bad.id]
    assert len(claim(later, 50).decisions) == 0
    Reward.objects.filter(execution_id=execution_id(bad.id, bad.current_step_id)).delete()
    work_at(later)
    bad.refresh_from_db()
    assert (bad.status, bad.deaths) == (RunStatus.COMPLETED, 0)
