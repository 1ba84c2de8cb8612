"""Work in several processes at once, begun together."""

import multiprocessing
import time
from collections.abc import Callable

from django.db import connections

_FORK = multiprocessing.get_context("fork")  # A child has the bench's database and settings, as a worker has its own.
PATIENCE_SECONDS = 600


def together(work: Callable[[], int], processes: int) -> tuple[int, float]:
    """How much all of them did, and the seconds from their common start to the end of the last."""
    connections.close_all()  # A socket must not be shared with a child.
    start = _FORK.Barrier(processes + 1)
    results = _FORK.SimpleQueue()

    def child() -> None:
        connections["default"].ensure_connection()
        start.wait(PATIENCE_SECONDS)
        results.put(work())
        connections.close_all()

    children = [_FORK.Process(target=child) for _ in range(processes)]
    for process in children:
        process.start()
    start.wait(PATIENCE_SECONDS)
    started = time.perf_counter()
    for process in children:
        process.join(PATIENCE_SECONDS)
    elapsed = time.perf_counter() - started
    failed = [process.exitcode for process in children if process.exitcode != 0]
    if failed:
        for process in children:
            process.kill()
        raise RuntimeError(f"a process of the bench ended with {failed[0]}")
    return sum(results.get() for _ in children), elapsed
