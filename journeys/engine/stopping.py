"""Whether this cluster is being stopped: a flag that the worker command sets and its forked processes share.

A stopping worker claims no more; it finishes what it sends, records it and leaves. The flag is a bare byte of shared
memory: a multiprocessing.Event would be set under a lock, and wait for each sleeper, also one that was killed.
"""

import time
from multiprocessing.sharedctypes import RawValue

SLICE_SECONDS = 0.1
_flag = RawValue("b", 0)


def stop() -> None:
    """Ask every process of this cluster to finish. Safe in a signal handler."""
    _flag.value = 1


def is_stopping() -> bool:
    return bool(_flag.value)


def pause(seconds: float) -> None:
    """Sleep, but not into the stop."""
    until = time.monotonic() + seconds
    while not is_stopping() and (left := until - time.monotonic()) > 0:
        time.sleep(min(SLICE_SECONDS, left))
