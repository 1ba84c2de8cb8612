"""Dead letters in bulk: chosen by what they have in common, counted, and then replayed or dismissed, in batches."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from journeys.engine.replay import dismiss, replay
from journeys.models import DeadLetter, StepExecution

BATCH = 1_000

Found = QuerySet[DeadLetter] | QuerySet[StepExecution]
"""Dead letters, chosen by whatever a page or a caller filters them by."""


@dataclass(frozen=True, slots=True)
class Letters:
    """What the dead letters meant have in common; what is empty does not matter.

    `error` is part of the error, in whatever case; `since` and `until` say when they died, both included.
    """

    journey_id: UUID | None = None
    step_id: UUID | None = None
    action_type: str = ""
    error: str = ""
    since: datetime | None = None
    until: datetime | None = None


class CountChanged(Exception):
    """There are not as many as the caller was told. `count` is how many there are."""

    def __init__(self, count: int, expected: int) -> None:
        super().__init__(f"there are {count:,} of these dead letters now, not {expected:,}: look again")
        self.count = count


def chosen(letters: Letters) -> QuerySet[DeadLetter]:
    """Those dead letters, in no order."""
    found = DeadLetter.objects.filter(dead_at__isnull=False)
    wanted = {
        "step__journey_id": letters.journey_id,
        "step_id": letters.step_id,
        "step__action_type": letters.action_type,
        "error_message__icontains": letters.error,
        "dead_at__gte": letters.since,
        "dead_at__lte": letters.until,
    }
    return found.filter(**{name: value for name, value in wanted.items() if value})


def replay_all(found: Found, expected: int, now: datetime) -> int:
    """Queue them all to be tried again; how many it were. Raises CountChanged. The caller wakes a worker."""
    return _all(found, expected, lambda keys: replay(keys, now))


def dismiss_all(found: Found, expected: int, now: datetime) -> int:
    """Take them all off the list; how many it were. Raises CountChanged."""
    return _all(found, expected, lambda keys: dismiss(keys, now))


def _all(found: Found, expected: int, act: Callable[[Collection[UUID]], int]) -> int:
    """Whom the caller confirmed, and nobody who came since. Broken off in the middle, the rest are still there."""
    keys = list(found.order_by("dead_at", "id").values_list("id", flat=True))
    if len(keys) != expected:
        raise CountChanged(len(keys), expected)
    return sum(act(keys[start : start + BATCH]) for start in range(0, len(keys), BATCH))
