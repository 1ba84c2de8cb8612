"""What pydantic finds wrong, said alike everywhere: in a body, in an action's config and in a trigger's."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

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
    "too_short": "must have at least {min_length} entry",
    "too_long": "must have at most {max_length} entries",
    "string_pattern_mismatch": "must match {pattern}",
    "literal_error": "must be {expected}",
}


def sentence(fault: ErrorDetails) -> str:
    """The fault as the end of a sentence that begins with its field's name."""
    context: Mapping[str, Any] = fault.get("ctx", {})
    if fault["type"] in _WORDS:
        return _WORDS[fault["type"]].format_map(context)
    return fault["msg"].removeprefix("Value error, ")
