"""Appending counts, in the transaction that made them true."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from journeys.engine.sql import insert
from journeys.models import What

Counted = tuple[UUID, UUID | None, What]
"""Journey, step (None for counts of runs), and what is counted."""

COLUMNS = {"journey_id": "uuid", "step_id": "uuid", "what": "text", "count": "bigint", "at": "timestamptz"}


def append(counts: Mapping[Counted, int], now: datetime) -> None:
    """Write one row for each thing counted."""
    insert("tallies", COLUMNS, [(*counted, count, now) for counted, count in counts.items()])
