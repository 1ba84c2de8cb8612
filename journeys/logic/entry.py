"""Who enters a journey: how often somebody may, and who is held out of it to compare with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from journeys.logic.split import RANGE, number_of

ONCE, AFTER_FINISH, AFTER_DAYS = "once", "after_finish", "after_days"
EVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who was in the journey may enter it again: never, when they are out of it, or `days` after they last entered.

    Nobody is in a journey twice at a time, whatever it says. `holdout_percent` of those who would enter are held out.
    """

    reentry: str = ONCE
    days: int = 0
    holdout_percent: int = 0

    def key(self, started_by: str) -> str:
        """What a run is unique by, beside its contact and journey; `started_by` says what started it."""
        return "" if self.reentry == ONCE else started_by

    def shut_since(self, now: datetime) -> datetime | None:
        """Who entered later than this may not enter at `now`; None: any earlier run that is over is no obstacle."""
        if self.reentry == AFTER_DAYS:
            return now - timedelta(days=self.days)
        return EVER if self.reentry == ONCE else None


def compile_entrance(definition: Mapping[str, Any]) -> Entrance:
    """The entrance of a definition; versions of earlier releases say nothing of it."""
    days, percent = definition.get("reentry_days") or 0, definition.get("holdout_percent", 0)
    return Entrance(definition.get("reentry", ONCE), days, percent)


def is_held_out(percent: int, who: str) -> bool:
    """Whether `who` is among those held out: always the same people, and at a higher share those and some more."""
    return percent > 0 and number_of(who, "holdout") * 100 < percent * RANGE
