"""Workers that can be killed: processes that do what the product's worker does, one batch after the other.

They are forked from one process that has imported everything, as django-q's are; each has its own connection.
"""

import logging
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from django.core.mail.utils import DNS_NAME
from django.db import connections

from journeys.actions import http
from journeys.engine import cycle, housekeeping, replay
from journeys.engine.claim import Claimed
from journeys.engine.clock import database_clock
from journeys.engine.collector import spare_collector

_FORK = multiprocessing.get_context("fork")
IDLE_SECONDS = 0.02
ROLL_UP = 0.02
"""How often, between two batches, a worker does the minute's work: somebody is to be killed at that, too."""


@dataclass(frozen=True, slots=True)
class FastClock:
    """The database's clock, so much faster: minutes of waiting pass in seconds. Leases stay on the real one."""

    start: datetime
    speed: int = 60

    def __call__(self) -> datetime:
        return self.start + (database_clock() - self.start) * self.speed


@dataclass(slots=True)
class Life:
    """One worker process, and what is known of it after its death."""

    name: str
    process: Any
    state: Any
    killed_at: float | None = None
    was_busy: bool = False

    @property
    def late(self) -> int:
        """Outcomes that it came too late with: its lease was over, although it lived."""
        return int(self.state[1])


@dataclass(slots=True)
class Herd:
    """So many workers at any time. Everybody who ever lived is in `lives`."""

    size: int
    work: Callable[[Any], None]
    first: int = 0
    """The number of the first of them."""
    lives: list[Life] = field(default_factory=list)
    alive: list[Life] = field(default_factory=list)

    def __enter__(self) -> Self:
        connections.close_all()  # A socket must not be shared with a child.
        for _ in range(self.size):
            self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        for life in self.alive:
            os.kill(life.process.pid, signal.SIGKILL)
        for life in self.alive:
            life.process.join()

    def kill(self, chance: random.Random) -> Life:
        """SIGKILL one of them, whatever it is doing, and start another in its place."""
        life = self.alive.pop(chance.randrange(len(self.alive)))
        os.kill(life.process.pid, signal.SIGKILL)
        life.process.join()
        life.killed_at, life.was_busy = time.time(), bool(life.state[0])
        self._begin()
        return life

    def fallen(self) -> list[Life]:
        """Those who ended by themselves, as nobody should."""
        return [life for life in self.alive if not life.process.is_alive()]

    def _begin(self) -> None:
        name = f"worker-{self.first + len(self.lives)}"
        state = _FORK.RawArray("Q", 2)
        process = _FORK.Process(target=_begin_work, args=(name, state, self.work), daemon=True)
        connections.close_all()
        process.start()
        life = Life(name, process, state)
        self.lives.append(life)
        self.alive.append(life)


def _begin_work(name: str, state: Any, work: Callable[[Any], None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spare_collector()
    random.seed()
    say_who(name)
    logging.getLogger("journeys.engine.record").addHandler(_Late(state))
    cycle.claim = _telling(cycle.claim, state)
    work(state)


def say_who(name: str) -> None:
    """Let the sinks know who sends, beside the message and not in it."""
    DNS_NAME._fqdn = name
    http.USER_AGENT = name


def _telling(claim: Callable[..., Claimed], state: Any) -> Callable[..., Claimed]:
    """Lets the herd know whether this worker has runs: a kill that meets nobody at work says little."""

    def claim_and_tell(*args: Any, **options: Any) -> Claimed:
        claimed = claim(*args, **options)
        state[0] = bool(claimed.decisions)
        return claimed

    return claim_and_tell


class _Late(logging.Handler):
    """Counts what the engine says of outcomes that came after another worker had the run."""

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.state = state

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith("outcomes came too late"):
            self.state[1] += record.__dict__["count"]


def work_on(clock: Callable[[], datetime], batch: int, state: Any) -> None:
    """What `tasks.work` does, for ever."""
    newest_first = False
    while True:
        report = cycle.work(clock, batch, newest_first=newest_first)
        replayed = replay.work(clock, batch)
        if random.random() < ROLL_UP:
            housekeeping.minute(clock())
        state[0] = 0
        newest_first = not newest_first
        if not report.runs + replayed:
            time.sleep(IDLE_SECONDS)
