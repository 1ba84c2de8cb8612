"""Real worker processes by the handful: `python -m tests.faults.crew 4` forks four of `manage.py run_due --loop`.

They are forked from one process that has imported everything, because imports are most of a worker's start.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Crew:
    """Workers that run. They are addressed by their process ids."""

    process: "subprocess.Popen[str]"
    pids: list[int]

    def signal(self, number: int, *pids: int) -> None:
        """To these workers, or to all."""
        for pid in pids or self.pids:
            os.kill(pid, number)

    def living(self) -> list[int]:
        return [pid for pid in self.pids if _is_at_work(pid)]

    def wait_for(self, pid: int, seconds: float) -> float:
        """Until that worker has left; how long it took."""
        began = time.monotonic()
        while _is_at_work(pid):
            assert time.monotonic() - began < seconds, f"a worker is still there after {seconds} s"
            time.sleep(0.02)
        return time.monotonic() - began


def _is_at_work(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def crew(database_url: str, count: int, **environment: str) -> Iterator[Crew]:
    """So many workers on that database, in a session of their own; they are killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crew", str(count)],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "DEBUG": "1", **environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield Crew(process, [int(process.stdout.readline()) for _ in range(count)])
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _work() -> None:
    from multiprocessing.sharedctypes import RawValue

    from django.core.management import call_command

    from journeys.engine import stopping

    stopping._flag = RawValue("b", 0)  # Each of us is stopped alone.
    call_command("run_due", "--loop", stdout=sys.stderr)


def main() -> None:
    import django
    from django.core.management import load_command_class

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    load_command_class("journeys", "run_due")
    for _ in range(int(sys.argv[1])):
        if not (pid := os.fork()):
            _work()
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    main()
