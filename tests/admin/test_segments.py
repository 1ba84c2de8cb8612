"""The pages of segments: a condition that counts what people did, and how many it means."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from journeys.authoring.segments import SegmentBody, create_segment
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Segment
from tests.factories import NOON, make_contact, operator

pytestmark = pytest.mark.django_db
BOUGHT = {"did": "purchase", "op": "gte", "value": 2}


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(operator(superuser=True))
    return client


def entered(condition: Any, prefix: str = "condition_") -> dict[str, str]:
    return {f"{prefix}mode": "rows", f"{prefix}rows": json.dumps(condition), f"{prefix}text": ""}


def test_a_segment_is_saved_from_its_page(admin: Client):
    made = admin.post(reverse("admin:journeys_segment_add"), {"name": "Buyers", **entered(BOUGHT)})
    assert made.status_code == 302
    segment = Segment.objects.get()
    assert (segment.name, segment.condition) == ("Buyers", BOUGHT)
    page = reverse("admin:journeys_segment_change", args=[segment.pk])
    assert b"Buyers" in admin.get(page).content
    text = {"condition_mode": "text", "condition_text": 'did "purchase" = 0 times', "condition_rows": ""}
    assert admin.post(page, {"name": "Quiet", **text, "_continue": "1"}).headers["Location"] == page
    segment.refresh_from_db()
    assert (segment.name, segment.condition) == ("Quiet", {"did": "purchase", "op": "eq", "value": 0})
    assert b"has never done" in admin.get(reverse("admin:journeys_segment_changelist")).content
    assert admin.post(reverse("admin:journeys_segment_delete", args=[segment.pk]), {"post": "yes"}).status_code == 302
    assert not Segment.objects.exists()


def test_a_fault_stands_beside_its_field(admin: Client):
    create_segment(SegmentBody(name="Taken"), NOON)
    page = admin.post(reverse("admin:journeys_segment_add"), {"name": "Taken", **entered({**BOUGHT, "value": None})})
    assert "Row" not in page.content.decode()
    assert "The value: must be a whole number of times" in page.content.decode()
    page = admin.post(reverse("admin:journeys_segment_add"), {"name": "Taken", **entered(BOUGHT)})
    assert "There is already a segment of this name." in page.content.decode()


def test_the_size_of_what_is_being_entered_is_told(admin: Client):
    make_contact("nobody")
    ingest([Incoming("ann", "purchase"), Incoming("ann", "purchase")], NOON)
    size = reverse("admin:journeys_segment_size")
    assert admin.post(size, entered(BOUGHT, "")).json() == {"words": "1 of 2 contacts"}
    assert admin.post(size, entered(None, "") | {"rows": ""}).json() == {"words": "2 of 2 contacts"}
    assert "whole number" in admin.post(size, entered({**BOUGHT, "value": "x"}, "")).json()["error"]


def test_the_two_views_of_a_condition_change_into_each_other(admin: Client):
    asked = admin.post(reverse("admin:journeys_segment_condition"), entered(BOUGHT, "")).json()
    assert asked["text"] == 'did "purchase" >= 2 times'
    back = admin.post(
        reverse("admin:journeys_segment_condition"), {"mode": "text", "text": asked["text"], "rows": ""}
    ).json()
    assert json.loads(back["rows"]) == BOUGHT
    where = {"mode": "text", "text": 'did "purchase" >= 2 times where amount > 9', "rows": ""}
    assert admin.post(reverse("admin:journeys_segment_condition"), where).json()["mode"] == "text"


def test_who_may_only_look_changes_nothing():
    client = Client()
    client.force_login(operator("journeys.view_segment"))
    segment = create_segment(SegmentBody(name="Buyers", condition=BOUGHT), NOON)
    page = reverse("admin:journeys_segment_change", args=[segment.pk])
    assert "but not change it" in client.get(page).content.decode()
    assert client.post(page, {"name": "Mine"}).status_code == 403
    assert client.get(reverse("admin:journeys_segment_add")).status_code == 403
