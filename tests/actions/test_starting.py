from typing import Any
from uuid import UUID

import pytest

from journeys.actions.base import ConfigError, PermanentError
from journeys.actions.starting import StartJourney
from journeys.logic import effects
from tests.actions.contexts import make_context

ACTION, OTHER = StartJourney(), UUID(int=9)


def test_the_journey_is_started_with_what_is_brought_along() -> None:
    config = ACTION.parse({"journey": str(OTHER), "metadata": {"plan": "{{ event.plan }}", "from": "here"}})
    (effect,) = ACTION.prepare(config, make_context()).effects
    assert effect == effects.StartJourney(OTHER, {"plan": "premium", "from": "here"})


def test_a_document_may_name_it_and_what_runs_may_not() -> None:
    config = ACTION.parse({"journey": " Win back "})
    assert (config.journey, config.journey_id) == ("Win back", None)
    with pytest.raises(PermanentError, match="'Win back' is no journey's id"):
        ACTION.prepare(config, make_context())


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "journey"),
        ({"journey": " "}, "journey"),
        ({"journey": 5}, "journey"),
        ({"journey": "x" * 256}, "journey"),
        ({"journey": "x", "metadata": {"a": "{{"}}, "metadata.a"),
        ({"journey": "x", "metadata": {"a": 5}}, "metadata.a"),
        ({"journey": "x", "steps": []}, "steps"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(config: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse(config)
    assert list(caught.value.errors) == [field]
