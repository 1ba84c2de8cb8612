from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.logic.condition_text import ConditionTextError, from_text, simplify, to_text
from journeys.logic.conditions import validate
from journeys.logic.event_counts import validate_segment
from tests.logic.condition_strategies import conditions, words


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


A, B, C = (leaf(name, "eq", 1) for name in "abc")

PAIRS = [
    ("", None),
    ('plan = "gold"', leaf("plan", "eq", "gold")),
    ("user.age >= 18.5", leaf("user.age", "gte", 18.5)),
    ("vip != true", leaf("vip", "ne", True)),
    ("a < -1", leaf("a", "lt", -1)),
    ('ends <= "2026-03-01"', leaf("ends", "lte", "2026-03-01")),
    ("a > 1e+23", leaf("a", "gt", 1e23)),
    ('plan in ["premium", "gold"]', leaf("plan", "in", ["premium", "gold"])),
    ("plan not in [1, false]", leaf("plan", "not_in", [1, False])),
    ('tags contains "vip"', leaf("tags", "contains", "vip")),
    ('tags not contains "vip"', leaf("tags", "not_contains", "vip")),
    ('email starts with "a\\"b"', leaf("email", "starts_with", 'a"b')),
    ('email ends with "é"', leaf("email", "ends_with", "é")),
    ("email exists", leaf("email", "exists", True)),
    ("email missing", leaf("email", "exists", False)),
    ("ends within 7 days", leaf("ends", "within_days", 7)),
    ("`my field` = 1", leaf("my field", "eq", 1)),
    ("`not` = 1", leaf("not", "eq", 1)),
    ("`a``b` = 1", leaf("a`b", "eq", 1)),
    ("a = 1 and b = 1 and c = 1", {"all": [A, B, C]}),
    ("(a = 1 and b = 1) or c = 1", {"any": [{"all": [A, B]}, C]}),
    ("a = 1 and (b = 1 or c = 1)", {"all": [A, {"any": [B, C]}]}),
    ("not a = 1 and b = 1", {"all": [{"not": A}, B]}),
    ("not (a = 1 and b = 1)", {"not": {"all": [A, B]}}),
    ("not not a = 1", {"not": {"not": A}}),
    ("(a = 1 and b = 1) and c = 1", {"all": [{"all": [A, B]}, C]}),
    ('did = "x"', leaf("did", "eq", "x")),
]
BOUGHT = {"did": "purchase", "op": "gte", "value": 3}
COUNTS = [
    ('did "purchase" >= 3 times', BOUGHT),
    ('did "purchase" >= 3 times within 30 days', {**BOUGHT, "within_days": 30}),
    ('did "purchase" >= 3 times where a = 1 and b = 1', {"all": [{**BOUGHT, "where": A}, B]}),
    ('not did "purchase" >= 3 times within 30 days where (a = 1 and b = 1) or c = 1',
     {"any": [{"not": {**BOUGHT, "within_days": 30, "where": {"all": [A, B]}}}, C]}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "condition"), COUNTS)
def test_text_and_condition_say_the_same_of_what_somebody_did(text: str, condition: Any) -> None:
    assert to_text(condition) == text
    assert from_text(text, validate_segment) == condition


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('did "x" >= 3', "expected times"),
        ('did "x" contains 3 times', "expected one of ="),
        ('did "x" >= -1 times', "whole number of times"),
        ('did "x" >= 1 times where did "y" >= 1 times', "inside another count"),
        ('did "x" >= 1 times where user.plan = 1', "this is about the event"),
    ],
)
def test_a_fault_in_a_count_is_named(text: str, fault: str) -> None:
    with pytest.raises(ConditionTextError, match=fault):
        from_text(text, validate_segment)


def test_only_a_segment_counts_events() -> None:
    with pytest.raises(ConditionTextError, match="only a segment can"):
        from_text('did "x" >= 3 times')


@pytest.mark.parametrize(("text", "condition"), PAIRS)
def test_text_and_condition_say_the_same(text: str, condition: Any) -> None:
    assert to_text(condition) == text
    assert from_text(text) == condition


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("a=1 or b=1 and c=1", {"any": [A, {"all": [B, C]}]}),
        ("a = 1 AND NOT b = 1", {"all": [A, {"not": B}]}),
        ("\n ((a\n=\n1)) ", A),
        ('a = "x\ny"', leaf("a", "eq", "x\ny")),
        ("städte.a-b = 1", leaf("städte.a-b", "eq", 1)),
        (" \n", None),
    ],
)
def test_text_may_be_written_freely(text: str, condition: Any) -> None:
    assert from_text(text) == condition


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("plan", 1, 5, "expected a comparison"),
        ("plan =", 1, 7, "expected a text in double quotes"),
        ("plan = gold", 1, 8, "not gold"),
        ("plan = 'gold'", 1, 8, "double quotes"),
        ('plan = "gold', 1, 8, "never closed"),
        ("`plan = 1", 1, 1, "never closed"),
        ("plan == 1", 1, 7, "not ="),
        ("a = 1 b = 2", 1, 7, "expected and, or or the end"),
        ("a = 1 and\nand b = 2", 2, 1, "expected a field"),
        ("(a = 1", 1, 7, "expected )"),
        ("a in 1", 1, 6, "expected ["),
        ("a in []", 1, 7, "expected a text in double quotes"),
        ("a within 7", 1, 11, "expected days"),
        ("a within 0 days", 1, 10, "days above 0"),
        ("a within 99999 days", 1, 10, "at most 36500"),
        ('a > "zebra"', 1, 5, "number or an ISO date"),
        ("a starts with 5", 1, 15, "must be a text"),
        ("a = 01", 1, 5, "JSON"),
        ("a = 1e999", 1, 5, "finite"),
        ('a = "\\x"', 1, 5, "JSON"),
        ('a = "\\u0000"', 1, 5, "NUL"),
        ("a = null", 1, 5, "not null"),
        ("a & b", 1, 3, "& has no meaning"),
        ("user = 1", 1, 1, "what of the user"),
        ("`a..b` = 1", 1, 1, "empty part"),
        ("(" * 5000, 1, 52, "nested too deep"),
        ("not " * 5000 + "a = 1", 1, 205, "nested too deep"),
        ("not " * 11 + "a = 1", 1, 1, "nested more than 10"),
        (" or ".join(["a = 1"] * 200), 1, 1, "more than 200"),
        ("a = " + "9" * 5000, 1, 5, "JSON"),
    ],
)
def test_a_fault_in_the_text_is_shown_where_it_is(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ConditionTextError) as caught:
        from_text(text)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"line {line}, column {column}: ")


@given(conditions)
def test_every_condition_survives_the_way_through_text(condition: Any) -> None:
    assert from_text(to_text(condition)) == simplify(condition)


@given(words.filter(bool).filter(lambda name: "." not in name), words)
def test_every_field_and_text_survives(field: str, value: str) -> None:
    condition = leaf(field, "eq", value)
    if field not in ("user", "event"):
        assert from_text(to_text(condition)) == condition


tokens = st.sampled_from(
    ["a", "=", "1", '"x"', "and", "or", "not", "(", ")", "[", "]", ",", "in", "`", '"', "within", "-"]
)


@given(st.lists(tokens).map(" ".join) | st.text())
def test_any_text_is_either_a_valid_condition_or_a_fault_with_a_place(text: str) -> None:
    try:
        condition = from_text(text)
    except ConditionTextError as error:
        assert error.line >= 1 and error.column >= 1
    else:
        validate(condition)
