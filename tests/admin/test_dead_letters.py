from datetime import timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse

from journeys.models import Breaker, DeadLetter, StepExecution
from tests.admin.pages import signed_in
from tests.admin.test_pages import populate
from tests.factories import NOON

pytestmark = pytest.mark.django_db

MAY = ("journeys.view_deadletter", "journeys.change_deadletter")


def decide(client, action, *more):
    keys = [str(key) for key in DeadLetter.objects.values_list("pk", flat=True)]
    data = {"action": f"{action}_letters", ACTION_CHECKBOX_NAME: keys, **dict(more)}
    return client.post(reverse("admin:journeys_deadletter_changelist"), data)


def test_replay_asks_first_and_says_how_many():
    populate(3)
    client = signed_in(*MAY)
    page = decide(client, "replay").rendered_content
    assert "Replay 3 dead letters?" in page
    assert StepExecution.objects.filter(dead_at__isnull=False).count() == 3
    assert decide(client, "replay", ("confirmed", "1")).status_code == 302
    assert StepExecution.objects.filter(replay_at__isnull=False, dead_at=None).count() == 3


def test_dismissed_letters_stay_failed_and_leave_the_list():
    populate(2)
    client = signed_in(*MAY)
    response = decide(client, "dismiss", ("confirmed", "1"))
    assert "2 dead letters dismissed." in client.get(response["Location"]).rendered_content
    assert StepExecution.objects.filter(status="failed", dead_at=None, replay_at=None).count() == 2


def test_who_may_only_look_is_offered_nothing_and_can_do_nothing():
    populate(1)
    client = signed_in("journeys.view_deadletter")
    assert "replay_letters" not in client.get(reverse("admin:journeys_deadletter_changelist")).rendered_content
    decide(client, "dismiss", ("confirmed", "1"))
    assert StepExecution.objects.filter(dead_at__isnull=False).count() == 1


def test_a_letter_that_was_dismissed_meanwhile_is_not_counted():
    populate(2)
    client = signed_in(*MAY)
    keys = [str(key) for key in DeadLetter.objects.values_list("pk", flat=True)]
    DeadLetter.objects.filter(pk=keys[0]).update(dead_at=None)
    data = {"action": "dismiss_letters", ACTION_CHECKBOX_NAME: keys, "confirmed": "1"}
    url = reverse("admin:journeys_deadletter_changelist")
    response = client.post(url, data, follow=True)
    assert "1 dead letter dismissed." in response.rendered_content


def all_of(what: str, query: str = "") -> str:
    return f"{reverse(f'admin:journeys_{what}_all')}?{query}"


def dead() -> int:
    return DeadLetter.objects.filter(dead_at__isnull=False).count()


def test_all_that_a_filter_finds_are_replayed_once_their_number_is_confirmed():
    populate(60)
    StepExecution.objects.filter(user_journey__contact__user_id__lt="u003").update(error_message="no answer in time")
    client = signed_in(*MAY)
    page = client.get(reverse("admin:journeys_deadletter_changelist"), {"q": "NO ANSWER"}).rendered_content
    url = all_of("replay", "q=NO+ANSWER")
    assert f'href="{url}"' in page
    page = client.get(url)
    assert "Replay 3 dead letters?" in page.rendered_content
    assert dead() == 60
    response = client.post(url, {"count": page.context["number"]}, follow=True)
    assert "3 dead letters will be tried again." in response.rendered_content
    assert StepExecution.objects.filter(replay_at__isnull=False, dead_at=None).count() == 3


def test_all_are_more_than_a_page():
    populate(60)
    client = signed_in(*MAY)
    response = client.post(all_of("dismiss"), {"count": "60"}, follow=True)
    assert "60 dead letters dismissed." in response.rendered_content
    assert dead() == 0


@pytest.mark.parametrize("count", ["2", "", "many", "-1", "9" * 30])
def test_another_number_than_was_confirmed_does_nothing_and_says_the_new_one(count):
    populate(3)
    client = signed_in(*MAY)
    response = client.post(all_of("replay", "q=mailbox"), {"count": count}, follow=True)
    assert "Nothing was done: there are 3 of these dead letters now" in response.rendered_content
    assert response.request["QUERY_STRING"] == "q=mailbox"
    assert dead() == 3


@pytest.mark.parametrize(
    ("query", "found"),
    [("action_type=apply_tag", 2), ("action_type=send_email", 0), ("q=u000", 1), ("q=100%25", 0), ("journey=x", 0)],
)
def test_letters_are_filtered_by_action_journey_person_and_error(query, found):
    populate(2)
    assert signed_in(*MAY).get(all_of("replay", query)).context["number"] == found


def test_a_filter_that_cannot_be_meant_leads_back_to_the_list():
    populate(1)
    client = signed_in(*MAY)
    for query in ("nonsense=1", "q=%00"):
        assert client.post(all_of("replay", query), {"count": "1"}).status_code == 302
    assert dead() == 1


def test_who_may_only_look_decides_nothing_for_all_either():
    populate(1)
    client = signed_in("journeys.view_deadletter")
    page = client.get(reverse("admin:journeys_deadletter_changelist")).rendered_content
    assert "Replay all" not in page
    assert client.get(all_of("replay")).status_code == 403
    assert client.post(all_of("dismiss"), {"count": "1"}).status_code == 403
    assert dead() == 1


def fail(destination: str, **fields: object) -> None:
    Breaker.objects.create(destination=destination, channel="webhook", updated_at=NOON, **fields)


def test_breakers_stand_in_a_list_with_state_and_error_and_on_the_first_page():
    fail("a.example.com:443", failures=9, opened_at=NOON, probe_at=NOON + timedelta(minutes=1), last_error="said 503")
    fail("b.example.com:443", failures=1, last_error="no answer in time")
    client = signed_in(superuser=True)
    page = client.get(reverse("admin:journeys_breaker_changelist"))
    assert [breaker.destination[0] for breaker in page.context["cl"].result_list] == ["a", "b"]
    assert "said 503" in page.rendered_content and "no answer in time" in page.rendered_content
    first = client.get(reverse("admin:index")).rendered_content
    assert "Nothing gets through to a.example.com:443" in first and "b.example.com" not in first


def test_a_breaker_is_closed_by_who_may():
    fail("a.example.com:443", failures=9, opened_at=NOON, probe_at=NOON)
    data = {"action": "close_breakers", ACTION_CHECKBOX_NAME: ["a.example.com:443"]}
    url = reverse("admin:journeys_breaker_changelist")
    signed_in("journeys.view_breaker", username="looker").post(url, data)
    assert Breaker.objects.exists()
    client = signed_in("journeys.view_breaker", "journeys.delete_breaker")
    assert "1 breaker closed." in client.post(url, data, follow=True).rendered_content
    assert not Breaker.objects.exists()
