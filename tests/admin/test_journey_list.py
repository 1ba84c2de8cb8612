import pytest
from django.urls import reverse

from journeys.analytics import Numbers, journey_numbers
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Journey, Tally, TallyTotal, What
from tests.admin.pages import JOURNEYS, signed_in
from tests.factories import NOON, make_journey

pytestmark = pytest.mark.django_db

TOGGLE = "/admin/journeys/journey/toggle/"


def test_numbers_add_tallies_totals_and_the_people_inside_in_one_statement(django_assert_num_queries):
    journey = make_journey(steps=[{"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "x"}}])
    quiet = make_journey("Quiet", trigger_type="upgrade")
    ingest([Incoming("u1", "signup", {}), Incoming("u2", "signup", {})], NOON)
    Tally.objects.create(journey_id=journey.pk, what=What.COMPLETED, count=4, at=NOON)
    TallyTotal.objects.create(journey_id=journey.pk, what=What.COMPLETED, count=10, day=NOON.date())
    TallyTotal.objects.create(journey_id=journey.pk, step_id=quiet.pk, what=What.FAILED, count=99, day=None)
    with django_assert_num_queries(1):
        numbers = journey_numbers([journey.pk, quiet.pk])
    assert numbers == {journey.pk: Numbers(started=2, completed=14, inside=2), quiet.pk: Numbers()}


def test_the_list_shows_numbers_with_a_fixed_number_of_queries(django_assert_num_queries):
    for number in range(12):
        make_journey(f"Journey {number}", priority=number)
    client = signed_in(superuser=True)
    with django_assert_num_queries(6):
        page = client.get(JOURNEYS).content.decode()
    assert "Signed up" in page
    assert page.count('role="switch"') == 12


def test_the_list_says_which_event_starts_a_journey():
    make_journey("Thanks", trigger_type="event", trigger_config={"event": "order_placed"})
    assert "An event: order_placed" in signed_in(superuser=True).get(JOURNEYS).content.decode()


def test_an_empty_list_says_what_a_journey_is():
    page = signed_in(superuser=True).get(JOURNEYS).content.decode()
    assert "No journeys yet" in page and "Add journey" in page


def test_the_switch_goes_through_authoring_and_parks_and_unparks():
    journey = make_journey(
        steps=[{"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "x"}, "delay_minutes": 60}]
    )
    ingest([Incoming("u1", "signup", {})], NOON)
    client = signed_in("journeys.view_journey", "journeys.change_journey")
    client.post(TOGGLE, {"journey": f"{journey.pk}:off"})
    run = journey.runs.get()
    assert (run.due_at, run.parked_due_at is not None) == (None, True)
    client.post(TOGGLE, {"journey": f"{journey.pk}:on"})
    run.refresh_from_db()
    assert run.due_at is not None
    assert Journey.objects.get().is_active


def test_the_switch_needs_the_permission_and_a_post():
    journey = make_journey()
    client = signed_in("journeys.view_journey")
    assert client.post(TOGGLE, {"journey": f"{journey.pk}:off"}).status_code == 403
    assert client.get(TOGGLE).status_code == 405
    assert Journey.objects.get().is_active
    assert 'role="switch"' in client.get(JOURNEYS).content.decode()


def test_an_unknown_journey_is_not_found():
    client = signed_in(superuser=True)
    for value in ("nonsense:on", "01a16ae4-7700-7e8c-bc7d-cc804153417d:on", ""):
        assert client.post(TOGGLE, {"journey": value}).status_code == 404


def test_who_may_only_look_gets_a_page_that_can_not_be_edited():
    journey = make_journey(steps=[{"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "x"}}])
    client = signed_in("journeys.view_journey")
    url = reverse("admin:journeys_journey_change", args=[journey.pk])
    page = client.get(url).content.decode()
    assert '<fieldset class="j-all" disabled>' in page
    assert "Save and publish" not in page
    assert client.post(url, {}).status_code == 403
    assert client.get(f"{JOURNEYS}add/").status_code == 403
    assert client.get(reverse("admin:journeys_journey_delete", args=[journey.pk])).status_code == 403


def test_who_may_nothing_sees_nothing():
    client = signed_in()
    assert client.get(JOURNEYS).status_code == 403
    assert "Ask a superuser" in client.get("/admin/").content.decode()
