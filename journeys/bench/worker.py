"""A real worker on the bench's database: `python -m journeys.bench.worker NAME`, which the bench starts."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SECONDS = 30


@contextmanager
def running_worker(database: str) -> "Iterator[subprocess.Popen[bytes]]":
    """The cluster of `manage.py worker`, in a session of its own: Ctrl-C is the bench's to answer."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", __name__, database], stdout=sys.stderr, start_new_session=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main(database: str) -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    multiprocessing.set_start_method("fork", force=True)  # What is said here holds in django-q's processes too.
    connection.settings_dict["NAME"] = database
    settings.DEBUG = False  # With DEBUG, Django keeps each query that it makes.
    call_command("worker", cluster=True)


if __name__ == "__main__":
    main(sys.argv[1])
