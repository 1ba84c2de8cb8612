"""The tick without django-q: once, and in the future."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from journeys.engine.clock import database_clock
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Event, Heartbeat, RunStatus, UserJourney
from tests.engine.test_cycle import tag, tags_of
from tests.factories import make_journey

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def someone_waits() -> None:
    now = database_clock()
    make_journey("Wait", [tag("a"), tag("b", delay_minutes=1440)], now=now)
    ingest([Incoming("u1", "signup")], now)


def test_it_runs_what_is_due_now(capsys):
    call_command("run_due")
    assert "1 runs looked at" in capsys.readouterr().out
    assert tags_of() == {"a"}
    assert Heartbeat.objects.filter(name="tick").exists()


def test_it_runs_what_is_due_in_a_future_that_one_wants_to_try(settings):
    settings.DEBUG = True
    call_command("run_due")
    call_command("run_due", "--now", (database_clock() + timedelta(days=2)).isoformat())
    assert UserJourney.objects.get().status == RunStatus.COMPLETED


def test_the_future_cannot_be_tried_without_debug(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="--now: only with DEBUG"):
        call_command("run_due", "--now", "2036-12-24T09:00:00Z")
    assert tags_of() == set()


def test_with_prune_it_first_removes_what_is_past_its_retention():
    ingest([Incoming("u2", "login")], database_clock() - timedelta(days=400))
    call_command("run_due")
    assert Event.objects.count() == 2
    call_command("run_due", "--prune")
    assert Event.objects.get().contact.user_id == "u1"


@pytest.mark.parametrize(
    "moment", ["tomorrow", "2026-12-24", "2026-12-24T09:00:00", "2026-99-24T09:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_a_moment_that_is_none_is_refused_by_name(moment):
    with pytest.raises(CommandError, match="--now"):
        call_command("run_due", "--now", moment)
