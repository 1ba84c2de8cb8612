"""The journey page: who enters, and when they leave."""

from typing import Any

import pytest
from django.urls import reverse

from journeys.authoring.rules import rules_of
from journeys.models import Journey, JourneyVersion
from tests.admin.pages import JOURNEYS, errors_of, fields_of, posted, signed_in
from tests.factories import make_journey

pytestmark = pytest.mark.django_db


def add(**fields: Any) -> Any:
    return signed_in(superuser=True).post(f"{JOURNEYS}add/", posted(**fields))


def test_reentry_is_chosen_in_words_and_its_days_go_with_it():
    response = add(reentry="after_days", reentry_days="30")
    assert response.status_code == 302, errors_of(response)
    journey = Journey.objects.get()
    assert (journey.reentry, journey.reentry_days) == ("after_days", 30)


def test_days_that_another_choice_has_no_use_for_are_left_out():
    assert add(reentry="after_finish", reentry_days="30").status_code == 302
    assert Journey.objects.get().reentry_days is None


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"reentry": "after_days", "reentry_days": ""}, "reentry_days", "after how many days"),
        ({"reentry": "after_days", "reentry_days": "0"}, "reentry_days", "greater than or equal to 1"),
        ({"reentry": "often"}, "reentry", "valid choice"),
    ],
)
def test_each_fault_stands_beside_its_field(fields: dict[str, Any], field: str, said: str):
    response = add(**fields)
    assert response.status_code == 200
    assert said in " ".join(errors_of(response)[field])
    assert not Journey.objects.exists()


RULES: dict[str, Any] = {"reentry": "after_days", "reentry_days": 30}


def test_the_page_posts_back_to_the_same_version():
    journey = make_journey(**RULES)
    client = signed_in(superuser=True)
    address = reverse("admin:journeys_journey_change", args=[journey.pk])
    response = client.post(address, fields_of(client.get(address).context["editor"]))
    assert response.status_code == 302, errors_of(response)
    journey.refresh_from_db()
    assert {name: value for name, value in rules_of(journey).items() if name in RULES} == RULES
    assert JourneyVersion.objects.count() == 1
