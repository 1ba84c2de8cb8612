"""The bench itself, at a size that says nothing about speed: each figure is there, and its work was really done."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from journeys.bench.figure import QUICK, per_second
from journeys.bench.run import FIGURES
from journeys.models import Contact
from tests.factories import make_contact

ROOT = Path(__file__).resolve().parents[2]
SCALE = 0.01
SIZES = QUICK.scaled(SCALE)


@pytest.fixture(scope="module")
def figures(django_db_setup: None, django_db_blocker: Any) -> dict[str, Any]:
    """What one run of the command printed, as JSON."""
    # Whatever the tests themselves go by, the command's standard output is the JSON alone.
    with django_db_blocker.unblock():
        process = subprocess.run(
            [sys.executable, "manage.py", "bench", "--quick", "--json", "--scale", str(SCALE)],
            cwd=ROOT,
            env={**os.environ, "DEBUG": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def test_every_figure_has_its_value_its_reference_and_their_ratio(figures: dict[str, Any]):
    assert list(figures) == list(FIGURES)
    for figure in figures.values():
        assert figure["value"] > 0
        assert figure["reference"] > 0
        assert figure["ratio"] > 0


def test_engine_and_referee_really_took_each_step(figures: dict[str, Any]):
    assert figures["inside_steps"]["details"]["executions_written"] == 4 * SIZES.rounds * SIZES.runs
    assert figures["naive"]["details"]["executions_written"] == SIZES.rounds * (SIZES.runs + SIZES.naive_runs)


def test_everybody_went_all_the_way_through_the_flow_and_each_awaited_event_woke_its_run(figures: dict[str, Any]):
    assert figures["flow"]["details"]["executions_written"] == 2 * 12 * SIZES.runs
    assert figures["awaited"]["details"]["runs_woken"] == SIZES.rounds * SIZES.events


def test_every_event_started_its_run(figures: dict[str, Any]):
    assert figures["enrolment"]["details"]["runs_started"] == 2 * SIZES.rounds * SIZES.events


@pytest.mark.parametrize(("channel", "referees"), [("email", 2), ("webhook", 1)])
def test_every_message_arrived_and_was_recorded(figures: dict[str, Any], channel: str, referees: int):
    details = figures[channel]["details"]
    assert details["sent_and_recorded"] == SIZES.rounds * (SIZES.sends + details["warm_up"])
    assert details["taken_by_the_sink"] == (1 + referees) * details["sent_and_recorded"]


def test_a_claim_looks_at_a_bounded_number_of_pages(figures: dict[str, Any]):
    details = figures["idle_scaling"]["details"]
    assert len(details["claim_buffers_per_due_run"]) == len(SIZES.waiting)
    assert 0 < max(details["claim_buffers_per_due_run"]) <= details["buffers_bound"]


def test_the_whole_backlog_was_drained_and_a_worker_kept_up_with_the_load(figures: dict[str, Any]):
    assert figures["backlog"]["details"]["executions_written"] == SIZES.backlog
    details = figures["lateness"]["details"]
    assert details["steps_written"] == details["steps_of_the_backlog"] + details["steps_of_the_load"] > 0


def test_work_that_was_not_done_gives_no_figure():
    with pytest.raises(RuntimeError, match="9 of 10 were done"):
        per_second(lambda: 9, 10)


@pytest.mark.django_db(transaction=True)
def test_the_users_own_data_is_left_alone_and_the_benchs_database_is_dropped():
    make_contact("theirs")
    call_command("bench", "--quick", "--json", "--scale", str(SCALE), "--only", "enrolment")
    assert list(Contact.objects.values_list("user_id", flat=True)) == ["theirs"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [f"journeys_bench_{os.getpid()}"])
        assert cursor.fetchone() == (0,)


def test_an_unknown_figure_is_refused_by_name():
    with pytest.raises(CommandError, match="there is no figure 'speed'"):
        call_command("bench", "--only", "speed")
