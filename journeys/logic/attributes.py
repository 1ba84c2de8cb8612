"""Changing a contact's attributes: in order, each change sees what those before it did."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from journeys.logic.effects import ChangeAttribute

MAX_NUMBER = 10**15
"""An increment goes so far from zero at most: up to there every browser, too, knows each whole number."""


class NotCountable(ValueError):
    """An attribute can't be incremented: it is no number, or would become too large a one."""


def changed(attributes: Mapping[str, Any], changes: Iterable[ChangeAttribute]) -> dict[str, Any]:
    """The attributes after the changes. Raises NotCountable."""
    after = dict(attributes)
    for change in changes:
        if change.op == "unset":
            after.pop(change.name, None)
        elif change.op == "increment":
            after[change.name] = _sum(change.name, after.get(change.name), change.value)
        else:
            after[change.name] = change.value
    return after


def _sum(name: str, value: Any, by: int | float) -> int | float:
    if value is None:
        value = 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotCountable(f"the attribute {name} is no number, so nothing can be added to it")
    if isinstance(value, int) and isinstance(by, int):
        total: int | float = value + by
    else:  # As people write numbers: 0.1 and 0.2 make 0.3.
        total = plain(Decimal(str(value)) + Decimal(str(by)))
    if abs(total) > MAX_NUMBER:
        raise NotCountable(f"the attribute {name} would go beyond {MAX_NUMBER:,}")
    return total


def plain(number: Decimal) -> int | float:
    """The number as JSON has it: whole where it is."""
    return int(number) if number == number.to_integral_value() else float(number)
