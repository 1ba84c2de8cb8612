"""Asking for all contacts of whom a condition holds, with patience and memory for a million of them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from psycopg.errors import QueryCanceled

from journeys.engine.sql import query
from journeys.models import Contact
from journeys.models.matching import matches

WORK_MEMORY = "128MB"
"""What a set of contacts may take while it is compared with others: a million ids fit."""
SHOWN_WITHIN = 10
"""Seconds that somebody waits for a number."""


class TooSlow(Exception):
    """PostgreSQL did not find them within the time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"looking for these people takes longer than {seconds:g} seconds")


def audience(condition: Any, now: datetime) -> QuerySet[Contact]:
    """The contacts for whom a valid condition holds; None means everybody."""
    return Contact.objects.filter(matches(condition, now))


def size(condition: Any, now: datetime, seconds: float = SHOWN_WITHIN) -> int:
    """How many those are. Raises TooSlow."""
    with roomy(seconds):
        return audience(condition, now).count()


def hold_segments(names: Collection[str]) -> set[str]:
    """Those of the names that segments have; until the transaction ends, they are not renamed or deleted."""
    rows = query("SELECT name FROM segments WHERE name = ANY(%s) ORDER BY id FOR KEY SHARE", [list(names)])
    return {name for (name,) in rows}


@contextmanager
def roomy(seconds: float | None = None) -> Iterator[None]:
    """A transaction with memory for large sets. Raises TooSlow where a statement takes longer than that."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEMORY])
            # Compiling a statement that runs for a second costs as much again.
            cursor.execute("SELECT set_config('jit', 'off', true)")
            if seconds is not None:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(seconds * 1000))])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled) and seconds is not None:
            raise TooSlow(seconds) from error
        raise
