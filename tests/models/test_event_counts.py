"""What contacts did, counted by PostgreSQL as one would by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journeys.engine.ingest import Incoming, ingest
from journeys.logic.conditions import Facts, evaluate
from journeys.logic.event_counts import COMPARISONS
from journeys.logic.facts import event_mapping
from journeys.models import Contact, Event
from journeys.models.matching import matches
from tests.factories import make_contact

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def found(condition: Any) -> list[str]:
    return sorted(Contact.objects.filter(matches(condition, NOW)).values_list("user_id", flat=True))


def happen(user_id: str, name: str = "purchase", days_ago: float = 1, **properties: Any) -> None:
    at = NOW - days_ago * DAY
    ingest([Incoming(user_id, name, properties, occurred_at=at)], at)


def test_at_least_so_often_in_the_last_days():
    for days_ago in (1, 5, 29):
        happen("often", days_ago=days_ago)
    for days_ago in (1, 5, 31):
        happen("before", days_ago=days_ago)
    happen("once")
    make_contact("never", now=NOW)
    often = {"did": "purchase", "op": "gte", "value": 3}
    assert found(often) == ["before", "often"]
    assert found({**often, "within_days": 30}) == ["often"]
    assert found({"not": {**often, "within_days": 30}}) == ["before", "never", "once"]


def test_never_is_no_times_at_all_and_holds_for_who_did_nothing():
    happen("opener", "email_opened")
    happen("reader", "email_read")
    make_contact("quiet", now=NOW)
    assert found({"did": "email_opened", "op": "eq", "value": 0}) == ["quiet", "reader"]


def test_an_event_that_was_reported_late_counts_when_it_occurred():
    ingest([Incoming("late", "purchase", occurred_at=NOW - 40 * DAY)], NOW)
    assert found({"did": "purchase", "op": "gte", "value": 1, "within_days": 30}) == []
    assert found({"did": "purchase", "op": "gte", "value": 1, "within_days": 41}) == ["late"]


def test_only_events_of_which_something_holds_are_counted():
    happen("rich", amount=500, shop={"country": "DE"})
    happen("poor", amount=5, shop={"country": "DE"})
    where = {
        "all": [
            {"field": "amount", "op": "gt", "value": 100},
            {"field": "event.shop.country", "op": "eq", "value": "DE"},
        ]
    }
    assert found({"did": "purchase", "op": "gte", "value": 1, "where": where}) == ["rich"]
    assert found({"did": "purchase", "op": "lt", "value": 1, "where": where}) == ["poor"]


def test_counts_stand_beside_other_conditions_and_in_groups():
    happen("gold")
    make_contact("gold", now=NOW, attributes={"plan": "gold"})
    happen("free")
    make_contact("new", now=NOW, attributes={"plan": "gold"})
    bought = {"did": "purchase", "op": "gte", "value": 1}
    gold = {"field": "plan", "op": "eq", "value": "gold"}
    assert found({"all": [bought, gold]}) == ["gold"]
    assert found({"any": [bought, gold]}) == ["free", "gold", "new"]
    assert found({"all": [gold, {"not": bought}]}) == ["new"]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["buy", "open"]),
        st.sampled_from([1, 10, 40]),
        st.sampled_from([5, 50]),
    ),
    max_size=12,
)
WHERE = st.sampled_from([None, *({"field": field, "op": "gt", "value": 9} for field in ("amount", "event.amount"))])
COUNTS = st.builds(
    lambda name, op, value, days, where: {"did": name, "op": op, "value": value}
    | ({"within_days": days} if days else {}) | ({"where": where} if where else {}),
    st.sampled_from(["buy", "open"]), st.sampled_from(sorted(COMPARISONS)), st.integers(0, 4),
    st.sampled_from([None, 5, 30]), WHERE,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS, st.lists(COUNTS, min_size=1, max_size=5))
def test_sets_are_counted_as_by_hand(events: list[tuple[str, str, int, int]], counts: list[dict[str, Any]]) -> None:
    for user_id in ("a", "b", "nobody"):
        make_contact(user_id, now=NOW - 90 * DAY)
    for user_id, name, days_ago, amount in events:
        happen(user_id, name, days_ago, amount=amount)
    for count in counts:
        expected = [user_id for user_id in ("a", "b", "nobody") if by_hand(user_id, count)]
        assert found(count) == expected, count
        assert found({"not": count}) == sorted({"a", "b", "nobody"} - set(expected)), count
    Contact.objects.all().delete()


def by_hand(user_id: str, count: dict[str, Any]) -> bool:
    since = NOW - timedelta(days=count.get("within_days", 36_500))
    times = 0
    for event in Event.objects.filter(contact__user_id=user_id, name=count["did"]):
        facts = event_mapping(event.name, event.message_id, event.occurred_at, event.properties)
        if event.occurred_at >= since and evaluate(
            count.get("where"), Facts({}, facts, event.properties, frozenset(), NOW)
        ):
            times += 1
    wanted = count["value"]
    return {
        "eq": times == wanted, "ne": times != wanted, "gt": times > wanted, "gte": times >= wanted,
        "lt": times < wanted, "lte": times <= wanted,
    }[count["op"]]  # fmt: skip
