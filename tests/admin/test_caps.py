"""Frequency caps in the admin: entered in words, shown in words, and told to who looks at a run that waits."""

import pytest
from django.urls import reverse

from journeys.authoring.caps import CapDocument, create_cap
from journeys.models import Contact, FrequencyCap, UserJourney
from tests.admin.pages import signed_in
from tests.engine.test_caps import NOW, person, say
from tests.engine.test_cycle import start, work_at
from tests.factories import make_journey

pytestmark = pytest.mark.django_db

LIST = "/admin/journeys/frequencycap/"
GOOD = {"at_most": "3", "channel": "", "number": "2", "unit": "24"}


def errors_of(response):
    return {name: list(faults) for name, faults in response.context["adminform"].form.errors.items()}


def test_a_cap_is_made_changed_and_removed_by_its_form():
    client = signed_in(superuser=True)
    assert client.post(f"{LIST}add/", GOOD).status_code == 302
    cap = FrequencyCap.objects.get()
    assert (cap.channel, cap.at_most, cap.period_hours) == ("", 3, 48)
    form = client.get(f"{LIST}{cap.pk}/change/").context["adminform"].form
    assert [form[name].value() for name in ("at_most", "number", "unit")] == [3, 2, 24]
    assert client.post(f"{LIST}{cap.pk}/change/", {**GOOD, "unit": "1", "channel": "email"}).status_code == 302
    cap.refresh_from_db()
    assert (cap.channel, cap.period_hours, str(cap)) == ("email", 2, "At most 3 e-mails in 2 hours")
    assert "At most 3 e-mails in 2 hours" in client.get(LIST).content.decode()
    client.post(f"{LIST}{cap.pk}/delete/", {"post": "yes"})
    assert not FrequencyCap.objects.exists()


@pytest.mark.parametrize(
    ("channel", "at_most", "hours", "words"),
    [
        ("", 1, 24, "At most 1 message in 1 day"),
        ("push", 2, 72, "At most 2 pushes in 3 days"),
        ("telegram", 5, 25, "At most 5 Telegram messages in 25 hours"),
        ("", 2, 1, "At most 2 messages in 1 hour"),
    ],
)
def test_a_cap_is_said_in_words(channel, at_most, hours, words):
    assert str(FrequencyCap(channel=channel, at_most=at_most, period_hours=hours)) == words


@pytest.mark.parametrize(
    ("entered", "field"),
    [
        ({"at_most": "0"}, "at_most"),
        ({"number": ""}, "number"),
        ({"number": "366"}, "number"),
        ({"channel": "webhook"}, "channel"),
        ({"unit": "7"}, "unit"),
    ],
)
def test_a_fault_stands_beside_its_field(entered, field):
    response = signed_in(superuser=True).post(f"{LIST}add/", {**GOOD, **entered})
    assert field in errors_of(response)
    assert not FrequencyCap.objects.exists()


def test_a_second_one_of_the_same_kind_is_refused():
    client = signed_in(superuser=True)
    client.post(f"{LIST}add/", GOOD)
    assert "already a cap" in errors_of(client.post(f"{LIST}add/", {**GOOD, "at_most": "9"}))["number"][0]


def test_the_runs_page_says_until_when_it_waits():
    create_cap(CapDocument("", 1, 24), NOW)
    person()
    Contact.objects.update(is_test=True)
    make_journey("J", [say("one"), say("two")], now=NOW)
    run = start()
    work_at(NOW)
    page = signed_in(superuser=True).get(reverse("admin:journeys_userjourney_change", args=[run.pk])).content.decode()
    assert "waits for a frequency cap until" in page
    assert UserJourney.objects.get().capped_until is not None


def test_a_message_step_says_what_it_does_with_caps():
    page = signed_in(superuser=True).get("/admin/journeys/journey/add/").content.decode()
    assert page.count("When a frequency cap is reached") == 3
