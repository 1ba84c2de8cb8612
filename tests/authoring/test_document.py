"""A journey as a document: what is valid, what keys steps get, and that export and parse are inverses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.authoring.document import DocumentError, JourneyDocument, definition, draft_steps, export, parse
from journeys.authoring.faults import Fault
from journeys.logic.flow import compile_flow
from tests.factories import make_journey


def body(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "j", "trigger_type": "signup", "steps": list(steps), **fields}


def tag(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "action_type": "apply_tag", "action_config": {"tag": "t"}, **fields}


def keys(document: JourneyDocument) -> list[str]:
    return [step.key for step in document.steps]


def faults(body: Any) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        parse(body)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_keys_are_made_from_names_and_unlike_each_other() -> None:
    document = parse(body(tag("Say hello!"), tag("Say hello?"), tag("¡¿"), tag("Ñandú"), tag("x", key="say-hello-2")))
    assert keys(document) == ["say-hello", "say-hello-3", "step", "nandu", "say-hello-2"]


def test_order_counts_where_it_is_given() -> None:
    document = parse(body(tag("c", order=30), tag("a", order=10), tag("b", order=20)))
    assert [(step.name, step.order) for step in document.steps] == [("a", 10), ("b", 20), ("c", 30)]


def test_without_order_the_list_counts_and_equal_orders_keep_it() -> None:
    assert [step.order for step in parse(body(tag("a"), tag("b"))).steps] == [0, 1]
    equal = parse(body(tag("a", order=1), tag("b", order=1), tag("c", order=0)))
    assert [(step.name, step.order) for step in equal.steps] == [("c", 0), ("a", 1), ("b", 2)]


def test_a_bare_condition_is_put_where_conditions_belong() -> None:
    leaf = {"field": "plan", "op": "eq", "value": "gold"}
    assert parse(body(trigger_config=leaf)).trigger_config == {"condition": leaf}
    assert parse(body(trigger_config={"any": [leaf]})).trigger_config == {"condition": {"any": [leaf]}}


def test_names_are_trimmed_and_then_compared() -> None:
    assert parse(body(name="  j  ")).name == "j"
    assert list(faults(body(tag("a"), tag(" a ")))) == ["steps[1].name"]


@pytest.mark.parametrize("raw", [None, [], "text", 5, {1: 2}, {"name": {"a": object()}}])
def test_what_is_no_document_is_refused_with_a_fault(raw: Any) -> None:
    assert faults(raw)


def test_faults_in_configs_have_their_whole_path() -> None:
    step = {"name": "Hook", "action_type": "trigger_webhook", "action_config": {"url": 5, "headers": {"a b": "c"}}}
    assert all(path.startswith("steps[0].action_config.") for path in faults(body(step)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = ["name", "description", "trigger_type", "trigger_config", "is_active", "priority", "steps"]


@given(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)))
def test_whatever_comes_is_a_document_or_has_faults(raw: Any) -> None:
    try:
        parse(raw)
    except DocumentError as error:
        assert error.faults


@pytest.mark.django_db
def test_an_export_reads_back_to_the_same() -> None:
    leaf = {"field": "plan", "op": "in", "value": ["gold"]}
    steps = [
        tag("b", order=5, condition=leaf, on_failure="stop", delay_minutes=3),
        tag("a", order=2, is_active=False),
    ]
    journey = make_journey("j", steps, trigger_config=leaf, priority=4)
    document = parse(export(journey))
    assert (
        export(make_journey("k", export(journey)["steps"], trigger_config=leaf, priority=4))["steps"]
        == (export(journey)["steps"])
    )
    assert [(step.key, step.on_failure, step.is_active) for step in document.steps] == [
        ("a", "continue", False),
        ("b", "stop", True),
    ]


@pytest.mark.django_db
def test_the_definition_compiles_to_the_active_steps() -> None:
    journey = make_journey("j", [tag("a"), tag("b", is_active=False), tag("c", delay_minutes=5)])
    flow = compile_flow(definition(journey, draft_steps(journey)), lambda kind, raw: raw)
    assert [(step.name, step.delay_minutes) for step in flow.steps] == [("a", 0), ("c", 5)]


@pytest.mark.django_db
def test_a_template_that_is_not_there_is_a_fault_beside_its_step():
    mail = {"name": "Mail", "action_type": "send_email", "action_config": {"template": "welcome", "subject": "Hi"}}
    chat = {"name": "Chat", "action_type": "send_telegram", "action_config": {"template": "welcome"}}
    with pytest.raises(DocumentError) as caught:
        parse({"name": "J", "trigger_type": "signup", "steps": [mail, chat]})
    (fault,) = caught.value.faults
    assert fault == Fault("steps[1].action_config.template", "there is no telegram template 'welcome'")
