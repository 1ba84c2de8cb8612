from datetime import timedelta

import pytest

from journeys.admin.dashboard import ago
from journeys.engine.clock import database_clock
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Heartbeat, Tally, TallyTotal, What
from tests.admin.pages import signed_in
from tests.admin.test_pages import populate
from tests.factories import make_journey

pytestmark = pytest.mark.django_db


def test_it_says_what_is_due_and_how_long_and_what_is_stuck():
    populate(2)
    page = signed_in(superuser=True).get("/admin/").rendered_content
    assert "2 runs wait for a worker" in page
    assert "Is the worker running?" in page
    assert "“Greet” in Onboarding failed for 2 people" in page
    assert "the mailbox is full" in page
    assert "never" in page


def test_with_nothing_stuck_it_says_so():
    make_journey(is_active=False)
    Heartbeat.objects.create(name="tick", at=database_clock())
    page = signed_in(superuser=True).get("/admin/").rendered_content
    assert "Every run goes its way." in page
    assert "j-bad" not in page


def test_an_unconfigured_channel_of_a_live_journey_is_named():
    make_journey(steps=[{"name": "Hook", "action_type": "trigger_webhook", "action_config": {"url": "https://x.io/"}}])
    page = signed_in(superuser=True).get("/admin/").rendered_content
    assert "WEBHOOK_SECRETS is not set; used by Onboarding." in page


def test_messages_by_day_add_tallies_and_totals():
    step = {"name": "Hook", "action_type": "trigger_webhook", "action_config": {"url": "https://x.io/"}}
    journey = make_journey(steps=[step])
    now = database_clock()
    key = {"journey_id": journey.pk, "step_id": journey.steps.get().pk, "what": What.SUCCESS}
    Tally.objects.create(**key, count=3, at=now)
    TallyTotal.objects.create(**key, count=4, day=now.date())
    TallyTotal.objects.create(**key, count=5, day=(now - timedelta(days=13)).date())
    TallyTotal.objects.create(**key, count=50, day=(now - timedelta(days=14)).date())
    days = signed_in(superuser=True).get("/admin/").context["days"]
    assert [count for _, count in days] == [5, *[0] * 12, 7]


def test_it_asks_the_same_however_much_there_is(django_assert_num_queries):
    make_journey()
    ingest([Incoming(f"w{number}", "signup", {}) for number in range(50)], database_clock())
    client = signed_in(superuser=True)
    with django_assert_num_queries(18):
        client.get("/admin/")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (86_400, "1 day"), (200_000, "2 days")],
)
def test_durations_are_said_in_their_largest_unit(seconds, said):
    assert ago(seconds) == said
