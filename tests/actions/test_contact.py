from typing import Any

import pytest

from journeys.actions.base import ConfigError, PermanentError
from journeys.actions.contact import MAX_CHANGES, UpdateContact
from journeys.logic.effects import ChangeAttribute, Prepared
from tests.actions.contexts import make_context

ACTION = UpdateContact()


def change(op: str, attribute: str, *value: Any) -> dict[str, Any]:
    return {"op": op, "attribute": attribute, **({"value": value[0]} if value else {})}


def prepared(*changes: dict[str, Any], **context: Any) -> Prepared:
    return ACTION.prepare(ACTION.parse({"changes": list(changes)}), make_context(**context))


def test_each_change_is_an_effect_and_the_result_names_the_attributes() -> None:
    changes = [change("set", "plan", "vip"), change("increment", "points", 5), change("unset", "trial")]
    assert prepared(*changes) == Prepared(
        (
            ChangeAttribute("plan", "set", "vip"),
            ChangeAttribute("points", "increment", 5),
            ChangeAttribute("trial", "unset"),
        ),
        result={"status": "updated", "attributes": ["plan", "points", "trial"]},
    )


def test_texts_are_rendered_and_other_values_keep_their_type() -> None:
    changes = [change("set", "a", "{{ event.plan }}!"), change("set", "b", 5), change("set", "c", False)]
    assert [effect.value for effect in prepared(*changes).effects] == ["premium!", 5, False]  # type: ignore[union-attr]


@pytest.mark.parametrize(("amount", "added"), [("12", 12), (" 2.50 ", 2.5), (7, 7), ("-1", -1)])
def test_what_is_added_may_come_from_the_event(amount: Any, added: float) -> None:
    (effect,) = prepared(change("increment", "spent", "{{ event.amount }}"), metadata={"amount": amount}).effects
    assert effect == ChangeAttribute("spent", "increment", added)


@pytest.mark.parametrize(
    ("changes", "context", "fault"),
    [
        ([change("increment", "first_name", 1)], {}, "the attribute first_name is no number"),
        ([change("increment", "n", "{{ event.plan }}")], {}, "what is added to n is no number"),
        ([change("set", "n", "{{ event.plan }}")], {"metadata": {"plan": "x" * 10_001}}, "more than 10,000 characters"),
    ],
)
def test_what_cannot_be_done_fails_for_good_and_says_why(changes: Any, context: Any, fault: str) -> None:
    with pytest.raises(PermanentError, match=fault):
        prepared(*changes, **context)


@pytest.mark.parametrize(
    ("wrong", "field", "fault"),
    [
        (change("set", "plan"), "value", "must be a text, a number, true or false"),
        (change("set", "plan", [1]), "value", "must be a text, a number, true or false"),
        (change("set", "plan", float("inf")), "value", "must be between"),
        (change("set", "plan", "{{"), "value", "line 1: "),
        (change("increment", "n", "many"), "value", "must be a number"),
        (change("increment", "n", True), "value", "must be a number"),
        (change("unset", "plan", 1), "value", "must be absent"),
        (change("set", "", "x"), "attribute", "must have 1 to 100 characters"),
        (change("set", "a.b", "x"), "attribute", "must have 1 to 100 characters"),
        (change("set", " a", "x"), "attribute", "must not begin or end with a space"),
        (change("set", "email", "x"), "attribute", "no attribute"),
        (change("set", "tags", "x"), "attribute", "no attribute"),
        (change("double", "n", 2), "op", "must be 'set', 'increment' or 'unset'"),
    ],
)
def test_a_wrong_change_is_named_by_its_row_and_field(wrong: dict[str, Any], field: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse({"changes": [change("set", "fine", 1), wrong]})
    ((path, said),) = caught.value.errors.items()
    assert path == f"changes.1.{field}"
    assert fault in said


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ([], "must have at least 1 entry"),
        ([change("unset", str(number)) for number in range(MAX_CHANGES + 1)], "at most 20 entries"),
        ([change("set", "a", 1), change("unset", "a")], "names a twice"),
    ],
)
def test_the_changes_are_some_and_not_many_and_of_different_attributes(changes: Any, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse({"changes": changes})
    assert fault in caught.value.errors["changes"]
