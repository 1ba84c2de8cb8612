"""The journey page: what is entered becomes a document, and each fault stands beside its field."""

import json

import pytest
from django.urls import reverse

from journeys.models import Journey, JourneyStep, JourneyVersion
from tests.admin.pages import JOURNEYS, errors_of, fields_of, posted, signed_in
from tests.factories import NOON, make_contact, make_journey

pytestmark = pytest.mark.django_db

TAG = {"name": "Tag", "action_type": "apply_tag", "config-tag": "onboarded"}


def test_a_journey_is_made_from_its_form_without_any_json():
    step = {
        "name": "Welcome",
        "action_type": "send_email",
        "config-template": "welcome",
        "config-subject": "Hello {{ user.first_name }}",
        "delay_number": "2",
        "delay_unit": "1440",
        "expires_after_minutes_number": "3",
        "expires_after_minutes_unit": "60",
        "on_failure": "stop",
        "condition_mode": "text",
        "condition_text": 'plan in ["premium", "gold"]',
    }
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", posted([step, TAG], is_active="on", priority="7"))
    assert response.status_code == 302, errors_of(response)
    journey = Journey.objects.get()
    assert (journey.name, journey.is_active, journey.priority) == ("Onboarding", True, 7)
    first, second = journey.steps.all()
    assert first.action_config == {"template": "welcome", "subject": "Hello {{ user.first_name }}"}
    assert (first.delay_minutes, first.expires_after_minutes) == (2 * 24 * 60, 3 * 60)
    assert first.condition == {"field": "plan", "op": "in", "value": ["premium", "gold"]}
    assert (first.on_failure, first.is_active) == ("stop", True)
    assert (second.action_type, second.action_config) == ("apply_tag", {"tag": "onboarded"})
    assert second.expires_after_minutes is None


def test_the_page_of_a_journey_posts_back_to_the_same_version():
    condition = {"all": [{"field": "plan", "op": "eq", "value": "gold"}, {"field": "age", "op": "gte", "value": 18}]}
    steps = [
        {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "x"}, "condition": condition},
        {
            "name": "Call",
            "action_type": "trigger_webhook",
            "action_config": {"url": "https://example.com/hook", "headers": {"X-Key": "1"}},
            "delay_minutes": 90,
            "expires_after_minutes": 60,
            "window": {"days": ["sat"], "from": "20:00", "to": "02:00"},
            "delay_from": "journey_start",
        },
        {"name": "Later", "action_type": "schedule_next", "action_config": {"at": "09:00", "days": ["mon", "fri"]}},
        {"name": "Points", "action_type": "grant_reward", "action_config": {"reward_type": "points", "value": "2.5"}},
    ]
    quiet = {"from": "22:00", "to": "08:00"}
    journey = make_journey(trigger_type="idle_user", trigger_config={"idle_days": 14}, steps=steps, quiet_hours=quiet)
    client = signed_in(superuser=True)
    page = client.get(reverse("admin:journeys_journey_change", args=[journey.pk])).context["editor"]
    response = client.post(reverse("admin:journeys_journey_change", args=[journey.pk]), fields_of(page))
    assert response.status_code == 302, errors_of(response)
    assert JourneyVersion.objects.count() == 1


def test_the_triggers_own_fields_are_entered_and_kept():
    fields = {"trigger_type": "subscription_expiring", "trigger-days_before": "3", "trigger-date_attribute": "ends_on"}
    signed_in(superuser=True).post(f"{JOURNEYS}add/", posted([TAG], **fields))
    assert Journey.objects.get().trigger_config == {"days_before": 3, "date_attribute": "ends_on"}


@pytest.mark.parametrize(
    ("step", "field", "said"),
    [
        ({"name": ""}, "steps-0-name", "This field is required."),
        ({"action_type": ""}, "steps-0-action_type", "This field is required."),
        ({"config-tag": ""}, "steps-0-config-tag", "This is required."),
        ({"config-tag": "x" * 101}, "steps-0-config-tag", "at most 100 characters"),
        ({"delay_number": "999999999", "delay_unit": "10080"}, "steps-0-delay", "ten years"),
        ({"expires_after_minutes_number": "0"}, "steps-0-expires_after_minutes", "1"),
        ({"delay_number": "soon", "delay_unit": "1"}, "steps-0-delay", "whole number"),
        ({"condition_mode": "text", "condition_text": "plan ="}, "steps-0-condition", "line 1"),
        ({"condition_rows": '{"field": "", "op": "eq", "value": 1}'}, "steps-0-condition", "The field: must be"),
        (
            {"condition_rows": '{"all": [{"field": "a", "op": "gt", "value": "x"}]}'},
            "steps-0-condition",
            "Row 1, the value",
        ),
        ({"condition_rows": "{not json"}, "steps-0-condition", "could not be read"),
        ({"action_type": "send_telegram"}, "steps-0-config-message", "required"),
        (
            {"action_type": "grant_reward", "config-reward_type": "points", "config-value": "-1"},
            "steps-0-config-value",
            "greater than 0",
        ),
    ],
)
def test_a_steps_fault_stands_beside_its_field(step, field, said):
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", posted([{**TAG, **step}]))
    assert response.status_code == 200
    errors = errors_of(response)
    assert any(said.lower() in error.lower() for error in errors.get(field, [])), errors
    assert not Journey.objects.exists()


def test_faults_that_only_the_whole_document_has_stand_beside_their_step():
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", posted([TAG, TAG]))
    assert list(errors_of(response)) == ["steps-1-name"]


def test_a_triggers_fault_stands_beside_its_field():
    fields = {"trigger_type": "idle_user", "trigger-idle_days": "0"}
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", posted([TAG], **fields))
    assert list(errors_of(response)) == ["trigger-idle_days"]


def test_a_name_that_is_taken_is_said_beside_the_name():
    make_journey("Onboarding")
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", posted([TAG]))
    assert errors_of(response) == {"name": ["There is already a journey of this name."]}


def test_a_name_that_is_taken_is_said_together_with_the_other_faults():
    make_journey("Onboarding")
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", posted([{**TAG, "name": ""}]))
    assert errors_of(response)["name"] == ["There is already a journey of this name."]
    assert list(errors_of(response)) == ["name", "steps-0-name"]


def test_steps_are_reordered_and_deleted_by_the_form_and_keep_their_identity():
    journey = make_journey(
        steps=[{"name": name, "action_type": "apply_tag", "action_config": {"tag": name}} for name in ("a", "b", "c")]
    )
    ids = {step.key: step.pk for step in journey.steps.all()}
    steps = [
        {"key": "a", "name": "a", "action_type": "apply_tag", "config-tag": "a", "order": "2"},
        {"key": "b", "name": "b", "action_type": "apply_tag", "config-tag": "b", "order": "1", "DELETE": "on"},
        {"key": "c", "name": "renamed", "action_type": "apply_tag", "config-tag": "c", "order": "0"},
    ]
    signed_in(superuser=True).post(f"{JOURNEYS}{journey.pk}/change/", posted(steps, journey, is_active="on"))
    left = JourneyStep.objects.filter(journey=journey, archived_at=None).order_by("order")
    assert [(step.name, step.pk) for step in left] == [("renamed", ids["c"]), ("a", ids["a"])]


def test_a_step_is_switched_off():
    journey = make_journey(steps=[{"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "x"}}])
    step = {"key": "tag", "name": "Tag", "action_type": "apply_tag", "config-tag": "x"}
    data = posted([step], journey)
    del data["steps-0-is_active"]
    signed_in(superuser=True).post(f"{JOURNEYS}{journey.pk}/change/", data)
    assert not journey.steps.get().is_active


def test_two_operators_do_not_overwrite_each_other():
    journey = make_journey()
    stale = posted([TAG], journey, name="Mine")
    client = signed_in(superuser=True)
    client.post(f"{JOURNEYS}{journey.pk}/change/", posted([{**TAG, "name": "Theirs"}], journey))
    response = client.post(f"{JOURNEYS}{journey.pk}/change/", stale)
    assert "Somebody else saved" in errors_of(response)["__all__"][0]
    assert journey.steps.get(archived_at=None).name == "Theirs"


def test_a_nested_condition_is_shown_as_text():
    nested = {"any": [{"field": "a", "op": "eq", "value": 1}, {"not": {"field": "b", "op": "exists", "value": True}}]}
    step = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "x"}, "condition": nested}
    journey = make_journey(steps=[step])
    page = signed_in(superuser=True).get(f"{JOURNEYS}{journey.pk}/change/").content.decode()
    assert 'name="steps-0-condition_mode" value="text"' in page
    assert "a = 1 or" in page


def test_conditions_are_converted_between_rows_and_text():
    client = signed_in("journeys.view_journey")
    url = reverse("admin:journeys_journey_condition")
    answer = client.post(url, {"mode": "text", "text": 'plan = "gold" and age > 18'}).json()
    assert json.loads(answer["rows"])["all"][1] == {"field": "age", "op": "gt", "value": 18}
    assert client.post(url, {"mode": "rows", "rows": answer["rows"]}).json()["text"] == 'plan = "gold" and age > 18'
    assert "line 1, column" in client.post(url, {"mode": "text", "text": "plan =="}).json()["error"].lower()
    assert signed_in(username="nobody").post(url, {"mode": "text"}).status_code == 403


def test_fields_tags_and_templates_are_suggested():
    make_contact(attributes={"favourite_colour": "red"})
    page = signed_in(superuser=True).get(f"{JOURNEYS}add/").content.decode()
    assert '<option value="favourite_colour">' in page
    assert '<option value="welcome">welcome</option>' in page


def test_the_page_asks_the_database_as_often_with_many_steps_as_with_one(django_assert_num_queries):
    def steps(number):
        return [{"name": f"s{n}", "action_type": "apply_tag", "action_config": {"tag": "x"}} for n in range(number)]

    one, many = make_journey("one", steps=steps(1)), make_journey("many", steps=steps(30))
    client = signed_in(superuser=True)
    for journey in (one, many):
        with django_assert_num_queries(11):
            client.get(f"{JOURNEYS}{journey.pk}/change/")


def test_deleting_says_how_many_runs_go_with_it():
    from journeys.engine.ingest import Incoming, ingest

    journey = make_journey(steps=[{"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "x"}}])
    ingest([Incoming(f"u{n}", "signup", {}) for n in range(3)], NOON)
    client = signed_in(superuser=True)
    url = reverse("admin:journeys_journey_delete", args=[journey.pk])
    assert "<strong>3 runs go with it</strong>" in client.get(url).content.decode()
    assert client.post(url).status_code == 302
    assert not Journey.objects.exists()


def test_a_journey_of_two_hundred_steps_is_one_form():
    steps = [{**TAG, "name": f"Step {number}"} for number in range(200)]
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", posted(steps))
    assert response.status_code == 302
    assert JourneyStep.objects.count() == 200


@pytest.mark.parametrize(
    "entered",
    [
        {"priority": "99999999999999999999"},
        {"trigger_type": "nonsense"},
        {"name": "a\x00b"},
        {"steps-TOTAL_FORMS": "many"},
        {"steps-TOTAL_FORMS": "5000"},
        {"steps-0-order": "first"},
        {"steps-0-action_type": "nonsense"},
        {"steps-0-key": "k" * 500},
        {"steps-0-config-tag": "a\x00b"},
        {"steps-0-condition_rows": '["a"]'},
        {"steps-0-condition_rows": "[" * 5000},
        {"steps-0-condition_text": "(" * 5000, "steps-0-condition_mode": "text"},
        {"steps-0-delay_number": "-5", "steps-0-delay_unit": "7"},
        {"condition_rows": '{"field": "a\\u0000", "op": "eq", "value": 1}'},
    ],
)
def test_nonsense_is_answered_and_stores_nothing_half(entered):
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", {**posted([TAG]), **entered})
    assert response.status_code in (200, 302)
    assert Journey.objects.count() == (response.status_code == 302)


def test_an_empty_post_is_answered():
    assert signed_in(superuser=True).post(f"{JOURNEYS}add/", {}).status_code == 200


def test_hours_are_entered_as_days_and_times():
    step = {
        **TAG,
        "window_days": ["mon", "fri"],
        "window_from": "09:00",
        "window_to": "17:00",
        "delay_from": "journey_start",
    }
    data = posted([step], quiet_hours_from="22:00", quiet_hours_to="08:00")
    response = signed_in(superuser=True).post(f"{JOURNEYS}add/", data)
    assert response.status_code == 302, errors_of(response)
    journey = Journey.objects.get()
    assert journey.quiet_hours == {"from": "22:00", "to": "08:00"}
    saved = journey.steps.get()
    assert saved.window == {"days": ["mon", "fri"], "from": "09:00", "to": "17:00"}
    assert saved.delay_from == "journey_start"


def test_hours_that_make_no_sense_are_faults_beside_their_fields():
    mail = {"name": "Mail", "action_type": "send_email", "config-subject": "Hi", "config-text": "Hello"}
    step = {**mail, "window_from": "23:00", "window_to": "05:00"}
    client = signed_in(superuser=True)
    response = client.post(f"{JOURNEYS}add/", posted([step], quiet_hours_from="22:00", quiet_hours_to="06:00"))
    assert list(errors_of(response)) == ["steps-0-window"]
    response = client.post(f"{JOURNEYS}add/", posted([{**TAG, "window_from": "9"}], quiet_hours_from="22:00"))
    assert set(errors_of(response)) == {"quiet_hours", "steps-0-window"}
