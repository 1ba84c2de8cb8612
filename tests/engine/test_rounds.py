"""The job of every minute as django-q runs it, and the task that takes people in."""

from datetime import timedelta

import pytest
from django_q.models import OrmQ, Schedule

from journeys import tasks
from journeys.engine.clock import database_clock
from journeys.engine.intakes import BATCH
from journeys.engine.manual import Choice, Request, start
from journeys.models import Contact, Intake, UserJourney
from journeys.models.ids import new_id
from tests.factories import make_contact, make_journey

pytestmark = pytest.mark.django_db
STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}


def waiting() -> list[str]:
    return sorted(task.func() for task in OrmQ.objects.all())


def test_each_minute_is_scheduled():
    assert Schedule.objects.get(name="journeys: look").minutes == 1


def test_a_look_wakes_who_takes_people_in():
    now = database_clock()
    make_contact("u1", now=now - timedelta(days=9))
    journey = make_journey("Daily", [STEP], trigger_type="schedule", now=now - timedelta(days=2))
    tasks.look()
    assert waiting() == ["journeys.tasks.take_in"]
    tasks.take_in()
    assert UserJourney.objects.get().journey_id == journey.id
    tasks.look()
    assert waiting().count("journeys.tasks.take_in") == 1
    assert not Intake.objects.filter(finished_at=None).exists()


def test_a_long_list_goes_on_in_another_task(monkeypatch: pytest.MonkeyPatch):
    now = database_clock()
    journey = make_journey("Offer", [STEP], trigger_type="manual", now=now)
    people = [Contact(id=new_id(now), user_id=f"u{n}", created_at=now, updated_at=now) for n in range(BATCH + 1)]
    Contact.objects.bulk_create(people)
    start(journey.id, Request(Choice(tuple(contact.user_id for contact in people)), len(people)), now)
    monkeypatch.setattr(tasks, "PRUNE_SECONDS", -1)
    tasks.take_in()
    assert UserJourney.objects.count() == BATCH
    assert "journeys.tasks.take_in" in waiting()
    monkeypatch.undo()
    tasks.take_in()
    assert UserJourney.objects.count() == BATCH + 1
