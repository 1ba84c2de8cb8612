"""The process that runs PostgreSQL while somebody uses it: `python -m journeys_project.embedded.keeper DATA`.

It stops PostgreSQL and ends when no process holds the users' lock any more, or on SIGTERM.
"""

import argparse
import fcntl
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from journeys_project.embedded.server import Server, binaries

GRACE_SECONDS = 2.0  # so that one command after another finds it running
STOP_SECONDS = 12
POLL_SECONDS = 0.25
FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


class Keeper:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.account = database_account(server.data)
        self.asked_to_stop = False
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._stop_soon)
        signal.signal(signal.SIGINT, self._stop_soon)
        lock_file = self.server.lock_file
        with lock_file("keeper").open("a") as mine, lock_file("users").open("a") as users:
            wait_for_lock(mine.fileno())
            if self.server.answers():
                self._adopt()
            else:
                self._start()
            self._wait_until_unused(users.fileno())
            # Newcomers wait for the users' lock, which is held here until PostgreSQL is down.
            self._stop()

    def _start(self) -> None:
        if not self.server.data.exists():
            self._create()
        make_private(self.server.socket_dir, self.account)
        command: list[str | Path] = [binaries() / "postgres", "-D", self.server.data, "-k", self.server.socket_dir]
        options = ["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"]
        self._child = self._spawn([*command, *options, *([] if self.server.durable else FAST)])
        self._pid = self._child.pid

    def _adopt(self) -> None:
        """A keeper that was killed left its server running."""
        self._pid = int((self.server.data / "postmaster.pid").read_text().splitlines()[0])

    def _create(self) -> None:
        # Made aside and renamed: an interrupted initdb must not pass for a database.
        unfinished = self.server.data.with_suffix(".new")
        subprocess.run(["rm", "-rf", unfinished], check=True)  # noqa: S603, S607
        make_private(unfinished, self.account)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"]
        options += ["--locale-provider=builtin", "--locale=C.UTF-8"]
        options += [] if self.server.durable else ["--no-sync"]
        if code := self._spawn([binaries() / "initdb", "-D", unfinished, *options]).wait():
            sys.exit(f"initdb ended with {code}")
        unfinished.rename(self.server.data)

    def _spawn(self, command: list[str | Path]) -> "subprocess.Popen[bytes]":
        # PostgreSQL refuses to run as root.
        identity: dict[str, Any] = {}
        if self.account:
            identity = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        return subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, **identity)  # noqa: S603

    def _wait_until_unused(self, users: int) -> None:
        unused_since = time.monotonic()
        while self._is_running() and not self.asked_to_stop:
            time.sleep(POLL_SECONDS)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                unused_since = time.monotonic()
                continue
            if time.monotonic() - unused_since > GRACE_SECONDS:
                return
            fcntl.flock(users, fcntl.LOCK_UN)

    def _is_running(self) -> bool:
        if self._child:
            return self._child.poll() is None
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _stop(self) -> None:
        for order in (signal.SIGINT, signal.SIGQUIT):  # "fast", then "immediate"
            if self._is_running():
                os.kill(self._pid, order)
            deadline = time.monotonic() + STOP_SECONDS
            while self._is_running() and time.monotonic() < deadline:
                time.sleep(0.05)

    def _stop_soon(self, signum: int, frame: FrameType | None) -> None:
        self.asked_to_stop = True


def wait_for_lock(file: int, seconds: float = 5) -> None:
    """Askers hold it for an instant; a keeper that holds it longer is doing this job already."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit("another keeper runs this server")
            time.sleep(0.02)


def database_account(data: Path) -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as: the caller, or for root the owner of existing data, or nobody."""
    if os.geteuid() != 0:
        return None
    owner = data.stat().st_uid if data.exists() else 0
    account = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    for needed in (binaries(), data.parent):
        let_pass(needed)
    let_read(binaries().parent)
    return account


def let_pass(folder: Path) -> None:
    """Root's folders may be closed to other accounts, such as its home: let them pass, not look inside."""
    for step in (folder, *folder.parents):
        mode = step.stat().st_mode
        if not mode & stat.S_IXOTH:
            print(f"chmod o+x {step}: the database's account must pass", flush=True)  # noqa: T201
            step.chmod(mode | stat.S_IXOTH)


def let_read(tree: Path) -> None:
    """A strict umask at installation leaves the wheel's files to root alone."""
    for path in (tree, *tree.rglob("*")):
        mode = path.lstat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode and not stat.S_ISLNK(mode):
            path.chmod(wanted)


def make_private(folder: Path, account: pwd.struct_passwd | None) -> None:
    """Only the database's account enters. In the temporary folder, somebody else may have taken the name."""
    owner = account.pw_uid if account else os.geteuid()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account and folder.lstat().st_uid == 0:
        os.chown(folder, account.pw_uid, account.pw_gid, follow_symlinks=False)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
        sys.exit(f"{folder} belongs to somebody else")
    folder.chmod(0o700)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--not-durable", action="store_true")
    arguments = parser.parse_args()
    Keeper(Server(arguments.data, durable=not arguments.not_durable)).run()


if __name__ == "__main__":
    main()
