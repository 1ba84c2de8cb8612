"""Which of a channel's messages is sent next: its senders share one feed, so that none waits behind another's.

A destination that fails is left alone for the rest of the batch, and one that hangs keeps at most half of the senders
while others have messages. A message with a slot of its own goes out when that comes.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from uuid import UUID

from journeys.actions.base import Outgoing
from journeys.logic.effects import Outcome, Undelivered

LOOK_SECONDS = 0.1
"""How often a sender with nothing to do looks whether the lease still holds."""


class _Queue:
    """One destination's messages, in the order in which they may go."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, Outgoing]] = deque()
        self.under_way = 0
        self.failures = 0


class Feed:
    """Messages on their way out, for `senders` threads. `starts` are monotonic; what may go at once has 0."""

    def __init__(
        self,
        messages: Iterable[tuple[float, Outgoing]],
        destination: Callable[[Outgoing], str],
        senders: int,
        patience: int,
        may_send: Callable[[], bool],
    ) -> None:
        self._queues: dict[str, _Queue] = {}
        self._owner: dict[UUID, tuple[str, _Queue]] = {}
        for starts_at, message in sorted(messages, key=lambda pair: pair[0]):
            name = destination(message)
            queue = self._queues.setdefault(name, _Queue())
            queue.waiting.append((starts_at, message))
            self._owner[message.id] = name, queue
        self._senders, self._patience, self.may_send = senders, patience, may_send
        self._changed = threading.Condition()

    def take(self) -> Outgoing | None:
        """The next message, as soon as there is one that may go; None when this sender isn't needed any more."""
        with self._changed:
            while self.may_send():
                now = time.monotonic()
                if (message := self._next(now)) is not None:
                    return message
                if not self._queues:
                    return None
                soonest = min(queue.waiting[0][0] for queue in self._queues.values())
                self._changed.wait(min(max(soonest - now, 0.001), LOOK_SECONDS) if soonest > now else LOOK_SECONDS)
        return None

    def _next(self, now: float) -> Outgoing | None:
        share = self._senders if len(self._queues) == 1 else max(1, self._senders // 2)
        for name, queue in self._queues.items():
            if queue.under_way < share and queue.waiting[0][0] <= now:
                _, message = queue.waiting.popleft()
                queue.under_way += 1
                del self._queues[name]
                if queue.waiting:
                    self._queues[name] = queue  # Its turn comes again behind all others.
                return message
        return None

    def done(self, message: Outgoing, outcome: Outcome) -> None:
        """Say what a message that was taken came to."""
        with self._changed:
            name, queue = self._owner[message.id]
            queue.under_way -= 1
            health = outcome.destination if isinstance(outcome, Undelivered) else "well"
            queue.failures = queue.failures + 1 if health == "down" else 0
            if name and (health == "busy" or queue.failures >= self._patience):
                self._queues.pop(name, None)
            self._changed.notify_all()
