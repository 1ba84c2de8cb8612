"""update_contact: changes attributes of the contact, exactly once, whatever else changes them at the same time."""

import math
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator

from journeys.actions.base import Action, Config, PermanentError, StepContext
from journeys.actions.links import liquid
from journeys.actions.render import render
from journeys.logic.attributes import MAX_NUMBER, NotCountable, changed, plain
from journeys.logic.effects import ChangeAttribute, Prepared
from journeys.logic.facts import CONTACT_COLUMNS, Facts

MAX_CHANGES = 20
MAX_TEXT = 10_000
RESERVED = frozenset({*CONTACT_COLUMNS, "attributes", "tags"})
"""Names that mean something else in `user.…`: an attribute of that name could not be asked for."""

_DECIMAL = re.compile(r"[-+]?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_NAME = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"^[^\x00-\x1f\x7f.]*$"}
_TEXT = {"type": "string", "maxLength": MAX_TEXT, "pattern": r"^[^\x00]*$"}
_NUMBER = {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}

_PLAIN = re.compile(r"[^\x00-\x1f\x7f.]{1,100}")


def _plain_name(name: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise ValueError("must have 1 to 100 characters and no dot, such as birthday")
    return name


AttributeName = Annotated[str, AfterValidator(_plain_name), WithJsonSchema(_NAME)]
"""What an attribute of a contact is called."""


def _closed(op: str, value: dict[str, Any] | None) -> dict[str, Any]:
    properties = {"op": {"type": "string", "const": op}, "attribute": _NAME} | ({"value": value} if value else {})
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _describe(schema: dict[str, Any]) -> None:
    """In the API's schema: each op with the value that it takes."""
    schema.clear()
    schema |= {
        "title": "AttributeChange",
        "anyOf": [
            _closed("set", {"anyOf": [_TEXT, _NUMBER, {"type": "boolean"}]}),
            _closed("increment", {"anyOf": [_TEXT, _NUMBER]}),
            _closed("unset", None),
        ],
    }


class AttributeChange(Config):
    """One attribute set to a value, incremented by a number, or removed. A text may hold Liquid."""

    model_config = ConfigDict(json_schema_extra=_describe)

    op: Literal["set", "increment", "unset"]
    attribute: AttributeName
    value: Any = Field(default=None, validate_default=True)

    @field_validator("attribute")
    @classmethod
    def _own(cls, name: str) -> str:
        if name != name.strip():
            raise ValueError("must not begin or end with a space")
        if name in RESERVED:
            raise ValueError(f"must not be {name!r}, which is no attribute: only the API changes it")
        return name

    @field_validator("value")
    @classmethod
    def _value(cls, value: Any, info: ValidationInfo) -> Any:
        op = info.data.get("op")
        if op is None:
            return value  # What it should be nobody can say.
        if op == "unset":
            if value is not None:
                raise ValueError("must be absent: the attribute is removed")
            return None
        if isinstance(value, str):
            return _text(value, is_number=op == "increment")
        if isinstance(value, bool) and op == "set":
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _number(value)
        kinds = "a text, a number, true or false" if op == "set" else "a number"
        raise ValueError(f"must be {kinds}")

    def effect(self, facts: Facts) -> ChangeAttribute:
        """The change for this contact. Raises PermanentError."""
        if not isinstance(self.value, str):
            return ChangeAttribute(self.attribute, self.op, self.value)
        text = render(self.value, facts, f"the value of {self.attribute}")
        if self.op == "increment":
            return ChangeAttribute(self.attribute, self.op, _counted(text.strip(), self.attribute))
        if len(text) > MAX_TEXT:
            raise PermanentError(f"the value of {self.attribute} has more than {MAX_TEXT:,} characters")
        return ChangeAttribute(self.attribute, self.op, text)


def _text(value: str, *, is_number: bool) -> str:
    if len(value) > MAX_TEXT:
        raise ValueError(f"must have at most {MAX_TEXT:,} characters")
    if is_number and "{" not in value and not _DECIMAL.fullmatch(value.strip()):
        raise ValueError("must be a number")
    return liquid(value)


def _number(value: int | float) -> int | float:
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise ValueError(f"must be between {-MAX_NUMBER:,} and {MAX_NUMBER:,}")
    return value


def _counted(text: str, name: str) -> int | float:
    if not _DECIMAL.fullmatch(text):
        raise PermanentError(f"what is added to {name} is no number")
    return plain(Decimal(text))


class UpdateContactConfig(Config):
    changes: list[AttributeChange] = Field(
        title="Changes",
        description="Texts and what is added may hold variables: {{ event.amount }}.",
        min_length=1,
        max_length=MAX_CHANGES,
        json_schema_extra={"widget": "changes"},
    )

    @field_validator("changes")
    @classmethod
    def _each_once(cls, changes: list[AttributeChange]) -> list[AttributeChange]:
        names = [change.attribute for change in changes]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"names {twice} twice")
        return changes


class UpdateContact(Action[UpdateContactConfig]):
    kind = "update_contact"
    label = "Update the contact"
    description = "Sets attributes of the contact, adds to them, or removes them; conditions can look at them."
    config_class = UpdateContactConfig
    needs_tags = True

    def prepare(self, config: UpdateContactConfig, context: StepContext) -> Prepared:
        effects = tuple(change.effect(context.facts) for change in config.changes)
        try:
            changed(context.facts.user["attributes"], effects)
        except NotCountable as error:
            raise PermanentError(str(error)) from error
        return Prepared(effects, result={"status": "updated", "attributes": [effect.name for effect in effects]})
