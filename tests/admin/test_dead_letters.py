import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse

from journeys.models import DeadLetter, StepExecution
from tests.admin.pages import signed_in
from tests.admin.test_pages import populate

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
