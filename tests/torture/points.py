"""The named points at which a worker may be killed, between looking for a run and knowing that it is recorded.

Armed from here, in the process that is to die: the product knows nothing of them.
"""

import os
import signal
from collections.abc import Callable
from typing import Any, Final

from django.db import connection

from journeys.engine import apart, claim, cycle, record
from journeys.engine.feed import Feed

INSIDE: Final = ("before claim", "after claim", "before insert", "after insert", "before commit", "after commit")
"""In the claiming transaction: looking, runs locked and read, everything written, committed."""

OUTSIDE: Final = (
    "before send", "after send", "before record", "before outcome's insert", "after outcome's insert",
    "before outcome's commit", "after outcome's commit", "after record",
)  # fmt: skip
"""What follows for a step that sends: the provider has it, and then the database."""

SENT_UNRECORDED: Final = frozenset(OUTSIDE[1:6])
"""Who dies here has sent, and nobody knows: the message must come a second time, and nowhere else."""


def arm(point: str) -> None:
    """Let this process be killed when it comes to that point."""
    when, _, what = point.partition(" ")
    of_outcome = what.startswith("outcome's")
    match what.removeprefix("outcome's "):
        case "claim" if when == "before":
            _wrap(cycle, "claim_one", when)
        case "claim":
            _wrap(claim, "load", when)  # The rows are locked and read; nothing is decided.
        case "insert":
            _wrap(record if of_outcome else apart, "write", when)
        case "commit" if of_outcome:
            _wrap(cycle, "record", "before", lambda: _wrap(connection, "commit", when))
        case "commit":
            _wrap(connection, "commit", when)
        case "send" if when == "before":
            _wrap(Feed, "take", "after")  # The sender has it in hand.
        case "send":
            _wrap(Feed, "done", "before")  # The provider has answered.
        case "record":
            _wrap(cycle, "record", when)
        case _:
            raise ValueError(f"there is no point {point!r}")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap(owner: Any, name: str, when: str, act: Callable[[], None] = die) -> None:
    """Let `act` happen before or after each call."""
    original = getattr(owner, name)

    def wrapped(*args: Any, **options: Any) -> Any:
        if when == "before":
            act()
        result = original(*args, **options)
        if when == "after":
            act()
        return result

    setattr(owner, name, wrapped)
