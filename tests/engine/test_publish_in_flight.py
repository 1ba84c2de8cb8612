"""An edit while people are inside: they go on in the new version, nothing is done twice, nobody is lost."""

from datetime import UTC, datetime, timedelta

import pytest

from journeys.authoring.document import export, parse
from journeys.authoring.publish import save_journey, set_active
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.inside import look_again
from journeys.models import Journey, RunStatus, StepExecution, UserJourney
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


def edit(journey: Journey, steps: list[dict[str, object]]) -> None:
    save_journey(journey.id, parse({**export(journey), "steps": steps}), None, NOW)


def run_of(journey: Journey) -> UserJourney:
    return UserJourney.objects.get(journey=journey)


def inside(steps: list[dict[str, object]]) -> Journey:
    journey = make_journey("Edited", steps, now=NOW)
    ingest([Incoming("u1", "signup")], NOW)
    work_at(NOW)
    return journey


def test_someone_who_waits_at_a_removed_step_goes_on_at_the_next_that_is_left():
    journey = inside([tag("a"), tag("b", delay_minutes=1440), tag("c", delay_minutes=60)])
    edit(journey, [tag("a"), tag("c", delay_minutes=60)])
    work_at(NOW)
    run = run_of(journey)
    assert (run.current_step.name, run.due_at) == ("Tag c", NOW + timedelta(hours=1))
    work_at(NOW + timedelta(hours=1))
    assert run_of(journey).status == RunStatus.COMPLETED
    assert tags_of() == {"a", "c"}


def test_a_shorter_delay_reaches_those_who_wait():
    journey = inside([tag("a"), tag("b", delay_minutes=1440)])
    edit(journey, [tag("a"), tag("b", delay_minutes=10)])
    work_at(NOW)
    assert run_of(journey).due_at == NOW + timedelta(minutes=10)


def test_who_was_moved_already_is_not_looked_at_for_ever():
    journey = inside([tag("a"), tag("b", delay_minutes=1440)])
    edit(journey, [tag("a"), tag("b", delay_minutes=10)])
    work_at(NOW)
    assert look_again(journey.id, [run_of(journey).current_step_id], NOW) == 0


def test_a_step_that_was_moved_behind_is_not_executed_again():
    journey = inside([tag("a"), tag("b", delay_minutes=1440), tag("c")])
    edit(journey, [tag("b", delay_minutes=1440), tag("a"), tag("c")])
    work_at(NOW + DAY)
    run = run_of(journey)
    assert run.status == RunStatus.COMPLETED
    assert StepExecution.objects.filter(user_journey=run, step__name="Tag a").count() == 1
    assert tags_of() == {"a", "b", "c"}


def test_nobody_waits_for_a_step_that_is_only_passed_over():
    journey = inside([tag("a", delay_minutes=0), tag("b", delay_minutes=10), tag("c")])
    edit(journey, [tag("b", delay_minutes=10), tag("a", delay_minutes=60), tag("c")])
    work_at(NOW + timedelta(minutes=10))
    run = run_of(journey)
    assert (run.status, run.completed_at) == (RunStatus.COMPLETED, NOW + timedelta(minutes=10))
    assert run.current_step.name == "Tag c"


def test_a_new_time_is_for_the_step_behind_those_that_are_passed_over():
    later = {"name": "Later", "action_type": "schedule_next", "action_config": {"delay_minutes": 30}}
    journey = inside([tag("a"), later | {"delay_minutes": 10}, tag("c")])
    edit(journey, [later | {"delay_minutes": 10}, tag("a"), tag("c", delay_minutes=5)])
    work_at(NOW + timedelta(minutes=10))
    run = run_of(journey)
    assert (run.current_step.name, run.due_at) == ("Tag c", NOW + timedelta(minutes=40))


def test_a_step_added_at_the_end_is_taken_by_those_inside():
    journey = inside([tag("a"), tag("b", delay_minutes=1440)])
    edit(journey, [tag("a"), tag("b", delay_minutes=1440), tag("c")])
    work_at(NOW + DAY)
    assert tags_of() == {"a", "b", "c"}


def test_everything_removed_completes_the_run():
    journey = inside([tag("a"), tag("b", delay_minutes=1440)])
    edit(journey, [])
    work_at(NOW)
    assert run_of(journey).status == RunStatus.COMPLETED


def test_switching_off_parks_and_switching_on_brings_back_the_due_time():
    journey = inside([tag("a"), tag("b", delay_minutes=1440)])
    set_active(journey.id, False, None, NOW)
    run = run_of(journey)
    assert (run.status, run.due_at, run.parked_due_at) == (RunStatus.ACTIVE, None, NOW + DAY)
    assert work_at(NOW + 2 * DAY) == 0
    set_active(journey.id, True, None, NOW)
    run = run_of(journey)
    assert (run.due_at, run.parked_due_at) == (NOW + DAY, None)
    work_at(NOW + 2 * DAY)
    assert run_of(journey).status == RunStatus.COMPLETED


def test_an_inactive_journey_starts_nobody():
    journey = make_journey("Off", [tag("a")], now=NOW)
    set_active(journey.id, False, None, NOW)
    (answer,) = ingest([Incoming("u1", "signup")], NOW)
    assert answer.started == ()
