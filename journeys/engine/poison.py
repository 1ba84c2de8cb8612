"""Telling what a run's own data breaks from what the infrastructure does: the one must not harm others, the other
must not fail a run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError

INFRASTRUCTURE = (
    OperationalError, InterfaceError, InternalError, ProgrammingError, psycopg.OperationalError, psycopg.InterfaceError,
)  # fmt: skip
"""The database is away, busy or of another release: no run is to blame."""
OWN = (
    DataError, IntegrityError, psycopg.DataError, psycopg.IntegrityError,
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What a run's own data can cause. Anything else, want of memory say, would blame whoever is read just then."""
PARTS = 8
Part = TypeVar("Part")


class Poison(Exception):
    """Something in this batch can't be read, decided or written. The batch is to be taken apart."""


@contextmanager
def told_apart(blamed: tuple[type[Exception], ...] = OWN) -> Iterator[None]:
    """Make a Poison of these errors, if they aren't the infrastructure's."""
    try:
        yield
    except INFRASTRUCTURE:
        raise
    except blamed as error:
        raise Poison(f"{type(error).__name__}: {error}".strip()) from error


def eighths(batch: Sequence[Part]) -> list[Sequence[Part]]:
    """A batch taken apart, to find what is bad in it: by eighths it costs a seventh more than the batch itself, where
    halves would cost as much again."""
    size = max(1, -(-len(batch) // PARTS))
    return [batch[start : start + size] for start in range(0, len(batch), size)]
