"""The embedded PostgreSQL: there when needed, shared, and gone when nobody uses it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from django.db import connection

from journeys_project.embedded.server import Server

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from pathlib import Path
from journeys_project.embedded.server import Server
server = Server.at(Path(sys.argv[1]), durable=False)
server.hold("journeys")
print("holding", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var" / "postgres"
    for process in database_processes(tmp_path):
        process.kill()


@pytest.fixture
def hold() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Starts a process that uses the server until its standard input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(data: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOLD, str(data)]
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_holding(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout
    return process.stdout.readline() == "holding\n"


def database_processes(folder: Path) -> list[psutil.Process]:
    named = psutil.process_iter(["cmdline"])
    return [found for found in named if any(str(folder) in word for word in found.info["cmdline"] or ())]


def stops_within(data: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while database_processes(data):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def ask(data: Path, question: str) -> str:
    folder = Server(data, durable=False).socket_dir
    with psycopg.connect(host=str(folder), user="postgres", dbname="journeys") as asked:
        cursor = asked.execute(question.encode())
        row = cursor.fetchone() if cursor.description else None
    return str(row[0]) if row else ""


def manage(*arguments: str, var: Path) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    environment = {**kept, "DEBUG": "1", "VAR_DIR": str(var), "EMBEDDED_DURABLE": "0"}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)


@pytest.mark.django_db
def test_tests_run_on_a_server_of_their_own() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        assert cursor.fetchone()[0].endswith("var/tests/postgres")
        cursor.execute("SHOW server_version_num")
        assert int(cursor.fetchone()[0]) >= 180000


def test_a_command_that_needs_no_database_starts_none(tmp_path: Path) -> None:
    manage("check", var=tmp_path / "var")
    manage("diffsettings", var=tmp_path / "var")
    assert not (tmp_path / "var").exists()


def test_a_command_that_needs_it_starts_it_and_it_stops_afterwards(data: Path) -> None:
    shown = manage("shell", "-c", "from django.db import connection; connection.ensure_connection()", var=data.parent)
    assert (data / "PG_VERSION").exists(), shown.stderr
    assert stops_within(data, 10)


def test_processes_that_start_together_share_one_server(
    data: Path, hold: Callable[[Path], "subprocess.Popen[str]"]
) -> None:
    holders = [hold(data) for _ in range(3)]
    assert [is_holding(holder) for holder in holders] == [True] * len(holders)
    postmasters = [p for p in database_processes(data) if "-D" in p.cmdline()]
    assert len(postmasters) == 1


def test_it_stays_while_another_process_uses_it_and_goes_with_the_last(
    data: Path, hold: Callable[[Path], "subprocess.Popen[str]"]
) -> None:
    first, second = hold(data), hold(data)
    assert is_holding(first)
    assert is_holding(second)
    first.communicate()
    assert not stops_within(data, 4)
    second.send_signal(signal.SIGKILL)
    assert stops_within(data, 10)


def test_two_folders_have_two_servers(data: Path, hold: Callable[[Path], "subprocess.Popen[str]"]) -> None:
    other = data.parent.parent / "other" / "postgres"
    holders = [hold(data), hold(other)]
    assert [is_holding(holder) for holder in holders] == [True] * len(holders)
    ask(data, "CREATE TABLE mine AS SELECT 1 AS one")
    assert ask(other, "SELECT to_regclass('mine')") == "None"
    assert ask(data, "SELECT to_regclass('mine')") == "mine"


def test_a_folder_too_deep_for_a_socket_works(data: Path, hold: Callable[[Path], "subprocess.Popen[str]"]) -> None:
    deep = data.parent / ("deep/" * 25) / "postgres"
    holder = hold(deep)
    assert is_holding(holder)
    socket_dir = Server(deep, durable=False).socket_dir
    assert socket_dir != deep
    assert socket_dir.stat().st_mode & 0o077 == 0
    assert ask(deep, "SELECT 1") == "1"
    holder.communicate()
    assert stops_within(deep, 10)
    socket_dir.rmdir()


def test_a_crashed_server_is_started_again_by_the_next_connection(
    data: Path, hold: Callable[[Path], "subprocess.Popen[str]"]
) -> None:
    server = Server.at(data)
    server.hold("journeys")
    ask(data, "CREATE TABLE kept AS SELECT 1 AS one")
    next(p for p in database_processes(data) if "-D" in p.cmdline()).kill()
    assert stops_within(data, 10)
    server.hold("journeys")
    assert ask(data, "SELECT one FROM kept") == "1"
    assert server.release(wait_seconds=10)


def test_a_killed_keeper_is_replaced(data: Path, hold: Callable[[Path], "subprocess.Popen[str]"]) -> None:
    first = hold(data)
    assert is_holding(first)
    next(p for p in database_processes(data) if "-m" in p.cmdline()).kill()
    second = hold(data)
    assert is_holding(second)
    assert ask(data, "SELECT 1") == "1"
    for holder in (first, second):
        holder.communicate()
    assert stops_within(data, 10)


def test_a_start_that_fails_says_why(data: Path, hold: Callable[[Path], "subprocess.Popen[str]"]) -> None:
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("11\n")
    failed = hold(data).communicate()[0]
    assert "Embedded PostgreSQL did not start" in failed
    assert str(data.with_suffix(".log")) in failed
