"""What JSON from outside may hold so that PostgreSQL can keep it: no NUL, no half characters, no infinity."""

import math
from collections.abc import Iterator
from typing import Any

from journeys.logic.condition_values import fault_in_text

MAX_DEPTH = 10
"""How deep an object that a producer fills as it likes may be nested; the object itself is the first level."""

JsonFault = tuple[str, str]
"""A path such as `steps[2].name`, empty for the whole, and what is wrong there."""


def faults(value: Any, path: str = "", *, max_depth: int = MAX_DEPTH) -> Iterator[JsonFault]:
    """Every fault of a value made of dicts, lists and scalars. What is nested too deep is not looked into."""
    if isinstance(value, str):
        if fault := fault_in_text(value):
            yield path, fault
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield path, "must be a finite number"
    elif isinstance(value, dict | list):
        if max_depth == 0:
            yield path, "is nested too deep"
        else:
            yield from _inside(value, path, max_depth - 1)


def _inside(value: dict[Any, Any] | list[Any], path: str, max_depth: int) -> Iterator[JsonFault]:
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from faults(element, f"{path}[{index}]", max_depth=max_depth)
        return
    for key, element in value.items():
        if not isinstance(key, str):
            yield path, f"has a key that is no text: {key!r:.50}"
        elif fault := fault_in_text(key):
            yield path, f"has a key that {fault}"
        else:
            yield from faults(element, join(path, key[:50]), max_depth=max_depth)


def join(path: str, name: str) -> str:
    """`name` inside what `path` leads to; either may be empty."""
    if not path or not name:
        return path or name
    return f"{path}{name}" if name.startswith("[") else f"{path}.{name}"
