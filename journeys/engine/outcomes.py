"""What sends came to, on its way from the senders to who records it, and never more of it than a kill may repeat.

Whoever wants to send takes room first, and the room is free again once the outcome is recorded. So what a worker has
sent or is sending, and has not recorded, is at most MOST_UNRECORDED at any moment, however slow the database is.
"""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from journeys.logic.effects import Outcome, Undelivered

FLUSH_SECONDS = 0.2
FLUSH_RESULTS = 50
MOST_RESULTS = 100
"""A lot takes along what came while the one before was recorded: fewer transactions record sooner what waits."""
MOST_UNRECORDED = 200
"""Two such lots: while one is recorded, the other is sent."""
LOOK_SECONDS = 0.1
"""How often a sender that waits for room looks whether it may still send."""
Result = tuple[UUID, Outcome]


class Outcomes:
    """Results of so many senders. Each of them says when it leaves."""

    def __init__(self, senders: int) -> None:
        self._senders = senders
        self._results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(MOST_UNRECORDED)

    def take_room(self, may_send: Callable[[], bool]) -> bool:
        """Wait until one more may be sent; False when it may not any more."""
        while may_send():
            if self._room.acquire(timeout=LOOK_SECONDS):
                return True
        return False

    def give_back_room(self) -> None:
        """There was nothing to send in it."""
        self._room.release()

    def put(self, key: UUID, outcome: Outcome) -> None:
        self._results.put((key, _storable(outcome)))

    def leave(self) -> None:
        self._results.put(None)

    def lots(self, meanwhile: Callable[[], None]) -> Iterator[list[Result]]:
        """Results as they come, in lots: whatever came in FLUSH_SECONDS, or FLUSH_RESULTS and what more is there, up to
        MOST_RESULTS.

        When the next lot is asked for, the one before counts as recorded. `meanwhile` is called as often as a lot may
        come, also where none does.
        """
        lot: list[Result] = []
        flush_at = time.monotonic() + FLUSH_SECONDS
        while self._senders or lot:
            self._add_next(lot, flush_at)
            is_full = len(lot) >= FLUSH_RESULTS and (len(lot) >= MOST_RESULTS or self._results.empty())
            if is_full or time.monotonic() >= flush_at or not self._senders:
                if lot:
                    yield lot
                    self._room.release(len(lot))
                meanwhile()
                lot, flush_at = [], time.monotonic() + FLUSH_SECONDS

    def _add_next(self, lot: list[Result], flush_at: float) -> None:
        if not self._senders:
            return
        try:
            result = self._results.get(timeout=max(0.0, flush_at - time.monotonic()))
        except queue.Empty:
            return  # Nothing came in time: what there is, is flushed.
        if result is None:
            self._senders -= 1
        else:
            lot.append(result)


def _storable(outcome: Outcome) -> Outcome:
    """The outcome without what PostgreSQL can't keep: a provider may say anything, and is not asked twice for it."""
    if isinstance(outcome, Undelivered):
        return replace(outcome, error=_text(outcome.error))
    return replace(outcome, result=_plain(dict(outcome.result)))


def _plain(value: Any) -> Any:
    """Nothing but what JSON has and PostgreSQL keeps."""
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping():
            return {_text(str(key)): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return _text(str(value))


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
