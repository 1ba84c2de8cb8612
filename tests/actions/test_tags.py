from typing import Any

import pytest

from journeys.actions.base import ConfigError
from journeys.actions.tags import ApplyTag, RemoveTag
from journeys.logic import effects
from journeys.logic.effects import Prepared
from tests.actions.contexts import make_context


def test_apply_tag_causes_the_tag_and_says_so() -> None:
    action = ApplyTag()
    prepared = action.prepare(action.parse({"tag": " onboarded "}), make_context())
    assert prepared == Prepared((effects.ApplyTag("onboarded"),), result={"status": "applied", "tag": "onboarded"})


def test_remove_tag_causes_the_removal_and_says_so() -> None:
    action = RemoveTag()
    prepared = action.prepare(action.parse({"tag": "onboarded"}), make_context())
    assert prepared == Prepared((effects.RemoveTag("onboarded"),), result={"status": "removed", "tag": "onboarded"})


@pytest.mark.parametrize("tag", ["", " ", "x" * 101, "a\nb", "a\x00", "a\x9f", "a\u2028b", 7, None, ["a"]])
def test_a_tag_that_is_none_is_refused_by_its_field(tag: Any) -> None:
    for action in (ApplyTag(), RemoveTag()):
        with pytest.raises(ConfigError) as caught:
            action.parse({"tag": tag})
        assert list(caught.value.errors) == ["tag"]


def test_a_missing_tag_and_an_unknown_field_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        ApplyTag().parse({"label": "x"})
    assert sorted(caught.value.errors) == ["label", "tag"]


def test_a_hundred_characters_of_any_script_are_a_tag() -> None:
    assert ApplyTag().parse({"tag": "é" * 100}).tag == "é" * 100
