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
from journeys.engine.triggers import TRIGGERS
from journeys.logic import json_values
from journeys.models import EventSource
from journeys.models.audience import USER_ID_PATTERN

MAX_MESSAGE_ID = 200


def trigger(
    trigger_type: str,
    user_id: str,
    context: Mapping[str, Any],
    message_id: str | None,
    occurred_at: datetime | None,
) -> list[UUID]:
    """Start the journeys of a trigger for one person; their ids. Raises ValueError."""
    if trigger_type not in TRIGGERS:
        raise ValueError(f"trigger_type: there is no trigger {trigger_type!r}; there are {', '.join(TRIGGERS)}")
    if not isinstance(user_id, str) or not re.match(USER_ID_PATTERN, user_id):
        raise ValueError("user_id: must be a text of 1 to 190 characters, with no slash and no control character")
    if message_id is not None and not (isinstance(message_id, str) and 1 <= len(message_id) <= MAX_MESSAGE_ID):
        raise ValueError(f"message_id: must be a text of 1 to {MAX_MESSAGE_ID} characters")
    if occurred_at is not None and occurred_at.tzinfo is None:
        raise ValueError("occurred_at: must be aware of its time zone")
    for field, value in (("user_id", user_id), ("message_id", message_id), ("context", dict(context))):
        for path, fault in json_values.faults(value, field):
            raise ValueError(f"{path}: {fault}")
    event = Incoming(user_id, trigger_type, _plain(context), message_id, occurred_at, EventSource.CODE)
    (answer,) = ingest([event], database_clock())
    if answer.started:
        wake.after_commit()
    return list(answer.started)


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    """The context as JSON will give it back: what isn't JSON is refused here, not in the middle of a transaction."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(context), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"context: {error}") from error
    return plain
