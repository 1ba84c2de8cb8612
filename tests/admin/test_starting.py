"""The page “Start for…”: chosen, counted, confirmed."""

import pytest
from django.test import Client
from django.urls import reverse

from journeys.authoring.segments import SegmentBody, create_segment
from journeys.engine.clock import database_clock
from journeys.engine.intakes import take_in
from journeys.models import Intake, Journey, UserJourney
from tests.factories import NOON, make_contact, make_journey, operator

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(operator(superuser=True))
    return client


@pytest.fixture
def page() -> str:
    journey = make_journey("Offer", trigger_type="manual")
    for number in range(3):
        make_contact(f"u{number}")
    return reverse("admin:journeys_journey_start", args=[journey.id])


def test_people_are_chosen_counted_and_started(admin: Client, page: str):
    journey = Journey.objects.get()
    assert page in admin.get(reverse("admin:journeys_journey_change", args=[journey.id])).content.decode()
    asked = admin.post(page, {"user_ids": "u0\n u1 \nstranger\nu1", "segment": ""})
    assert "Start 2 people?" in asked.content.decode()
    assert not Intake.objects.exists()
    confirmed = {"user_ids": "u0\nu1\nstranger", "segment": "", "count": "2", "key": "once", "_start": "1"}
    for _ in range(2):  # A button that was pressed twice.
        assert admin.post(page, confirmed).status_code == 302
    take_in(database_clock)
    assert UserJourney.objects.count() == 2
    assert "2 people" in admin.get(page).content.decode()


def test_a_segment_is_chosen(admin: Client, page: str):
    create_segment(SegmentBody(name="All"), NOON)
    assert "Start 3 people?" in admin.post(page, {"user_ids": "", "segment": "All"}).content.decode()


def test_faults_are_told(admin: Client, page: str):
    create_segment(SegmentBody(name="All"), NOON)
    assert "Choose a segment, or" in admin.post(page, {"user_ids": " ", "segment": ""}).content.decode()
    many = "\n".join(map(str, range(10_001)))
    assert "make a segment" in admin.post(page, {"user_ids": many, "segment": ""}).content.decode()
    stale = {"user_ids": "", "segment": "All", "count": "9", "key": "k", "_start": "1"}
    assert "There are 3 people now, not 9" in admin.post(page, stale).content.decode()
    Journey.objects.update(is_active=False)
    assert "switched off" in admin.post(page, {"user_ids": "u1", "segment": ""}).content.decode()


def test_who_may_not_change_journeys_starts_nobody(page: str):
    client = Client()
    client.force_login(operator("journeys.view_journey"))
    assert client.get(page).status_code == 403
    assert page not in client.get(reverse("admin:journeys_journey_changelist")).content.decode()


def test_who_may_not_see_contacts_starts_nobody_either(page: str):
    client = Client()
    allowed = "journeys.view_journey", "journeys.change_journey"
    client.force_login(operator(*allowed))
    journey_page = page.replace("start/", "change/")
    assert client.post(page, {"user_ids": "u1", "segment": ""}).status_code == 403
    assert page not in client.get(journey_page).content.decode()
    client.force_login(operator(*allowed, "journeys.view_contact", username="another"))
    assert client.get(page).status_code == 200
    assert page in client.get(journey_page).content.decode()
