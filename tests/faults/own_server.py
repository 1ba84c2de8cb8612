"""A PostgreSQL for one test alone, which it may stop and start, while this process's connection leads to it."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from journeys_project.embedded.server import Server

DATABASE = "journeys"
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""How PostgreSQL is stopped: sessions are ended and what is committed written, or as in a crash."""


class OwnServer:
    def __init__(self, data: Path) -> None:
        self._server = Server.at(data, durable=True)  # What was committed must outlive a crash.
        self._server.hold(DATABASE)

    def restart(self, how: signal.Signals, away_seconds: float) -> None:
        """Stop it, and start it again after a while."""
        os.kill(int((self._server.data / "postmaster.pid").read_text().splitlines()[0]), how)
        until = time.monotonic() + 30
        while self._server.is_kept() or self._server.answers():
            assert time.monotonic() < until, "PostgreSQL did not stop"
            time.sleep(0.02)
        time.sleep(away_seconds)
        self._server.hold(DATABASE)

    @property
    def parameters(self) -> dict[str, str]:
        return {"user": "postgres", "dbname": DATABASE, "host": str(self._server.socket_dir)}

    def close(self) -> None:
        self._server.release(30)


@contextmanager
def own_server(folder: Path) -> Iterator[OwnServer]:
    """The server, migrated, with Django's connection of this process leading to it."""
    server, before = OwnServer(folder / "postgres"), dict(connection.settings_dict)
    connection.close()
    place = {"NAME": DATABASE, "USER": "postgres", "PASSWORD": "", "HOST": server.parameters["host"], "PORT": ""}
    connection.settings_dict.update(place, EMBEDDED={"data": folder / "postgres", "durable": True})
    try:
        call_command("migrate", verbosity=0)
        yield server
    finally:
        connection.close()
        connection.settings_dict.clear()
        connection.settings_dict.update(before)
        server.close()
