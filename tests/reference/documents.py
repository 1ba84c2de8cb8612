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
    """The steps of a journey at one time, without those that are switched off, and its quiet hours."""

    def __init__(self, steps: Sequence[Document], quiet_hours: Document | None = None) -> None:
        self.quiet_hours = quiet_hours
        self.first = first_of(steps)
        self.steps = {step["key"]: step for step in _all(steps)}
        self.behind = _links(steps, None)
        self.starts = started_by(steps)
        self.whole = quiet_hours, [_whole(step) for step in steps]

    def timing(self, key: str) -> Any:
        """What says when who is at that step is due."""
        step = self.steps.get(key, {})
        config = step.get("action_config", {})
        match step.get("action_type"):
            case "wait_for_event":
                return self.when(key), config
            case "send_telegram":
                return self.when(key), config.get("transactional", False), config.get("when_capped", "wait")
        return self.when(key)

    def when(self, key: str) -> Any:
        """What of a step itself says when it is due."""
        step = self.steps.get(key)
        return step and (self.delay(key), step.get("delay_from"), *self._hours(key))

    def delay(self, key: str) -> int:
        return self.steps[key].get("delay_minutes", 0)

    def due(self, key: str, ended_at: datetime, started_at: datetime, zone: ZoneInfo, said: Document) -> datetime:
        """When the step is due. `said` is what a schedule_next before it says."""
        if said.get("at"):
            due = next_local(ended_at, time.fromisoformat(said["at"]), said.get("days", ()), zone)
        elif "delay_minutes" in said or self.steps[key].get("delay_from") != "journey_start":
            due = ended_at + MINUTE * said.get("delay_minutes", self.delay(key))
        else:
            due = max(ended_at, started_at + MINUTE * self.delay(key))
        return self.opens(key, due, zone)

    def opens(self, key: str, moment: datetime, zone: ZoneInfo) -> datetime:
        """The first moment from then on at which the step may be taken: each minute is looked at."""
        window, quiet = self._hours(key)
        while not _is_open(moment.astimezone(zone), window, quiet):
            moment = moment.replace(second=0, microsecond=0) + MINUTE
        return moment

    def _hours(self, key: str) -> tuple[Document | None, Document | None]:
        step = self.steps[key]
        return step.get("window"), self.quiet_hours if step["action_type"] == "send_telegram" else None


def _is_open(wall: datetime, window: Document | None, quiet: Document | None) -> bool:
    return (not window or _is_in(wall, window)) and not (quiet and _is_in(wall, quiet))


def _is_in(wall: datetime, hours: Document) -> bool:
    """Whether the clock shows one of these hours; what goes over midnight is of the day on which it began."""
    start, end, shown = hours.get("from", "00:00"), hours.get("to", "24:00"), f"{wall:%H:%M}"
    began_today, began_yesterday = shown >= start, start >= end and shown < end
    if start < end:
        began_today = start <= shown < end
    days = hours.get("days", WEEKDAYS)
    today = WEEKDAYS[wall.weekday()]
    return (began_today and today in days) or (began_yesterday and WEEKDAYS[wall.weekday() - 1] in days)


def started_by(steps: Sequence[Document]) -> set[str]:
    """The journeys that steps start, those that are switched off too."""
    inner = [started_by(lane["steps"]) for step in steps for lane in step.get("lanes", ())]
    own = {step["action_config"]["journey"] for step in steps if step["action_type"] == "start_journey"}
    return own.union(*inner)


def _whole(step: Document) -> Document:
    """The step with what it leaves out: two that are equal are one version's."""
    defaults = {"delay_minutes": 0, "condition": None, "on_failure": "continue", "is_active": True, "lanes": []}
    whole = {**defaults, **step}
    whole["lanes"] = [{**lane, "steps": [_whole(inner) for inner in lane["steps"]]} for lane in whole["lanes"]]
    return {name: value for name, value in whole.items() if value is not None}


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
