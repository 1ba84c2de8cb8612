"""The reference's part that starts people without an event of theirs: segments, schedules, dates, and by hand."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from tests.reference.documents import first_minute, holds
from tests.reference.script import SEGMENTS, Document
from tests.reference.state import Came, Contact, Journey
from tests.reference.walk import Walk

DAY = timedelta(days=1)
PAUSE = timedelta(seconds=50)
CALLED = ("segment", "schedule", "date", "manual")


@dataclass
class Members:
    """Who was found in a segment: how often they entered, and whether they are inside."""

    noted_at: datetime | None = None
    inside: dict[str, int] = field(default_factory=dict)
    entered: dict[str, int] = field(default_factory=dict)


class Callers(Walk):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.members = {name: Members() for name in SEGMENTS}
        self.looked: dict[str, tuple[Any, datetime]] = {}  # By journey: what by, and up to when.
        self.told: set[tuple[str, str, Any]] = set()  # Whom we called into which journey, and for what.
        self.done: dict[str, list[tuple[str, datetime]]] = {}

    def look(self) -> None:
        """What is looked at every minute: whoever is found starts at once."""
        on = [journey for journey in self.journeys.values() if journey.on]
        for journey in on:
            if journey.trigger == "schedule":
                self._look_at_schedule(journey)
            elif journey.trigger == "date":
                self._look_at_dates(journey)
        for name in SEGMENTS:
            self._look_at_segment(name, [it for it in on if it.trigger == "segment" and it.config["segment"] == name])

    def look_around(self) -> None:
        """Workers ask once a batch who is in which segment."""
        for user, contact in self.contacts.items():
            contact.segments = [name for name in SEGMENTS if self._is_in(user, SEGMENTS[name])]

    def by_hand(self, name: str, users: Iterable[str]) -> None:
        journey = self.journeys[name]
        if journey.trigger == "manual" and journey.on:
            for user in sorted(set(users)):
                if user in self.contacts:
                    self._call(user, journey, {})

    def _look_at_schedule(self, journey: Journey) -> None:
        at = time.fromisoformat(journey.config["at"])
        slot = datetime.combine(self.now.date(), at, self.now.tzinfo)
        slot = slot if slot <= self.now else slot - DAY
        if slot > self._since(journey, "daily"):
            self.looked[journey.name] = "daily", self.now
            for user in sorted(self.contacts):
                self._call(user, journey, {})

    def _look_at_dates(self, journey: Journey) -> None:
        since = self._since(journey, "dates")
        self.looked[journey.name] = "dates", self.now
        at = time.fromisoformat(journey.config["at"])
        for user, contact in sorted(self.contacts.items()):
            hour, day = self._last_hour(user, at)
            born = contact.attributes.get("born")
            if max(since, self.now - DAY) < hour and contact.created_at <= hour and born and _is_yearly(born, day):
                self._tell(user, journey, ("date", day))

    def _last_hour(self, user: str, at: time) -> tuple[datetime, date]:
        """When it was last so late where they are, and on which day there."""
        zone = self._zone(user)
        day = self.now.astimezone(zone).date() + DAY
        while (hour := first_minute(day, at, zone)) > self.now:
            day -= DAY
        return hour, day

    def _look_at_segment(self, name: str, journeys: list[Journey]) -> None:
        members = self.members[name]
        begins = any(self.looked.get(journey.name, (None,))[0] != name for journey in journeys)
        pause = timedelta.resolution if begins else PAUSE
        if not journeys or (members.noted_at and self.now - members.noted_at < pause):
            return
        members.noted_at = self.now
        inside = sorted(user for user in self.contacts if self._is_in(user, SEGMENTS[name]))
        came = [user for user in inside if user not in members.inside]
        for user in came:
            members.entered[user] = members.entered.get(user, 0) + 1
        members.inside = {user: members.entered[user] for user in inside}
        for journey in journeys:
            by, _ = self.looked.get(journey.name, (None, None))
            existing = journey.config.get("include_existing", False)
            self.looked[journey.name] = name, self.now
            for user in inside if by != name and existing else came if by == name else ():
                self._tell(user, journey, (name, members.entered[user]))

    def _is_in(self, user: str, condition: Document) -> bool:
        if "did" not in condition:
            return holds(condition, self._facts(self.contacts[user], {}))
        since = self.now - DAY * condition["within_days"]
        times = sum(it == condition["did"] and at >= since for it, at in self.done.get(user, ()))
        return bool(times >= condition["value"])

    def _since(self, journey: Journey, by: str) -> datetime:
        known, at = self.looked.setdefault(journey.name, (by, journey.changed_at))
        return at if known == by else journey.changed_at

    def _tell(self, user: str, journey: Journey, what: Any) -> None:
        if (user, journey.name, what) not in self.told:
            self.told.add((user, journey.name, what))
            self._call(user, journey, {})

    def _call(self, user: str, journey: Journey, properties: Document) -> None:
        came = Came(journey.trigger, properties, self.now)
        self.came.setdefault(user, []).append(came)
        facts = self._facts(self.contacts[user], properties)
        if self._may_enter(user, journey) and holds(journey.condition, facts):
            self._start((user, journey.name), journey.version, came)

    def _forget_calls(self, user: str) -> None:
        for members in self.members.values():
            members.inside.pop(user, None)
            members.entered.pop(user, None)
        self.told = {it for it in self.told if it[0] != user}
        self.done.pop(user, None)

    def _meet(self, user: str) -> Contact:
        return self.contacts.setdefault(user, Contact(self.now))


def _is_yearly(born: str, day: date) -> bool:
    """Whether that day is a later year's day of the date."""
    then = date.fromisoformat(born)
    if then.year >= day.year:
        return False
    try:
        return then.replace(year=day.year) == day
    except ValueError:
        return (day.month, day.day) == (2, 28)
