"""`make run`, without make: a real start, a real Ctrl-C, nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Running:
    """The foreground process, its output, and every process it has started."""

    def __init__(self, var: Path, port: int) -> None:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        environment = {"DEBUG": "1", "DEMO": "0", "VAR_DIR": str(var), "PORT": str(port), "Q_WORKERS": "3", **kept}
        self.var, self.port = var, port
        self.output = var.with_suffix(".out")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "journeys_project.run"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.family: list[psutil.Process] = []

    def await_address(self) -> None:
        deadline = time.monotonic() + 60
        while "Log in as admin with the password admin." not in self.output.read_text():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def database_processes(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(str(self.var) in word for word in process.info["cmdline"] or ())
        ]

    def everything_ends_within(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self.process.wait(seconds)
        while remaining := [p for p in (*self.family, *self.database_processes()) if p.is_running()]:
            assert time.monotonic() < deadline, remaining
            time.sleep(0.1)

    def status_of(self, path: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "var", free_port())
    running.await_address()
    yield running
    for process in [*running.family, *running.database_processes(), running.process]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    running.process.wait()


def test_ctrl_c_stops_web_worker_and_database(running: Running) -> None:
    assert running.status_of("/admin/login/") == 200
    assert running.database_processes()
    os.killpg(running.process.pid, signal.SIGINT)
    running.everything_ends_within(20)
    assert running.process.returncode == 0


def test_a_dead_child_stops_the_rest_with_an_error(running: Running) -> None:
    web = next(p for p in running.family if "gunicorn" in " ".join(p.cmdline()))
    web.kill()
    running.everything_ends_within(20)
    assert running.process.returncode == 1
    assert "The web process ended" in running.output.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_nothing_outlives_a_killed_foreground(running: Running) -> None:
    running.process.kill()
    running.everything_ends_within(30)


def test_a_taken_port_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        second = Running(tmp_path / "var", taken.getsockname()[1])
        assert second.process.wait(20) == 1
    assert second.output.read_text().startswith(f"Setting PORT is {second.port}, which cannot be had: ")
    assert second.output.read_text().count("\n") == 1
