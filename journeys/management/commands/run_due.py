"""`manage.py run_due`: the same tick without django-q, from cron or by hand."""

import math
import signal
import time
from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from journeys.engine import cycle, detect, housekeeping, pruning, replay, rounds
from journeys.engine.clock import Clock, database_clock
from journeys.engine.outage import surviving
from journeys.engine.queue import beat
from journeys.engine.stopping import is_stopping, pause, stop

PAUSE_SECONDS = 0.5
MINUTE = 60
MAX_YEAR = 9000  # delays must still fit behind it


class Command(BaseCommand):
    help = "Run every step that is due, once, or with --loop again and again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until interrupted")
        parser.add_argument("--prune", action="store_true", help="first remove what is past its retention")
        parser.add_argument("--now", type=_instant, help="with DEBUG: pretend that it is this moment, in ISO 8601")

    def handle(self, *args: Any, **options: Any) -> None:
        pretended: datetime | None = options["now"]
        if pretended and not settings.DEBUG:
            raise CommandError("--now: only with DEBUG, because it runs steps before their time")
        clock: Clock = (lambda: pretended) if pretended else database_clock
        if options["prune"]:
            pruning.prune(clock(), math.inf)
        if options["loop"]:
            self._loop(clock)
        else:
            _look(clock)
            self.stdout.write(f"{_run_all(clock)} runs looked at")

    def _loop(self, clock: Clock) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: stop())
        minute_at = 0.0
        while not is_stopping():
            with surviving():
                if time.monotonic() >= minute_at:
                    minute_at = time.monotonic() + MINUTE
                    _look(clock)
                _run_all(clock)
            pause(PAUSE_SECONDS)
        self.stdout.write("stopped")


def _look(clock: Clock) -> None:
    detect.detect(clock())
    rounds.look_and_take_in(clock)
    housekeeping.minute(clock())


def _run_all(clock: Clock) -> int:
    limit, total, newest_first = settings.JOURNEYS["BATCH"], 0, False
    beat("tick", database_clock())
    while done := cycle.work(clock, limit, newest_first=newest_first).runs + replay.work(clock, limit):
        total, newest_first = total + done, not newest_first
        if is_stopping():
            break
    return total


def _instant(text: str) -> datetime:
    try:
        instant = parse_datetime(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    if instant is None or instant.tzinfo is None or not 1970 <= instant.year <= MAX_YEAR:
        raise ArgumentTypeError("a moment with its zone is needed, such as 2026-12-24T09:00:00Z")
    return instant
