"""Work in several processes at once, begun together."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from django.db import connections

from journeys.engine.collector import spare_collector

_FORK = multiprocessing.get_context("fork")  # A child has the bench's database and settings, as a worker has its own.
PATIENCE_SECONDS = 3600

T = TypeVar("T")


def together(
    work: Callable[[], T], processes: int = 1, warm_up: Callable[[], object] | None = None
) -> tuple[list[T], float]:
    """What each of them answered, and the seconds from their common start to the end of the last.

    Before the start each warms up: a worker has lived for long, and has compiled and opened what it needs.
    """
    connections.close_all()  # A socket must not be shared with a child.
    start = _FORK.Barrier(processes + 1)
    children = [_Child(work, start, warm_up) for _ in range(processes)]
    try:
        start.wait(60)
        started = time.perf_counter()
        answers = [child.answer() for child in children]
        return answers, time.perf_counter() - started
    finally:
        for child in children:
            child.end()


class _Child(Generic[T]):
    def __init__(self, work: Callable[[], T], start: Any, warm_up: Callable[[], object] | None) -> None:
        self._pipe, theirs = _FORK.Pipe(duplex=False)
        self._process = _FORK.Process(target=self._run, args=(work, start, warm_up, theirs))
        self._process.start()
        theirs.close()  # So that ours ends when the child does.

    @staticmethod
    def _run(work: Callable[[], T], start: Any, warm_up: Callable[[], object] | None, pipe: Connection) -> None:
        spare_collector()  # As a worker's processes do.
        connections["default"].ensure_connection()
        if warm_up is not None:
            warm_up()
        start.wait(60)
        pipe.send(work())
        connections.close_all()

    def answer(self) -> T:
        """Raises EOFError when the child ended without one; its traceback is on standard error."""
        if not self._pipe.poll(PATIENCE_SECONDS):
            raise RuntimeError(f"a process of the bench did not end within {PATIENCE_SECONDS} s")
        answer: T = self._pipe.recv()
        return answer

    def end(self) -> None:
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
