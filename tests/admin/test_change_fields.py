"""Changes of attributes as rows: what is entered, what is stored, and what is shown again."""

import pytest
from django import forms

from journeys.admin.change_fields import ChangesField, Row, as_row
from journeys.models import JourneyStep
from tests.admin.pages import JOURNEYS, errors_of, posted, signed_in

STORED = [
    {"op": "set", "attribute": "plan", "value": "5"},
    {"op": "set", "attribute": "level", "value": 5},
    {"op": "set", "attribute": "ratio", "value": 2.5},
    {"op": "set", "attribute": "member", "value": True},
    {"op": "increment", "attribute": "points", "value": -3},
    {"op": "increment", "attribute": "spent", "value": "{{ event.amount }}"},
    {"op": "unset", "attribute": "trial"},
]


def test_what_is_stored_comes_back_from_its_rows():
    assert ChangesField().clean([as_row(change) for change in STORED]) == STORED


def test_empty_rows_are_left_out():
    assert ChangesField().clean([Row("set_text", "", ""), Row("unset", " trial ", "x")]) == [
        {"op": "unset", "attribute": "trial"}
    ]


def test_each_wrong_row_is_named():
    rows = [Row("set_text", "", "x"), Row("set_flag", "member", "maybe"), Row("set_number", "n", "many")]
    with pytest.raises(forms.ValidationError) as caught:
        ChangesField().clean([*rows, Row("nonsense", "a", "b")])
    assert caught.value.messages == [
        "Row 1: the attribute's name must have 1 to 100 characters and no dot, such as birthday.",
        "Row 2: the value must be yes or no.",
        "Row 3: the value must be a number.",
        "Row 4: op must be 'set', 'increment' or 'unset'.",
    ]


@pytest.mark.django_db
def test_a_step_is_entered_in_rows_and_shown_in_rows_again():
    step = {
        "name": "Count",
        "action_type": "update_contact",
        "config-changes_what": ["increment", "unset"],
        "config-changes_attribute": ["points", "trial"],
        "config-changes_value": ["5", ""],
    }
    client = signed_in(superuser=True)
    assert client.post(f"{JOURNEYS}add/", posted([step])).status_code == 302
    stored = JourneyStep.objects.get().action_config["changes"]
    assert stored == [
        {"op": "increment", "attribute": "points", "value": 5},
        {"op": "unset", "attribute": "trial"},
    ]
    page = client.get(f"{JOURNEYS}{JourneyStep.objects.get().journey_id}/change/").content.decode()
    assert '<option value="increment" selected>' in page and 'value="points"' in page


@pytest.mark.django_db
def test_a_wrong_row_is_said_beside_the_changes():
    step = {
        "name": "Count",
        "action_type": "update_contact",
        "config-changes_what": ["increment"],
        "config-changes_attribute": ["points"],
        "config-changes_value": ["many"],
    }
    errors = errors_of(signed_in(superuser=True).post(f"{JOURNEYS}add/", posted([step])))
    assert errors == {"steps-0-config-changes": ["Row 1: the value must be a number."]}
