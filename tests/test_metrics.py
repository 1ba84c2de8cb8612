"""What machines ask: numbers that are exact, and answers that tell the truth."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from journeys.engine import housekeeping
from journeys.engine.clock import database_clock
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.queue import beat
from journeys.models import StepExecution, Tally, TallyTotal, UserJourney
from tests.engine.test_cycle import tag, work_at
from tests.factories import make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def series(client: Client) -> dict[str, float]:
    lines = client.get("/metrics").content.decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_counters_are_exact_before_during_and_after_the_roll_up(client):
    make_journey('Quote " and \\ slash', [tag("a"), tag("b", delay_minutes=5)], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(7)], NOW)
    work_at(NOW)
    label = r'name="Quote \" and \\ slash"'
    expected = {
        f"journey_started_total{{{label}}}": 7,
        f'journey_step_fired_total{{{label},step="Tag a"}}': 7,
        f'journey_step_fired_total{{{label},step="Tag b"}}': 0,
    }
    assert expected.items() <= series(client).items()
    housekeeping.minute(NOW)
    assert (Tally.objects.count(), TallyTotal.objects.count()) == (0, 2)
    work_at(NOW + timedelta(minutes=5))
    expected[f'journey_step_fired_total{{{label},step="Tag b"}}'] = 7
    assert expected.items() <= series(client).items()
    housekeeping.minute(NOW)
    housekeeping.minute(NOW)
    assert expected.items() <= series(client).items()


def test_gauges_tell_what_is_due_and_what_is_dead(client):
    make_journey("Late", [tag("a")], now=NOW)
    ingest([Incoming("u1", "signup"), Incoming("u2", "signup")], NOW)
    run = UserJourney.objects.first()
    UserJourney.objects.filter(id=run.id).update(
        claim_token=run.id, lease_until=database_clock() - timedelta(seconds=1)
    )
    StepExecution.objects.create(
        id=run.id, user_journey=run, step_id=run.current_step_id, status="failed", executed_at=NOW, created_at=NOW,
        dead_at=NOW,
    )  # fmt: skip
    values = series(client)
    assert (values["journey_runs_due"], values["journey_dead_leases"], values["journey_dead_letters"]) == (2, 1, 1)
    assert values["journey_oldest_due_seconds"] > 3600


def test_scraping_costs_the_same_however_many_runs_there_are(client, django_assert_num_queries):
    make_journey("Many", [tag("a", delay_minutes=5)], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(50)], NOW)
    with django_assert_num_queries(11):
        client.get("/metrics")


def test_metrics_ask_for_the_token_when_there_is_one(client, settings):
    assert client.get("/metrics").status_code == 200
    settings.METRICS_TOKEN = "secret"
    for header in ("", "Bearer ", "Bearer wrong", "Bearer sécret", "Basic secret"):
        refused = client.get("/metrics", headers={"Authorization": header} if header else {})
        assert refused.status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_the_process_is_alive_without_asking_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").json() == {"status": "ok"}


def test_it_is_ready_while_somebody_ticks(client):
    assert client.get("/readyz").status_code == 503
    beat("tick", database_clock())
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    beat("tick", database_clock() - timedelta(minutes=5))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "300 s ago" in answer.json()["last_tick"]


def test_a_live_journey_on_an_unconfigured_channel_is_a_warning(client, settings, capsys):
    from django.core.management import call_command

    settings.TELEGRAM_BOT_TOKEN = ""
    chat = {"name": "Chat", "action_type": "send_telegram", "action_config": {"message": "Hi"}}
    make_journey("Chatty", [chat], now=NOW)
    make_journey("Off", [chat], is_active=False, now=NOW)
    beat("tick", database_clock())
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["warnings"] == ["TELEGRAM_BOT_TOKEN is not set, but send_telegram is used by Chatty"]
    call_command("check", "--tag", "channels", "--database", "default")
    assert "journeys.W001" in capsys.readouterr().err


def test_a_probe_that_says_not_ready_logs_no_error(client, caplog):
    assert client.get("/readyz").status_code == 503
    assert not caplog.records
