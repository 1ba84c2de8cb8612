"""journeys.models.matching and journeys.logic.conditions are one language."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journeys.logic.conditions import Facts, evaluate, validate
from journeys.logic.facts import CONTACT_COLUMNS, ContactFacts
from journeys.models import Contact, ContactTag, Tag
from journeys.models.matching import matches
from tests.logic.condition_strategies import DATES, NEARLY_DATES, WORDS, attributes, conditions

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TAGS = ["plan", "Plan", "2026-03-01", "é", "5"]


def make_contact(known: dict[str, Any], tags: tuple[str, ...] = (), **columns: Any) -> Contact:
    columns = {"user_id": uuid4().hex, "created_at": NOW, **columns}
    contact = Contact.objects.create(id=uuid4(), attributes=known, updated_at=NOW, **columns)
    for name in tags:
        tag, _ = Tag.objects.get_or_create(name=name, defaults={"id": uuid4(), "created_at": NOW})
        ContactTag.objects.create(contact=contact, tag=tag, applied_at=NOW)
    return contact


def facts_of(contact: Contact) -> Facts:
    columns = {name: getattr(contact, name) for name in CONTACT_COLUMNS}
    tags = frozenset(applied.tag.name for applied in contact.contact_tags.all())
    return Facts(ContactFacts(contact.attributes, columns), {}, {}, tags, NOW)


def stored_facts() -> dict[UUID, Facts]:
    """As the database gives them back."""
    return {contact.pk: facts_of(contact) for contact in Contact.objects.prefetch_related("contact_tags__tag")}


def assert_both_agree(condition: Any, everybody: dict[UUID, Facts]) -> None:
    validate(condition)
    found = set(Contact.objects.filter(matches(condition, NOW)).values_list("pk", flat=True))
    expected = {pk for pk, facts in everybody.items() if evaluate(condition, facts)}
    assert found == expected, (condition, [everybody[pk] for pk in found ^ expected])


moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
people = st.fixed_dictionaries(
    {
        "known": attributes,
        "tags": st.lists(st.sampled_from(TAGS), unique=True, max_size=3).map(tuple),
        "email": st.sampled_from(["", *DATES, "plan", "é", "5"]),
        "telegram_chat_id": st.sampled_from(["", "5", "plan"]),
        "created_at": st.just(datetime(2026, 3, 1, tzinfo=UTC)) | moments,
        "last_event_at": st.none() | moments,
    }
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(conditions, min_size=1, max_size=6), st.lists(people, min_size=1, max_size=4))
def test_sets_and_single_contacts_are_judged_alike(asked: list[Any], known: list[dict[str, Any]]) -> None:
    contacts = [make_contact(**person) for person in known]
    made, stored = {contact.pk: facts_of(contact) for contact in contacts}, stored_facts()
    for condition in asked:
        assert_both_agree(condition, made)
        assert_both_agree({"not": condition}, stored)
    Contact.objects.all().delete()


VALUES: list[Any] = [
    *DATES, *NEARLY_DATES, *WORDS, True, False, 0, 1, 1.0, -1, 0.1, 1e23, 10**23, 2**53, 2**53 + 1, float(2**53), 5e-324
]  # fmt: skip
FOUND: list[Any] = [
    *VALUES,
    None,
    [],
    {},
    ["plan"],
    [["plan"]],
    [1, True],
    [None],
    {"plan": 1},
    ["2026-03-01"],
    "x plan",
]


def make_contacts() -> None:
    for found in FOUND:
        make_contact({"x": found})
    make_contact({}, ("plan",), email="ada@example.com")


def is_accepted(condition: Any) -> bool:
    try:
        validate(condition)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "op",
    ["eq", "ne", "gt", "gte", "lt", "lte", "contains", "not_contains", "starts_with", "ends_with", "within_days"],
)
def test_every_value_meets_every_other_alike(op: str) -> None:
    make_contacts()
    everybody = stored_facts()
    asked = [{"field": "x", "op": op, "value": value} for value in VALUES]
    for condition in filter(is_accepted, asked):
        assert_both_agree(condition, everybody)


@pytest.mark.parametrize("op", ["in", "not_in"])
def test_lists_of_values_are_judged_alike(op: str) -> None:
    make_contacts()
    everybody = stored_facts()
    for values in (VALUES, [1], ["plan"], ["2026-03-01"], [True, "plan"], ["word"] * 999 + ["2026-03-01"]):
        assert_both_agree({"field": "x", "op": op, "value": values}, everybody)


@pytest.mark.parametrize("value", [True, False])
def test_existence_is_judged_alike(value: bool) -> None:
    make_contacts()
    everybody = stored_facts()
    for field in ("x", "x.plan", "user.x", "user.email", "user.email.x", "user.last_event_at", "tags", "event.x"):
        assert_both_agree({"field": field, "op": "exists", "value": value}, everybody)


def test_no_condition_matches_everybody_and_garbage_nobody() -> None:
    make_contact({})
    assert Contact.objects.filter(matches(None, NOW)).count() == 1
    assert Contact.objects.filter(matches({}, NOW)).count() == 1
    assert Contact.objects.filter(matches({"not": {"field": "x"}}, NOW)).count() == 0


def test_the_session_time_zone_changes_nothing() -> None:
    make_contact({"x": "2026-03-01"}, created_at=datetime(2026, 3, 1, tzinfo=UTC))
    everybody = stored_facts()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Pacific/Auckland'")
    for field in ("x", "user.created_at"):
        assert_both_agree({"field": field, "op": "eq", "value": "2026-03-01T00:00:00Z"}, everybody)
    assert_both_agree({"field": "user.created_at", "op": "starts_with", "value": "2026-03-01T00:00:00.0"}, everybody)


@pytest.mark.parametrize("now", [datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)])
def test_days_past_the_end_of_the_calendar_are_no_error(now: datetime) -> None:
    make_contact({"x": now.isoformat()})
    condition = {"field": "x", "op": "within_days", "value": 36_500}
    assert Contact.objects.filter(matches(condition, now)).count() == 1


def test_a_quote_or_a_percent_sign_in_a_path_is_only_a_name() -> None:
    name = """a'b"%s$1"""
    make_contact({name: {name: name}})
    for op in ("eq", "ne", "contains", "starts_with"):
        assert_both_agree({"field": f"{name}.{name}", "op": op, "value": name}, stored_facts())


def test_set_matching_asks_once(django_assert_num_queries: Any) -> None:
    make_contact({"plan": "gold"}, ("vip",))
    condition = {
        "all": [{"field": "plan", "op": "eq", "value": "gold"}, {"field": "tags", "op": "contains", "value": "vip"}]
    }
    with django_assert_num_queries(1):
        assert Contact.objects.filter(matches(condition, NOW)).count() == 1
