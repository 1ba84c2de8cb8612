"""A journey's document as the reference reads it: which steps there are, what is behind each, what a condition says.

Plain dictionaries, and none of the product's code.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.script import Document

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE = timedelta(minutes=1)


class Version:
    """The steps of a journey at one time, without those that are switched off."""

    def __init__(self, steps: Sequence[Document]) -> None:
        self.first = first_of(steps)
        self.steps = {step["key"]: step for step in _all(steps)}
        self.behind = _links(steps, None)
        self.starts = started_by(steps)

    def timing(self, key: str) -> Any:
        """What says when who is at that step is due."""
        step = self.steps.get(key, {})
        return self.delay(key), step["action_config"] if step.get("action_type") == "wait_for_event" else None

    def delay(self, key: str) -> int | None:
        return self.steps[key].get("delay_minutes", 0) if key in self.steps else None


def started_by(steps: Sequence[Document]) -> set[str]:
    """The journeys that steps start, those that are switched off too."""
    inner = [started_by(lane["steps"]) for step in steps for lane in step.get("lanes", ())]
    own = {step["action_config"]["journey"] for step in steps if step["action_type"] == "start_journey"}
    return own.union(*inner)


def _on(steps: Sequence[Document]) -> list[Document]:
    return [step for step in steps if step.get("is_active", True)]


def first_of(steps: Sequence[Document]) -> str | None:
    """The key of the first step."""
    return next((step["key"] for step in _on(steps)), None)


def _all(steps: Sequence[Document]) -> Iterator[Document]:
    for step in _on(steps):
        yield step
        for lane in step.get("lanes", ()):
            yield from _all(lane["steps"])


def _links(steps: Sequence[Document], outside: str | None) -> dict[str, str | None]:
    """For each step the one behind it and its lanes: behind the last of a lane comes what is behind the lane's step."""
    links: dict[str, str | None] = {}
    on = _on(steps)
    for number, step in enumerate(on, 1):
        behind = on[number]["key"] if number < len(on) else outside
        links[step["key"]] = behind
        for lane in step.get("lanes", ()):
            links |= _links(lane["steps"], behind)
    return links


def holds(condition: Document | None, facts: Mapping[str, Any]) -> bool:
    """Whether the condition holds. `facts` has each field that is there by its whole name."""
    if not condition:
        return True
    if "all" in condition:
        return all(holds(part, facts) for part in condition["all"])
    if "any" in condition:
        return any(holds(part, facts) for part in condition["any"])
    if "not" in condition:
        return not holds(condition["not"], facts)
    known, wanted = facts.get(condition["field"]), condition["value"]
    if condition["op"] == "exists":
        return (known is not None) == wanted
    if known is None:
        return False
    verdicts = {"eq": lambda: known == wanted, "ne": lambda: known != wanted, "contains": lambda: wanted in known}
    return verdicts[condition["op"]]()


def next_local(after: datetime, at: time, days: Sequence[str], zone: ZoneInfo) -> datetime:
    """The first instant later than `after` that is `at` o'clock in `zone` on one of the days."""
    day = after.astimezone(zone).date()
    while True:
        instant = first_minute(day, at, zone)
        if instant > after and (not days or WEEKDAYS[day.weekday()] in days):
            return instant
        day += timedelta(days=1)


def first_minute(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first minute at which the clock on the wall shows that day and time, or a later one: each one is looked at.

    So a time that the clock jumps over means the first minute after the gap, and one that comes twice the first.
    """
    wall = datetime.combine(day, at)
    guess = wall.replace(tzinfo=UTC)
    minute = guess - (guess.astimezone(zone).utcoffset() or timedelta()) - timedelta(hours=3)
    while minute.astimezone(zone).replace(tzinfo=None) < wall:
        minute += MINUTE
    return minute
