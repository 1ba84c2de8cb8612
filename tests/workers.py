"""Real worker processes for tests, and waiting for what they do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from journeys import tasks

ROOT = Path(__file__).resolve().parent.parent
Process = subprocess.Popen[bytes]


def url_of(parameters: Mapping[str, Any]) -> str:
    """The DATABASE_URL of a connection's parameters."""
    account = quote(parameters["user"])
    if password := parameters.get("password"):
        account += f":{quote(password)}"
    host, port = parameters.get("host", "localhost"), parameters.get("port", 5432)
    if host.startswith("/"):  # a socket's folder
        return f"postgresql://{account}@/{parameters['dbname']}?host={quote(host)}"
    return f"postgresql://{account}@{host}:{port}/{parameters['dbname']}"


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether the condition comes to hold in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@contextmanager
def running_worker(
    database_url: str, command: Sequence[str] = ("manage.py", "worker"), **environment: str
) -> Iterator[Process]:
    """`manage.py worker` on the test's database, in a session of its own."""
    tasks.set_up_schedules()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "DEBUG": "1", **environment},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
