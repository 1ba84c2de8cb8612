"""Values in conditions: what an operator takes (`CHECKS`), and when two are equal or in order."""

import math
from collections.abc import Callable, Hashable
from datetime import datetime
from decimal import Decimal
from typing import Any

from journeys.logic.instants import parse_instant

MAX_LIST = 1000
MAX_DAYS = 36_500
MAX_NUMBER = 1e300


class ConditionError(ValueError):
    """`path` leads to the fault (`all[1].value`; empty for the whole condition), `message` names it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


def fault_in_text(text: str) -> str | None:
    """Why PostgreSQL could not keep this text, or None: it has no NUL and no half of a surrogate pair."""
    if "\x00" in text:
        return "contains a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "contains half a surrogate pair, which is no character"
    return None


def _scalar(value: Any, path: str) -> None:
    if isinstance(value, str):
        if fault := fault_in_text(value):
            raise ConditionError(path, fault)
    elif isinstance(value, int | float):
        _number(value, path)
    elif value is None:
        raise ConditionError(path, "must not be null: use the operator exists")
    else:
        raise ConditionError(path, "must be a text, a number, true or false")


def _number(value: float, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConditionError(path, "must be a finite number")
    if abs(value) > MAX_NUMBER:
        raise ConditionError(path, "must be a number between -1e300 and 1e300")


def _comparable(value: Any, path: str) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        _number(value, path)
    elif not isinstance(value, str) or parse_instant(value) is None:
        raise ConditionError(path, "must be a number or an ISO date (2026-03-01, 2026-03-01T09:00:00Z)")


def _list(value: Any, path: str) -> None:
    if not isinstance(value, list) or not value:
        raise ConditionError(path, "must be a list of at least one value")
    if len(value) > MAX_LIST:
        raise ConditionError(path, f"must not hold more than {MAX_LIST} values")
    for index, element in enumerate(value):
        _scalar(element, f"{path}[{index}]")


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str) or not value:
        raise ConditionError(path, "must be a text that is not empty")
    _scalar(value, path)


def _flag(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise ConditionError(path, "must be true or false")


def _days(value: Any, path: str) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= MAX_DAYS:  # NaN fails this too
        raise ConditionError(path, f"must be a number of days above 0, at most {MAX_DAYS}")


def canonical(value: Any) -> Hashable:
    """A scalar such that two are equal exactly if conditions call them so; None for what is no scalar.

    `true` is not 1, 1 is 1.0, a number is the decimal that JSON writes, and an ISO date is its instant.
    """
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, str):
        return parse_instant(value) or value
    return exact_number(value)


def exact_number(value: Any) -> int | Decimal | None:
    """The number as JSON writes it: PostgreSQL keeps 0.1 and 1e23 as decimals, not as the nearest float."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(repr(value))
    return None


def comparable(value: Any) -> int | Decimal | datetime | None:
    """What has an order: a number or an instant."""
    return parse_instant(value) if isinstance(value, str) else exact_number(value)


CHECKS: dict[str, Callable[[Any, str], None]] = {
    "scalar": _scalar,
    "comparable": _comparable,
    "list": _list,
    "text": _text,
    "flag": _flag,
    "days": _days,
}
