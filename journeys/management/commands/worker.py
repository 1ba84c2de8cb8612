"""`manage.py worker`: django-q's cluster, its tick chains, and a watchdog over both.

The command is a supervisor. The cluster is a child in a session of its own, so that a signal to the whole foreground
group (Ctrl-C) reaches only us: django-q's processes would die of it in the middle of a send.
"""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from types import FrameType
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, connection

STOP_SECONDS = 20
"""How long a stopping cluster may take to finish what it sends."""
STARTING_SECONDS = 30
LOOK_SECONDS = 5
"""How often the supervisor looks for ticks: each look is a connection of its own."""
REPAIR_SECONDS = 30
SILENCE = timedelta(seconds=60)
"""Without a tick for so long, the cluster counts as stuck and is started anew."""


class Command(BaseCommand):
    help = "Run the engine: the ticker, the schedules and the workers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cluster", action="store_true", help="the cluster itself, without the watchdog")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["cluster"]:
            _cluster()
        else:
            call_command("check", "--database", "default", "--tag", "channels")
            _Supervisor().run()


def _cluster() -> None:
    """django-q's cluster, until it is told to stop or its supervisor is gone."""
    from django_q.cluster import Cluster

    from journeys.engine import stopping
    from journeys.engine.collector import spare_collector
    from journeys.tasks import start_chains

    supervisor = os.getppid()
    start_chains()
    cluster = Cluster()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    spare_collector()  # The processes that it forks keep to it.
    cluster.start()
    while cluster.sentinel.is_alive() and not stopping.is_stopping():
        if os.getppid() != supervisor:  # It was killed, and can't tell us.
            stopping.stop()
        stopping.pause(0.5)
    cluster.stop()


class _Supervisor:
    """Keeps one cluster running until it is told to stop."""

    def __init__(self) -> None:
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def run(self) -> None:
        while not self.stopping:
            child = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, sys.argv[0], "worker", "--cluster"], start_new_session=True
            )
            self._watch(child)
            _end(child)

    def _watch(self, child: "subprocess.Popen[bytes]") -> None:
        """Return when the child should be ended: we are to stop, it died, or its ticks ceased."""
        look_at = time.monotonic() + LOOK_SECONDS
        patient_until = look_at + STARTING_SECONDS + SILENCE.total_seconds()
        repair_at = look_at + STARTING_SECONDS
        while not self.stopping and child.poll() is None:
            time.sleep(0.2)
            if (now := time.monotonic()) < look_at:
                continue
            repairs = now >= repair_at
            look_at, ticks = now + LOOK_SECONDS, _ticks(repairs)
            if repairs:
                repair_at = now + REPAIR_SECONDS
            if ticks is None:  # After an outage it has as long to come back as if it had just been heard of.
                patient_until = now + SILENCE.total_seconds()
            elif not ticks and now >= patient_until:
                sys.stderr.write("worker: no tick for a minute, the cluster is started anew\n")
                return
        if not self.stopping:
            time.sleep(1)  # A cluster that dies at once must not be started as fast as it dies.


def _ticks(repairs: bool) -> bool | None:
    """Whether there are ticks; None when the database is away: no tick could be, and a new cluster would not help.

    With `repairs`, chains that ended in an outage, or whose next link was lost, are started again.
    """
    from journeys.engine.clock import database_clock
    from journeys.engine.queue import beaten_since
    from journeys.tasks import repair_chains

    try:
        if repairs:
            repair_chains()
        return beaten_since("tick", database_clock() - SILENCE)
    except (OperationalError, InterfaceError):
        return None
    finally:
        connection.close()


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Let the cluster finish; what is still there after that is killed with all its processes."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            sys.stderr.write("worker: the cluster did not stop in time and is killed\n")
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # Nothing of it is left, which is what we want.
    child.wait()
