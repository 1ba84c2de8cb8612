"""Segments by mouse and keyboard: rows of what people did, and the size that follows them."""

import pytest
from playwright.sync_api import Page, expect

from journeys.engine.ingest import Incoming, ingest
from journeys.models import Journey, Segment
from tests.browser.test_admin import save, sign_in
from tests.factories import NOON, make_contact

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(page: Page, live_server) -> Page:
    return sign_in(page, live_server)


def test_a_segment_is_built_by_clicking_and_its_size_follows(admin: Page, live_server):
    for number in range(5):
        make_contact(f"u{number}", attributes={"plan": "gold" if number < 3 else "free"})
    ingest([Incoming(user_id, "purchase") for user_id in ("u0", "u0", "u1", "u4", "u4")], NOON)
    admin.goto(f"{live_server.url}/admin/journeys/segment/add/")
    size = admin.locator("[data-size]")
    expect(size).to_have_text("5 of 5 contacts")
    admin.get_by_label("Name", exact=True).fill("Golden buyers")
    admin.get_by_role("button", name="Add what they did").click()
    admin.get_by_label("Event").fill("purchase")
    expect(size).to_have_text("3 of 5 contacts")
    admin.get_by_label("Times").fill("2")
    expect(size).to_have_text("2 of 5 contacts")
    admin.get_by_role("button", name="Add a condition").click()
    admin.get_by_label("Field").fill("plan")
    admin.get_by_label("Value", exact=True).fill("gold")
    expect(size).to_have_text("1 of 5 contacts")
    admin.get_by_role("button", name="Edit as text").click()
    expect(admin.get_by_label("Condition as text")).to_have_value('did "purchase" >= 2 times and plan = "gold"')
    admin.get_by_role("button", name="Edit as rows").click()
    admin.get_by_label("When").select_option(label="in the last")
    admin.get_by_label("Days").fill("")
    expect(size).to_contain_text("number of days")
    admin.get_by_label("Days").fill("36500")
    expect(size).to_have_text("1 of 5 contacts")
    admin.get_by_role("button", name="Save", exact=True).click()
    admin.wait_for_url("**/admin/journeys/segment/")
    assert Segment.objects.get().condition == {
        "all": [
            {"did": "purchase", "op": "gte", "value": 2, "within_days": 36500},
            {"field": "plan", "op": "eq", "value": "gold"},
        ]
    }


def test_a_schedule_is_chosen_in_words(admin: Page, live_server):
    Segment.objects.create(id="0192d5e0-0000-7000-8000-000000000000", name="Gold", created_at=NOON, updated_at=NOON)
    admin.goto(f"{live_server.url}/admin/journeys/journey/add/")
    admin.get_by_label("Name", exact=True).fill("News")
    admin.get_by_label("Starts when").select_option(label="On a schedule")
    expect(admin.locator("label", has_text="Cron")).to_be_hidden()
    admin.get_by_label("Every", exact=True).select_option(label="Week")
    admin.get_by_label("Mon", exact=True).check()
    admin.get_by_label("At", exact=True).fill("08:30")
    admin.get_by_label("Segment", exact=True).select_option(label="Gold")
    save(admin)
    journey = Journey.objects.get()
    assert (journey.trigger_type, journey.trigger_config) == (
        "schedule",
        {"every": "week", "weekdays": ["mon"], "at": "08:30", "segment": "Gold"},
    )
