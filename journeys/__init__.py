"""Journeys: what to say to whom, when, as a Django app.

`journeys.trigger` and `journeys.report` start them from code.
"""

from datetime import datetime
from typing import Any
from uuid import UUID


def trigger(
    trigger_type: str,
    user_id: str,
    *,
    message_id: str | None = None,
    occurred_at: datetime | None = None,
    **context: Any,
) -> list[UUID]:
    """Report that something happened to somebody: `journeys.trigger("signup", user_id="42", plan="premium")`.

    It joins the caller's transaction: rolled back with it, and a worker is woken once it has committed. An unknown
    `user_id` makes the contact. `context` is JSON: conditions and messages refer to it. With a `message_id`, a
    repetition changes nothing and gets the first answer again; `occurred_at` is aware, and now when absent.

    Returns the ids of the journeys that it started, highest priority first; none for somebody who was deleted a while
    ago. Raises ValueError for an unknown trigger type, or for a value that can't be stored.
    """
    # Models can't be imported before Django is set up, and this package is imported first.
    from journeys.engine.inprocess import trigger

    return trigger(trigger_type, user_id, context, message_id, occurred_at)


def report(
    name: str,
    user_id: str,
    *,
    message_id: str | None = None,
    occurred_at: datetime | None = None,
    **properties: Any,
) -> list[UUID]:
    """The same for an event of any name: `journeys.report("order_placed", user_id="42", amount=250)`.

    It starts the journeys whose trigger is that event, and counts for segments, and for runs that wait for it.
    """
    from journeys.engine.inprocess import report

    return report(name, user_id, properties, message_id, occurred_at)
