"""The pages over tables that grow: what they show, how they are searched, and how often they ask."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from journeys.engine.ingest import Incoming, ingest
from journeys.models import (
    ContactTag,
    Device,
    Event,
    ExecutionStatus,
    Message,
    MessageStatus,
    Reward,
    StepExecution,
    Tag,
    UserJourney,
)
from journeys.models.ids import new_id
from tests.admin.pages import signed_in
from tests.factories import NOON, make_contact, make_journey

pytestmark = pytest.mark.django_db

LISTS = ["userjourney", "stepexecution", "event", "contact", "message", "tag", "reward", "deadletter", "breaker"]


def populate(people: int) -> None:
    """Some of everything: a run, an execution that failed for good, a message, a tag and a reward for each person."""
    journey = make_journey(steps=[{"name": "Greet", "action_type": "apply_tag", "action_config": {"tag": "x"}}])
    step = journey.steps.get()
    for number in range(people):
        contact = make_contact(f"u{number:03}", email=f"p{number}@example.com", attributes={"plan": "gold"})
        ingest([Incoming(contact.user_id, "signup", {"plan": {"name": "gold"}})], NOON + timedelta(seconds=number))
        run = UserJourney.objects.get(contact=contact)
        execution = StepExecution.objects.create(
            id=new_id(NOON),
            user_journey=run,
            step=step,
            status=ExecutionStatus.FAILED,
            executed_at=NOON,
            error_message="the mailbox is full",
            created_at=NOON,
            dead_at=NOON,
            result={"attempt": 5},
        )
        Message.objects.create(
            id=execution.pk,
            contact=contact,
            journey_id=journey.pk,
            step_id=step.pk,
            channel="email",
            subject="Hi",
            to=contact.email,
            html="<script>parent.hacked = 1</script><b>Hello</b>",
            text="Hello",
            payload={"headers": {"X-Key": "1"}},
            status=MessageStatus.FAILED,
            created_at=NOON,
        )
        tag, _ = Tag.objects.get_or_create(name=f"tag{number}", defaults={"id": new_id(NOON), "created_at": NOON})
        ContactTag.objects.create(contact=contact, tag=tag, applied_at=NOON)
        Reward.objects.create(
            id=new_id(NOON),
            contact=contact,
            execution_id=execution.pk,
            reward_type="points",
            value=Decimal("2.5"),
            granted_at=NOON,
        )
        Device.objects.create(id=new_id(NOON), contact=contact, kind="fcm", token=f"t{number}", created_at=NOON)


def list_of(name: str) -> str:
    return reverse(f"admin:journeys_{name}_changelist")


@pytest.mark.parametrize("name", LISTS)
def test_a_list_never_counts_and_asks_the_same_for_few_and_for_many_rows(name):
    populate(2)
    client = signed_in(superuser=True)
    client.get(list_of(name))
    with CaptureQueriesContext(connection) as few:
        assert client.get(list_of(name)).status_code == 200
    make_journey("Another", trigger_type="upgrade")
    more = [Incoming(f"w{number}", "upgrade", {}) for number in range(60)]
    ingest(more, NOON)
    with CaptureQueriesContext(connection) as many:
        client.get(list_of(name))
    assert len(few) == len(many) <= 4
    assert not [query for query in many.captured_queries if "COUNT(" in query["sql"]]


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_says_what_will_stand_there(name):
    page = signed_in(superuser=True).get(list_of(name))
    assert page.context["cl"].model_admin.empty_text in page.rendered_content.replace("&#x27;", "'")


def test_pages_follow_each_other_without_a_total():
    ingest([Incoming(f"w{number:03}", "anything", {}) for number in range(120)], NOON)
    client = signed_in(superuser=True)
    first = client.get(list_of("event"))
    assert len(first.context["cl"].result_list) == 50
    assert 'rel="next"' in first.rendered_content
    last = client.get(list_of("event"), {"p": 3})
    assert len(last.context["cl"].result_list) == 20
    assert 'rel="next"' not in last.rendered_content and 'rel="prev"' in last.rendered_content


@pytest.mark.parametrize(
    ("name", "term", "found"),
    [
        ("contact", "u00", 2),
        ("contact", "p1@", 1),
        ("contact", "nobody", 0),
        ("userjourney", "u001", 1),
        ("stepexecution", "p0@example.com", 1),
        ("deadletter", "u001", 1),
        ("event", "signup", 2),
        ("event", "u001", 1),
        ("event", "sign", 0),
        ("message", "u001", 1),
        ("tag", "tag", 2),
        ("reward", "u000", 1),
        ("userjourney", "' OR 1=1", 0),
    ],
)
def test_searching_finds_by_the_start_of_an_id_or_address(name, term, found):
    populate(2)
    page = signed_in(superuser=True).get(list_of(name), {"q": term})
    assert len(page.context["cl"].result_list) == found


def test_a_run_is_found_by_its_id():
    populate(2)
    run = UserJourney.objects.first()
    page = signed_in(superuser=True).get(list_of("userjourney"), {"q": str(run.pk)})
    assert [found.pk for found in page.context["cl"].result_list] == [run.pk]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("userjourney", "status__exact=completed"),
        ("stepexecution", "status__exact=success"),
        ("message", "status__exact=sent"),
    ],
)
def test_lists_are_filtered(name, query):
    populate(2)
    assert "Nothing matches." in signed_in(superuser=True).get(f"{list_of(name)}?{query}").rendered_content


def test_runs_are_filtered_by_journey():
    populate(2)
    client = signed_in(superuser=True)
    run = UserJourney.objects.first()
    assert len(client.get(list_of("userjourney"), {"journey": run.journey_id}).context["cl"].result_list) == 2
    assert len(client.get(list_of("userjourney"), {"journey": "nonsense"}).context["cl"].result_list) == 0


@pytest.mark.parametrize(
    ("model", "queries", "shown"),
    [
        (UserJourney, 6, ["u000", "Greet", "the mailbox is full", "see the message", "plan.name", "gold"]),
        (StepExecution, 4, ["the mailbox is full", "attempt", "5", "Apply a tag"]),
        (Event, 3, ["signup", "plan.name", "gold"]),
        (Message, 5, ["p0@example.com", "headers.X-Key", "sandbox"]),
        (Reward, 4, ["2.5 points"]),
        (Tag, 4, ["u000"]),
    ],
)
def test_a_row_has_a_page_with_a_fixed_number_of_queries(model, queries, shown, django_assert_num_queries):
    populate(1)
    client = signed_in(superuser=True)
    url = reverse(f"admin:journeys_{model._meta.model_name}_change", args=[model.objects.get().pk])
    with django_assert_num_queries(queries):
        page = client.get(url).content.decode()
    for text in shown:
        assert text in page


def test_a_contact_shows_tags_devices_rewards_balance_runs_messages_and_events(django_assert_num_queries):
    populate(1)
    contact = UserJourney.objects.get().contact
    Reward.objects.create(
        id=new_id(NOON), contact=contact, execution_id=new_id(NOON), reward_type="points", value=4, granted_at=NOON
    )
    client = signed_in(superuser=True)
    with django_assert_num_queries(10):
        page = client.get(reverse("admin:journeys_contact_change", args=[contact.pk])).content.decode()
    for text in ("tag0", "Firebase", "<strong>6.5</strong> points", "Onboarding", "Hi", "signup", "gold"):
        assert text in page


def test_a_messages_html_is_served_where_no_script_can_run():
    populate(1)
    client = signed_in("journeys.view_message")
    response = client.get(reverse("admin:journeys_message_html", args=[Message.objects.get().pk]))
    assert response.content.decode().endswith("<b>Hello</b>")
    policy = response["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'") and "script" not in policy
    assert response["X-Frame-Options"] == "SAMEORIGIN"


def test_pages_of_rows_can_be_looked_at_and_not_changed():
    populate(1)
    client = signed_in(superuser=True)
    for name in LISTS:
        assert client.get(reverse(f"admin:journeys_{name}_add")).status_code == 403
    run = UserJourney.objects.get()
    assert client.post(reverse("admin:journeys_userjourney_change", args=[run.pk]), {}).status_code == 403
    assert client.get(reverse("admin:journeys_userjourney_delete", args=[run.pk])).status_code == 403
    assert client.get(reverse("admin:journeys_userjourney_change", args=[new_id(NOON)])).status_code == 302
    assert client.get(reverse("admin:journeys_userjourney_change", args=["nonsense"])).status_code == 302


@pytest.mark.parametrize("name", LISTS)
def test_each_page_needs_its_own_permission(name):
    populate(1)
    assert signed_in().get(list_of(name)).status_code == 403


@pytest.mark.parametrize("name", LISTS)
def test_the_permission_to_view_is_enough(name):
    populate(1)
    assert signed_in(f"journeys.view_{name}").get(list_of(name)).status_code == 200


def test_background_tasks_are_for_superusers_alone():
    staff = signed_in("django_q.view_schedule", "django_q.change_schedule")
    url = reverse("admin:django_q_schedule_changelist")
    assert staff.get(url).status_code == 403


@pytest.mark.parametrize("name", [*LISTS, "journey", "messagetemplate"])
@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=" + "x" * 5000,
        "p=-1",
        "p=nonsense",
        "p=99999999999999999999",
        "o=7",
        "e=1",
        "status__exact=%00",
        "created_at__gte=nonsense",
        "unknown=1",
        "trigger_type=%00",
        "journey=%00",
        "all=",
    ],
)
def test_no_address_of_a_list_is_an_error(name, query):
    response = signed_in(superuser=True).get(f"{list_of(name)}?{query}")
    assert response.status_code in (200, 302)


def test_operators_and_background_tasks_have_pages_in_the_admins_own_look():
    client = signed_in(superuser=True)
    for page in (
        "auth_user",
        "auth_group",
        "django_q_schedule",
        "django_q_success",
        "django_q_failure",
        "django_q_ormq",
    ):
        assert client.get(reverse(f"admin:{page}_changelist")).status_code == 200
    assert client.get(reverse("admin:auth_user_add")).status_code == 200
    assert "blacklistedtoken" not in client.get("/admin/").rendered_content


def test_the_page_of_a_run_that_waits_says_at_which_hours_its_step_is_taken():
    make_contact("ana", timezone="Europe/Berlin")
    window = {"days": ["mon", "tue", "wed"], "from": "09:00", "to": "17:00"}
    mail = {
        "name": "Mail",
        "action_type": "send_email",
        "action_config": {"subject": "Hi", "text": "x"},
        "window": window,
    }
    make_journey(steps=[mail], quiet_hours={"from": "22:00", "to": "08:00"})
    ingest([Incoming("ana", "signup")], NOON)
    run = UserJourney.objects.get()
    page = signed_in(superuser=True).get(reverse("admin:journeys_userjourney_change", args=[run.pk])).rendered_content
    assert "only Mon–Wed 09:00–17:00, not in the quiet hours 22:00–08:00, by the clock of Europe/Berlin" in page
