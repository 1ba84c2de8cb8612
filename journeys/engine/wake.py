"""Waking a worker as soon as something may be due. Only a courtesy: the ticker finds by itself what is missed here."""

import time

from django.db import transaction

WORK = "journeys.tasks.work"
TAKE_IN = "journeys.tasks.take_in"
LOOK = "journeys.tasks.look"
QUIET_SECONDS = 0.1
"""A process wakes workers at most this often; what comes in between, the ticker sees within half a second."""

_woken_at = float("-inf")


def after_commit() -> None:
    """Wake a worker once the current transaction has committed, or at once where none is open."""
    # Robust: a wake-up that fails is logged, and takes nothing from what was just committed.
    transaction.on_commit(wake, robust=True)


def wake() -> None:
    """Put one work task into django-q's queue, unless this process did just now."""
    from django_q.tasks import async_task

    global _woken_at
    if time.monotonic() - _woken_at >= QUIET_SECONDS:
        _woken_at = time.monotonic()
        async_task(WORK)


def take_in_after_commit() -> None:
    """Let a worker take in those on the lists once the current transaction has committed."""
    from django_q.tasks import async_task

    transaction.on_commit(lambda: async_task(TAKE_IN), robust=True)


def look_after_commit() -> None:
    """Let a worker look around once the current transaction has committed, and not only when the minute is over."""
    from django_q.tasks import async_task

    transaction.on_commit(lambda: async_task(LOOK), robust=True)
