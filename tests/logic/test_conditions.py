from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.logic import conditions
from journeys.logic.condition_values import CHECKS
from journeys.logic.conditions import OPERATORS, ConditionError, Facts, evaluate, fields, validate
from journeys.logic.facts import MISSING, ContactFacts, event_mapping
from tests.logic.condition_strategies import DATES, NEARLY_DATES, attributes, scalars
from tests.logic.condition_strategies import conditions as any_condition

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def facts(metadata: dict[str, Any] | None = None, tags: tuple[str, ...] = (), **known: Any) -> Facts:
    """Facts about a contact whose attributes are `known`."""
    columns = {"user_id": "u-1", "email": "ada@example.com", "locale": "", "created_at": NOW}
    event = event_mapping("signup", "m-1", NOW, {"plan": "gold", "name": "not this"})
    return Facts(ContactFacts(known, columns), event, metadata or {}, frozenset(tags), NOW)


def holds(op: str, value: Any, found: Any) -> bool:
    condition = {"field": "x", "op": op, "value": value}
    validate(condition)
    return evaluate(condition, facts(x=found))


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("eq", "gold", "gold"),
        ("eq", 1, 1.0),
        ("eq", 0.1, 0.1),
        ("eq", True, True),
        ("eq", "2026-03-01", "2026-03-01T01:00:00+01:00"),
        ("ne", "gold", "silver"),
        ("ne", 1, True),
        ("ne", "x", ["x"]),
        ("gt", 5, 5.5),
        ("gte", 5, 5),
        ("lt", 2**53 + 1, float(2**53)),
        ("lte", -1, -1),
        ("gt", "2026-03-01", "2026-03-01T00:00:01Z"),
        ("lt", "2026-03-01T00:00:00Z", "2026-03-01T00:30+01:00"),
        ("gte", "2026-03-01", "2026-03-01"),
        ("in", ["silver", "gold"], "gold"),
        ("in", [1, "2026-03-01"], "2026-03-01T00:00Z"),
        ("not_in", ["silver", 5], "5"),
        ("contains", "old", "gold"),
        ("contains", "vip", ["new", "vip"]),
        ("contains", 1, [1.0]),
        ("contains", "2026-03-01", ["2026-03-01T00:00Z"]),
        ("not_contains", "vip", ["new"]),
        ("not_contains", "x", "gold"),
        ("starts_with", "go", "gold"),
        ("ends_with", "ld", "gold"),
        ("exists", True, False),
        ("exists", False, None),
        ("within_days", 3, "2026-03-04T12:00:00Z"),
        ("within_days", 3, "2026-02-26T12:00:00Z"),
        ("within_days", 0.5, "2026-03-01"),
    ],
)
def test_a_comparison_that_holds(op: str, value: Any, found: Any) -> None:
    assert holds(op, value, found)


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("eq", "gold", "Gold"),
        ("eq", 1, True),
        ("eq", True, 1),
        ("eq", 5, "5"),
        ("eq", "x", ["x"]),
        ("eq", 1e23, 10**23 - 1),
        ("ne", "2026-03-01", "2026-03-01T00:00:00Z"),
        ("gt", 5, "6"),
        ("gt", 5, True),
        ("gt", 5, "2026-03-01"),
        ("gt", "2026-03-01", 5),
        ("gt", "2026-03-01", "zebra"),
        ("gt", "2026-03-01", "2026-02-30"),
        ("lt", 5, [1]),
        ("lt", 5, float("nan")),
        ("in", ["gold", 1], True),
        ("in", ["gold"], ["gold"]),
        ("not_in", ["gold"], "gold"),
        ("contains", 5, "5"),
        ("contains", "a", {"a": 1}),
        ("contains", "a", [["a"]]),
        ("not_contains", 5, "5"),
        ("not_contains", "a", {"b": 1}),
        ("not_contains", "vip", ["vip"]),
        ("starts_with", "go", ["go"]),
        ("ends_with", "go", 5),
        ("exists", False, 0),
        ("exists", True, None),
        ("within_days", 3, "2026-03-04T12:00:00.000001Z"),
        ("within_days", 3, 3),
        ("within_days", 3, "soon"),
    ],
)
def test_a_comparison_that_does_not_hold(op: str, value: Any, found: Any) -> None:
    assert not holds(op, value, found)


VALUES = {"scalar": "a", "comparable": 1, "list": ["a"], "text": "a", "flag": True, "days": 1}


@pytest.mark.parametrize("op", [op for op in OPERATORS if op != "exists"])
@pytest.mark.parametrize("known", [{}, {"x": None}])
def test_a_missing_field_makes_every_comparison_false(op: str, known: dict[str, Any]) -> None:
    condition = {"field": "x", "op": op, "value": VALUES[OPERATORS[op].takes]}
    validate(condition)
    assert not evaluate(condition, facts(**known))


def test_exists_without_a_value_asks_for_presence() -> None:
    assert evaluate({"field": "x", "op": "exists"}, facts(x=1))
    assert not evaluate({"field": "x", "op": "exists"}, facts())


def test_groups_combine_and_nest() -> None:
    gold = {"field": "plan", "op": "eq", "value": "gold"}
    old = {"field": "age", "op": "gte", "value": 60}
    person = facts(plan="gold", age=30)
    assert evaluate({"all": [gold, {"not": old}]}, person)
    assert evaluate({"any": [old, gold]}, person)
    assert not evaluate({"all": [gold, old]}, person)
    assert not evaluate({"not": {"any": [old, gold]}}, person)


@pytest.mark.parametrize("condition", [None, {}])
def test_no_condition_always_holds(condition: Any) -> None:
    validate(condition)
    assert evaluate(condition, facts())
    assert fields(condition) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("user.user_id", "u-1"),
        ("user.email", "ada@example.com"),
        ("user.locale", MISSING),
        ("user.created_at", "2026-03-01T12:00:00.000000+00:00"),
        ("user.last_event_at", MISSING),
        ("user.plan", "silver"),
        ("user.attributes.email", "old@example.com"),
        ("user.tags", ["a", "b"]),
        ("user.email.domain", MISSING),
        ("email", "old@example.com"),
        ("plan", "premium"),
        ("address.city", "Paris"),
        ("address.street", "Rue"),
        ("address.none", MISSING),
        ("list.0", MISSING),
        ("tags", ["a", "b"]),
        ("tags.a", MISSING),
        ("event.name", "signup"),
        ("event.plan", "gold"),
        ("event.properties.name", "not this"),
        ("nothing", MISSING),
    ],
)
def test_paths_lead_to_the_contact_the_event_the_metadata_and_the_tags(path: str, expected: Any) -> None:
    known = {
        "email": "old@example.com",
        "plan": "silver",
        "address": {"city": "Rome", "street": "Rue"},
        "list": [1],
    }
    metadata = {"plan": "premium", "address": {"city": "Paris"}}
    assert facts(metadata, ("b", "a"), **known).look_up(path) == expected


def test_facts_refuse_a_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="now"):
        Facts({}, {}, {}, frozenset(), datetime(2026, 3, 1))


LEAF = {"field": "x", "op": "eq", "value": 1}


def nested(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = LEAF
    for _ in range(depth):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("condition", "path", "message"),
    [
        ([], "", "must be an object"),
        ("plan", "", "must be an object"),
        ({"field": "x", "op": "like", "value": 1}, "op", "must be one of eq"),
        ({"field": "x", "op": ["eq"], "value": 1}, "op", "must be one of eq"),
        ({"field": "x", "op": "eq"}, "value", "is missing"),
        ({"op": "eq", "value": 1}, "field", "is missing"),
        ({"field": "x", "value": 1}, "op", "is missing"),
        ({**LEAF, "note": 1}, "note", "is unknown here"),
        ({**LEAF, "all": []}, "field", "is unknown here"),
        ({"all": [LEAF], "any": [LEAF]}, "any", "is unknown here"),
        ({"any": [LEAF, {"not": {**LEAF, "value": None}}]}, "any[1].not.value", "must not be null"),
        ({"all": []}, "all", "at least one"),
        ({"all": LEAF}, "all", "must be a list"),
        ({"all": [{}]}, "all[0].field", "is missing"),
        ({"not": None}, "not", "must be an object"),
        ({**LEAF, "field": ""}, "field", "dotted path"),
        ({**LEAF, "field": 5}, "field", "dotted path"),
        ({**LEAF, "field": "a..b"}, "field", "empty part"),
        ({**LEAF, "field": "a\x00"}, "field", "NUL"),
        ({**LEAF, "field": "a" * 256}, "field", "longer than 255"),
        ({**LEAF, "field": "event"}, "field", "what of the event"),
        ({**LEAF, "value": "a\x00"}, "value", "NUL"),
        ({**LEAF, "value": "\ud800"}, "value", "surrogate"),
        ({**LEAF, "value": float("nan")}, "value", "finite"),
        ({**LEAF, "value": float("inf")}, "value", "finite"),
        ({**LEAF, "value": 10**301}, "value", "between"),
        ({**LEAF, "value": [1]}, "value", "must be a text, a number"),
        ({**LEAF, "op": "in", "value": "gold"}, "value", "must be a list"),
        ({**LEAF, "op": "in", "value": []}, "value", "at least one"),
        ({**LEAF, "op": "in", "value": [1] * 1001}, "value", "more than 1000"),
        ({**LEAF, "op": "not_in", "value": [1, None]}, "value[1]", "must not be null"),
        ({**LEAF, "op": "gt", "value": "zebra"}, "value", "number or an ISO date"),
        ({**LEAF, "op": "gt", "value": True}, "value", "number or an ISO date"),
        ({**LEAF, "op": "lt", "value": float("-inf")}, "value", "finite"),
        ({**LEAF, "op": "starts_with", "value": 1}, "value", "must be a text"),
        ({**LEAF, "op": "ends_with", "value": ""}, "value", "not empty"),
        ({**LEAF, "op": "exists", "value": 1}, "value", "true or false"),
        ({**LEAF, "op": "within_days", "value": 0}, "value", "days above 0"),
        ({**LEAF, "op": "within_days", "value": True}, "value", "days above 0"),
        ({**LEAF, "op": "within_days", "value": float("nan")}, "value", "days above 0"),
        ({**LEAF, "op": "within_days", "value": 10**9}, "value", "at most 36500"),
        ({"all": [LEAF] * 200}, "all[199]", "more than 200"),
        (nested(11), ".".join(["not"] * 10), "nested more than 10"),
        (nested(5000), ".".join(["not"] * 10), "nested more than 10"),
    ],
)
def test_a_fault_is_refused_with_its_path_and_never_holds(condition: Any, path: str, message: str) -> None:
    with pytest.raises(ConditionError, match=message) as caught:
        validate(condition)
    assert caught.value.path == path
    assert not evaluate(condition, facts(x=1))


def test_the_limits_themselves_are_allowed() -> None:
    validate(nested(10))
    validate({"all": [LEAF] * 199})
    validate({"field": "x", "op": "in", "value": list(range(1000))})


def test_fields_names_each_path_once_in_order() -> None:
    condition = {"all": [{"field": "b", "op": "exists"}, {"not": LEAF}, {"any": [LEAF, {**LEAF, "field": "a.c"}]}]}
    assert fields(condition) == ["b", "x", "a.c"]


def test_every_operator_takes_a_kind_of_value_that_is_checked() -> None:
    assert {operator.takes for operator in OPERATORS.values()} == set(CHECKS)


@pytest.mark.parametrize("text", DATES)
def test_what_looks_like_an_iso_date_is_one(text: str) -> None:
    assert holds("within_days", 36_500, text) == ("0001" not in text and "9999" not in text)
    assert holds("gte", "0001-01-01T00:00+14:00", text)


@pytest.mark.parametrize("text", NEARLY_DATES)
def test_what_nearly_looks_like_an_iso_date_is_none(text: str) -> None:
    assert not holds("gte", "0001-01-01", text)
    assert not holds("lt", "9999-12-31", text)
    assert holds("eq", text, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["all", "any", "not"]), inner),
    max_leaves=10,
)


@given(json_values)
def test_evaluating_garbage_never_raises(garbage: Any) -> None:
    assert evaluate(garbage, facts()) in (True, False)


@given(any_condition, attributes, json_values)
def test_evaluating_a_valid_condition_never_raises(condition: Any, known: Any, metadata: Any) -> None:
    validate(condition)
    context = {"plan": metadata, "a": {"b": metadata}}
    found = Facts(ContactFacts(known, {}), {}, context, frozenset(), NOW)
    assert evaluate({"not": condition}, found) is not evaluate(condition, found)


@given(scalars, scalars)
def test_ne_is_the_opposite_of_eq_on_a_value_that_is_there(value: Any, found: Any) -> None:
    assert holds("eq", value, found) is not holds("ne", value, found)
    assert holds("in", [value], found) is holds("eq", value, found) is holds("contains", value, [found])


def test_a_compiled_condition_is_asked_often_without_being_validated_again() -> None:
    predicate = conditions.compile({"field": "plan", "op": "in", "value": ["gold", "premium"]})
    assert [predicate(facts(plan=plan)) for plan in ("gold", "free", 1)] == [True, False, False]
