"""`make run`: prepares the database, then runs web and worker in one foreground until Ctrl-C.

When one of the two ends, the other is stopped too, and this ends with an error.
"""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import django
import psutil

from journeys_project import environment

READY_SECONDS = 120
STOP_SECONDS = 14  # with PostgreSQL's own, under the twenty that Ctrl-C may take
DEMO_LOGIN = "admin"
PR_SET_PDEATHSIG = 1


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Processes:
    """Children in sessions of their own: only this process hears the terminal's Ctrl-C, and stops them in order."""

    def __init__(self) -> None:
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.asked_to_stop = False
        self._parent = os.getppid()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._stop_soon)

    def start(self, name: str, *command: str) -> None:
        self.children[name] = subprocess.Popen(  # noqa: S603
            command, start_new_session=True, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent()
        )

    def wait(self, until: Callable[[], bool] = lambda: False) -> str:
        """Wait until that, or a reason to stop, which is returned: a child's name, or "stop"."""
        while not until():
            # A make that was killed cannot pass the signal on.
            if self.asked_to_stop or os.getppid() != self._parent:
                return "stop"
            for name, child in self.children.items():
                if child.poll() is not None:
                    return name
            time.sleep(0.3)
        return ""

    def stop(self) -> None:
        family = [member for child in self.children.values() for member in _family(child.pid)]
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        psutil.wait_procs(family, timeout=STOP_SECONDS)
        for member in family:
            with suppress(psutil.NoSuchProcess):  # it is gone, or its number is somebody else's now
                member.kill()
        for child in self.children.values():
            child.wait()

    def _stop_soon(self, signum: int, frame: FrameType | None) -> None:
        self.asked_to_stop = True


def _family(pid: int) -> list[psutil.Process]:
    """A process and all below it, as they are now: when it is gone, nothing tells whose they were."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux, children are told when this process is killed and cannot tell them."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return (lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)) if prctl else None


def prepare() -> None:
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    say("Preparing the database…")
    call_command("migrate", interactive=False, verbosity=0)
    if settings.DEBUG:
        make_demo_login()
    else:
        call_command("collectstatic", interactive=False, verbosity=0)
    connections.close_all()


def make_demo_login() -> None:
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    if not users.filter(is_superuser=True).exists():
        users.create_superuser(DEMO_LOGIN, "", DEMO_LOGIN)


def welcome(address: str) -> str:
    login = f"Log in as {DEMO_LOGIN} with the password {DEMO_LOGIN}.\n" if demo_login_works() else ""
    return f"\nJourneys is at {address}\n{login}"


def demo_login_works() -> bool:
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.db import connections

    user = get_user_model().objects.filter(username=DEMO_LOGIN).first() if settings.DEBUG else None
    connections.close_all()
    return user is not None and user.check_password(DEMO_LOGIN)


def wants_demo() -> bool:
    from django.conf import settings
    from django.db import connections

    from journeys.models import Contact, Journey

    if not settings.DEBUG or not environment.flag("DEMO", default=True):
        return False
    empty = not (Journey.objects.exists() or Contact.objects.exists())
    connections.close_all()
    return empty


def is_ready(host: str, port: int) -> bool:
    """Whether the web process answers and the worker has looked for work."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def refuse_taken_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            environment.refuse("PORT", f"is {port}, which cannot be had: {error.strerror}")


def supervise(host: str, port: int) -> int:
    processes = Processes()
    try:
        prepare()
        if wants_demo():
            say("Making demo data…")
            processes.start("demo", sys.executable, "manage.py", "demo")
            if processes.wait() == "stop" or processes.children.pop("demo").returncode:
                return 1
        return serve(processes, host, port)
    finally:
        processes.stop()
        release_database()


def serve(processes: Processes, host: str, port: int) -> int:
    local = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104
    processes.start("web", sys.executable, "-m", "gunicorn")
    processes.start("worker", sys.executable, "manage.py", "worker")
    deadline = time.monotonic() + READY_SECONDS
    ended = processes.wait(until=lambda: is_ready(local, port) or time.monotonic() > deadline)
    if not ended and time.monotonic() > deadline:
        say(f"Not ready after {READY_SECONDS} s: stopping.")
        return 1
    if not ended:
        say(welcome(f"http://{local}:{port}/admin/"))
        ended = processes.wait()
    if ended == "stop":
        return 0
    say(f"The {ended} process ended with {processes.children[ended].returncode}; stopping the rest.")
    return 1


def release_database() -> None:
    """Wait until the embedded PostgreSQL is down, unless other commands use it just now."""
    from django.conf import settings

    from journeys_project.embedded.server import Server

    if embedded := settings.DATABASES["default"].get("EMBEDDED"):
        Server.at(embedded["data"]).release(wait_seconds=4)


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "journeys_project.settings")
    host, port = environment.text("HOST", "127.0.0.1"), environment.port("PORT", 8000)
    refuse_taken_port(host, port)
    django.setup()
    return supervise(host, port)


if __name__ == "__main__":
    sys.exit(main())
