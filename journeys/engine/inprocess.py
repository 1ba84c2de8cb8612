"""Events from code in the same process: checked, ingested, and a worker woken on commit."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from journeys.engine import wake
from journeys.engine.clock import database_clock
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.triggers import REPORTED
from journeys.logic import json_values
from journeys.models import EventSource
from journeys.models.audience import USER_ID_PATTERN

MESSAGE_ID_PATTERN = r"^[^\x00-\x1f\x7f]{1,200}\Z"


def trigger(
    trigger_type: str,
    user_id: str,
    context: Mapping[str, Any],
    message_id: str | None,
    occurred_at: datetime | None,
) -> list[UUID]:
    """Start the journeys of a trigger for one person; their ids. Raises ValueError."""
    if trigger_type not in REPORTED:
        raise ValueError(f"trigger_type: there is no trigger {trigger_type!r}; there are {', '.join(REPORTED)}")
    return report(trigger_type, user_id, context, message_id, occurred_at)


def report(
    name: str,
    user_id: str,
    context: Mapping[str, Any],
    message_id: str | None,
    occurred_at: datetime | None,
) -> list[UUID]:
    """Ingest an event of any name; the ids of the journeys that it started. Raises ValueError."""
    if not isinstance(name, str) or not re.match(MESSAGE_ID_PATTERN, name):
        raise ValueError("name: must be a text of 1 to 200 characters, with no control character")
    if not isinstance(user_id, str) or not re.match(USER_ID_PATTERN, user_id):
        raise ValueError("user_id: must be a text of 1 to 190 characters, with no slash and no control character")
    if message_id is not None and not (isinstance(message_id, str) and re.match(MESSAGE_ID_PATTERN, message_id)):
        raise ValueError("message_id: must be a text of 1 to 200 characters, with no control character")
    now = database_clock()
    happened = _happened(occurred_at, now) if occurred_at is not None else None
    _refuse_unstorable({"name": name, "user_id": user_id, "message_id": message_id, "context": dict(context)})
    event = Incoming(user_id, name, _plain(context), message_id, happened, EventSource.CODE)
    (answer,) = ingest([event], now)
    if answer.makes_work:
        wake.after_commit()
    return list(answer.started)


def _happened(occurred_at: datetime, now: datetime) -> datetime:
    if not isinstance(occurred_at, datetime) or occurred_at.tzinfo is None:
        raise ValueError("occurred_at: must be a datetime that is aware of its time zone")
    if occurred_at.year < 1970:
        raise ValueError("occurred_at: must not be before 1970")
    return min(occurred_at, now)  # What lies in the future counts as now, as in the API.


def _refuse_unstorable(arguments: Mapping[str, Any]) -> None:
    for field, value in arguments.items():
        for path, fault in json_values.faults(value, field):
            raise ValueError(f"{path}: {fault}")


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    """The context as JSON will give it back: what isn't JSON is refused here, not in the middle of a transaction."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(context), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"context: {error}") from error
    _refuse_unstorable({"context": plain})  # what was inside tuples, which JSON makes lists
    return plain
