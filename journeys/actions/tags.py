"""apply_tag and remove_tag: labels on a contact, written exactly once with the step that caused them."""

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field

from journeys.actions.base import Action, Config, StepContext
from journeys.logic import effects
from journeys.logic.effects import Prepared

MAX_TAG = 100

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def tag_name(tag: str) -> str:
    """A validator: 1–100 characters without the space around them, no control characters."""
    tag = tag.strip()
    if not tag:
        raise ValueError("must not be empty")
    if len(tag) > MAX_TAG:
        raise ValueError(f"must have at most {MAX_TAG} characters")
    if _CONTROL.search(tag):
        raise ValueError("must not hold line breaks or other control characters")
    return tag


TagName = Annotated[str, AfterValidator(tag_name)]


class TagConfig(Config):
    tag: TagName = Field(
        title="Tag", description="A short label, such as onboarded.", json_schema_extra={"widget": "tag"}
    )


class ApplyTag(Action[TagConfig]):
    kind = "apply_tag"
    label = "Apply a tag"
    description = "Labels the contact; conditions can look for it."
    config_class = TagConfig

    def prepare(self, config: TagConfig, context: StepContext) -> Prepared:
        return _applied(config.tag)


class RemoveTag(Action[TagConfig]):
    kind = "remove_tag"
    label = "Remove a tag"
    description = "Takes a label off the contact, if it is there."
    config_class = TagConfig

    def prepare(self, config: TagConfig, context: StepContext) -> Prepared:
        return _removed(config.tag)


# The same for everybody who comes to the step: made once.
@lru_cache(maxsize=1_024)
def _applied(tag: str) -> Prepared:
    return Prepared((effects.ApplyTag(tag),), result={"status": "applied", "tag": tag})


@lru_cache(maxsize=1_024)
def _removed(tag: str) -> Prepared:
    return Prepared((effects.RemoveTag(tag),), result={"status": "removed", "tag": tag})
