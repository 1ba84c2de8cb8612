"""What the admin's templates need: nested facts as a table, decimals without trailing zeros."""

import json
from decimal import Decimal
from typing import Any

from django import template

register = template.Library()


@register.inclusion_tag("journeys/admin/facts.html")
def facts(value: Any, none: str = "") -> dict[str, Any]:
    """A JSON object as rows of name and value."""
    return {"rows": rows_of(value) if value else [], "none": none}


@register.filter
def number(value: Decimal) -> str:
    return f"{value.normalize():,f}"


def rows_of(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested JSON as rows of dotted name and value, for people who read no JSON."""
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in rows_of(inner, f"{name}.{key}" if name else str(key))]
    if isinstance(value, list):
        return [row for index, inner in enumerate(value, 1) for row in rows_of(inner, f"{name} {index}")]
    if isinstance(value, str) and value.startswith(("{", "[")) and (inner := _json(value)) is not None:
        return rows_of(inner, name)
    words = {True: "yes", False: "no", None: "—"}
    return [(name, words[value] if value is None or isinstance(value, bool) else str(value))]


def _json(text: str) -> Any:
    """What a text that holds JSON says, such as a webhook's body; None for other texts."""
    try:
        return json.loads(text)
    except ValueError:
        return None
