"""The demo: a believable past that was never sent, in a database of its own."""

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count

from journeys.demo import build as demo
from journeys.engine.clock import database_clock
from journeys.engine.queue import beat
from journeys.metrics import counted
from journeys.models import Contact, Event, Journey, Message, RunStatus, StepExecution, UserJourney, What
from tests.factories import make_contact, make_journey

pytestmark = pytest.mark.django_db


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller demo: its shape is the same."""
    monkeypatch.setattr("journeys.demo.people.PEOPLE", 120)


@pytest.fixture
def short(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter past, where its length does not matter."""
    monkeypatch.setattr("journeys.demo.people.DAYS", 2)
    monkeypatch.setattr("journeys.demo.build.DAYS", 2)


def test_the_demo_has_a_past_and_a_near_future_and_sends_nothing(small):
    call_command("demo")
    assert set(Message.objects.values_list("status", flat=True)) <= {"captured", "failed"}
    assert {name for name, in Journey.objects.values_list("name")} == {
        "Onboarding", "Failed payment", "Win back the idle", "Churn risk", "Renewal", "Birthday", "Monday digest",
        "Invite to the beta", "Beta programme",
    }  # fmt: skip
    by_journey = UserJourney.objects.values("journey").annotate(runs=Count("id"))
    assert len(by_journey) == 9
    assert set(StepExecution.objects.values_list("status", flat=True)) >= {"success", "skipped"}
    now = database_clock()
    assert not UserJourney.objects.filter(started_at__gt=now).exists()
    assert not StepExecution.objects.filter(executed_at__gt=now).exists()
    soon = UserJourney.objects.filter(status=RunStatus.ACTIVE, due_at__gt=now)
    assert soon.count() >= 20
    started = sum(counted(What.STARTED, steps=False).values())
    assert started == UserJourney.objects.exclude(status=RunStatus.HELD_OUT).count()


def test_the_demo_is_made_once_and_reset_makes_it_anew(short):
    call_command("demo")
    events = Event.objects.count()
    call_command("demo")
    assert Event.objects.count() == events
    call_command("demo", "--reset")
    assert Event.objects.count() == pytest.approx(events, rel=0.1)
    assert Contact.objects.count() == 120 + demo.SOON


def test_the_demo_refuses_a_database_that_is_not_its_own(short):
    make_journey("Real", [])
    with pytest.raises(CommandError, match="empty"):
        call_command("demo")
    with pytest.raises(CommandError, match="not made by the demo"):
        call_command("demo", "--reset")
    assert Journey.objects.count() == 1


def test_the_demo_removes_nothing_once_somebody_real_is_there(short):
    call_command("demo")
    make_contact("alice")
    with pytest.raises(CommandError, match="alice"):
        call_command("demo", "--reset")
    assert Contact.objects.filter(user_id="alice").exists()


def test_the_demo_is_not_made_while_a_worker_would_run_its_past_at_once(short):
    beat("tick", database_clock())
    with pytest.raises(CommandError, match="worker is running"):
        call_command("demo")
    assert not Contact.objects.exists()


def test_reset_removes_nothing_while_a_worker_runs(short):
    call_command("demo")
    beat("tick", database_clock())
    with pytest.raises(CommandError, match="worker"):
        call_command("demo", "--reset")
    assert Journey.objects.exists()
