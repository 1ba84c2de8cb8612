"""What is wrong with something that somebody wrote, and exactly where."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from journeys.actions.base import ConfigError
from journeys.logic.json_values import join


@dataclass(frozen=True, slots=True)
class Fault:
    """`path` leads to the place (`steps[2].action_config.subject`; empty for the whole)."""

    path: str
    message: str


class Faulty(ValueError):
    """It can't be accepted; `faults` are all the reasons."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(f"{fault.path}: {fault.message}".removeprefix(": ") for fault in self.faults))


_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is unknown here",
    "string_type": "must be a text",
    "string_unicode": "contains half a surrogate pair, which is no character",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "uuid_parsing": "must be a UUID",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
}


def faults_in(error: ValidationError, at: str = "") -> list[Fault]:
    """Each fault that pydantic found in a body, below the path `at`."""
    return [
        Fault(join(at, path_of(raw["loc"])), _message(raw))
        for raw in error.errors(include_url=False, include_input=False)
    ]


def faults_in_config(error: ConfigError, at: str) -> list[Fault]:
    """Each fault of an action's or a trigger's config, below the path `at`."""
    return [
        Fault(join(at, re.sub(r"(?:^|\.)(\d+)(?=\.|$)", r"[\1]", field)), message)
        for field, message in error.errors.items()
    ]


def path_of(location: Iterable[int | str]) -> str:
    """`("steps", 2, "name")` as `steps[2].name`."""
    path = ""
    for part in location:
        path = join(path, f"[{part}]" if isinstance(part, int) else part)
    return path


def _message(raw: ErrorDetails) -> str:
    context: Mapping[str, Any] = raw.get("ctx", {})
    if raw["type"] in _WORDS:
        return _WORDS[raw["type"]].format_map(context)
    return raw["msg"].removeprefix("Value error, ")
