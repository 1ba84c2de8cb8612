"""Telling what a run's own data breaks from what the infrastructure does: the one must not harm others, the other
must not fail a run."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError

INFRASTRUCTURE = (OperationalError, InterfaceError, InternalError, ProgrammingError)
"""The database is away, busy or of another release: no run is to blame."""


class Poison(Exception):
    """Something in this batch can't be read, decided or written. The batch is to be taken apart."""


@contextmanager
def told_apart() -> Iterator[None]:
    """Make a Poison of every error that is not the infrastructure's."""
    try:
        yield
    except INFRASTRUCTURE:
        raise
    except Exception as error:
        raise Poison(f"{type(error).__name__}: {error}".strip()) from error
