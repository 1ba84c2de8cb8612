"""Conditions of journeys that ask for segments: answered for a whole batch, by a query a segment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journeys.authoring.document import DocumentError
from journeys.authoring.publish import patch_journey
from journeys.authoring.segments import SegmentBody, SegmentInUse, change_segment, create_segment, delete_segment
from journeys.engine.contacts import upsert_contact
from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import ContactTag, Segment
from tests.factories import make_contact, make_journey

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
BUYERS = {"field": "segments", "op": "contains", "value": "Buyers"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def buyers() -> Segment:
    condition = {"did": "purchase", "op": "gte", "value": 2, "within_days": 30}
    return create_segment(SegmentBody(name="Buyers", condition=condition), NOW)


def tag(name: str, condition: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "action_type": "apply_tag", "action_config": {"tag": name}, "condition": condition, **more}


def happen(*user_ids: str, name: str = "purchase", now: datetime = NOW) -> None:
    ingest([Incoming(user_id, name) for user_id in user_ids], now)
    settle(now)


def settle(now: datetime) -> None:
    while work(lambda: now, 100).runs:
        pass


def tagged() -> list[tuple[str, str]]:
    return list(
        ContactTag.objects.order_by("contact__user_id", "tag__name").values_list("contact__user_id", "tag__name")
    )


def test_a_step_asks_whether_its_contact_is_in_a_segment(buyers: Segment):
    make_journey("Greet", [tag("buyer", BUYERS), tag("other", {"not": BUYERS})], now=NOW)
    happen("ann", "ann", "bob")
    happen("ann", "bob", name="signup")
    assert tagged() == [("ann", "buyer"), ("bob", "other")]


def test_it_is_asked_when_the_step_is_taken(buyers: Segment):
    make_journey("Greet", [tag("buyer", BUYERS, delay_minutes=1440)], now=NOW)
    happen("ann", "bob", name="signup")
    happen("ann", "ann", now=NOW + DAY / 2)
    settle(NOW + DAY)
    assert tagged() == [("ann", "buyer")]


def test_a_trigger_asks_too_and_the_event_itself_is_counted(buyers: Segment):
    config = {"event": "purchase", "condition": BUYERS}
    make_journey("Thank", [tag("thanked", None)], trigger_type="event", trigger_config=config, now=NOW)
    happen("ann")
    assert tagged() == []
    happen("ann")
    assert tagged() == [("ann", "thanked")]


def test_a_branch_and_an_edited_segment(buyers: Segment):
    lanes = [{"name": "buyers", "condition": BUYERS, "steps": [tag("buyer", None)]}, {"name": "else", "steps": []}]
    make_journey("Branch", [{"name": "Which", "action_type": "branch", "lanes": lanes, "delay_minutes": 5}], now=NOW)
    happen("ann", name="signup")
    happen("ann")
    change_segment(buyers.id, {"condition": {"did": "purchase", "op": "gte", "value": 1}}, NOW)
    settle(NOW + DAY)
    assert tagged() == [("ann", "buyer")]


def test_one_query_a_segment_and_none_where_nobody_asks(buyers: Segment):
    make_journey("Plain", [tag("plain", None)], now=NOW)
    make_journey("Asks", [tag("buyer", BUYERS)], trigger_type="upgrade", now=NOW)

    def queries(name: str, *user_ids: str) -> tuple[int, int]:
        """For the segments, and for who of the batch is in them."""
        ingest([Incoming(user_id, name) for user_id in user_ids], NOW)
        with CaptureQueriesContext(connection) as captured:
            work(lambda: NOW, 100)
        asked = [query["sql"] for query in captured]
        return sum('FROM "segments"' in sql for sql in asked), sum('FROM "contacts"' in sql for sql in asked)

    assert queries("signup", "u1") == (0, 0)
    assert queries("upgrade", *(f"u{number}" for number in range(40))) == (1, 1)


def test_what_is_not_there_is_refused_and_what_is_used_stays(buyers: Segment):
    with pytest.raises(DocumentError) as refused:
        make_journey("Typo", [tag("t", {"all": [{**BUYERS, "value": "Byers"}]})], now=NOW)
    assert [fault.path for fault in refused.value.faults] == ["steps[0].condition.all[0].value"]
    for fault in ({"op": "eq"}, {"op": "exists", "value": True}, {"value": 3}):
        with pytest.raises(DocumentError):
            make_journey("Wrong", [tag("t", {**BUYERS, **fault})], now=NOW)
    journey = make_journey("Asks", [tag("t", {"not": BUYERS})], now=NOW)
    with pytest.raises(SegmentInUse, match="Asks"):
        delete_segment(buyers.id)
    patch_journey(journey.id, {"steps": []}, None, NOW)
    delete_segment(buyers.id)


def test_an_attribute_of_that_name_is_asked_for_as_the_contacts(buyers: Segment):
    make_contact("ann", now=NOW)
    upsert_contact("ann", {"attributes": {"segments": ["x"]}}, NOW)
    own = {"field": "user.segments", "op": "contains", "value": "x"}
    make_journey("Own", [tag("own", own)], now=NOW)
    happen("ann", name="signup")
    assert tagged() == [("ann", "own")]


def test_what_only_the_trigger_asks_is_not_asked_again_for_each_step(buyers: Segment):
    make_journey("Thank", [tag("thanked", None)], trigger_config={"condition": {"not": BUYERS}}, now=NOW)
    ingest([Incoming("ann", "signup")], NOW)
    with CaptureQueriesContext(connection) as queries:
        settle(NOW)
    assert tagged() == [("ann", "thanked")]
    assert not [query for query in queries if "segments" in query["sql"]]
