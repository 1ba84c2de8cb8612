"""Getting over an outage of the database: what must be written is tried until it is there again.

Whoever is tried again must bear that the time before succeeded: a commit may be made and its answer lost.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import Error, InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 30
"""As long as a lease may last behind the last send, about. While the database is away, nobody else takes the runs."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0

_ENDED_BY_SERVER = ("25P03", "25P04")
"""What PostgreSQL says to a session that idled in a transaction, or took too long over one (lease.limit_idling)."""


def is_outage(error: BaseException) -> bool:
    """Whether this is the database being away, or having thrown us out: the same may well succeed later."""
    cause: object = getattr(error, "__cause__", None)
    return isinstance(error, OperationalError | InterfaceError) or getattr(cause, "sqlstate", "") in _ENDED_BY_SERVER


def may_try_again(error: BaseException) -> bool:
    """Whether it is an outage that this connection gets over; it is closed, and opened when it is next used.

    Within somebody's transaction it isn't: what that did before is lost too.
    """
    if connection.in_atomic_block or not is_outage(error):
        return False
    connection.close()
    return True


Made = TypeVar("Made")


def persist(act: Callable[[], Made], on_outage: Callable[[], None] = lambda: None) -> Made:
    """Do it, and again after each outage, for half a minute; what it returns. `on_outage` is told of each."""
    until, pause = time.monotonic() + PATIENCE_SECONDS, FIRST_PAUSE
    while True:
        try:
            return act()
        except Error as error:
            if not may_try_again(error) or time.monotonic() >= until:
                raise
            logger.warning("the database is away, and is tried again", extra={"error": str(error).strip()})
        on_outage()
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


@contextmanager
def surviving() -> Iterator[None]:
    """End what is done here early when the database goes away, and no more: whoever comes next makes up for it."""
    try:
        yield
    except Error as error:
        if not may_try_again(error):
            raise
        logger.warning("work ended early, because the database went away", exc_info=error)
