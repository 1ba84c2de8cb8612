"""Compiled flows, cached by version id: versions are immutable, so nothing is compiled twice."""

import logging
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from journeys.actions.registry import is_message, parse_config
from journeys.engine.sql import query
from journeys.logic.flow import Flow, compile_flow
from journeys.models import JourneyVersion

logger = logging.getLogger(__name__)

CACHED = 1_000
_flows: OrderedDict[UUID, Flow | Exception] = OrderedDict()


@dataclass(frozen=True, slots=True)
class LiveJourney:
    """A journey under a share lock: what it is at this moment, until the transaction ends."""

    id: UUID
    name: str
    is_active: bool
    priority: int
    version_id: UUID
    was_open_again: bool
    """Whether it let people in again, in this version or an earlier one."""


def lock_journeys(ids: Collection[UUID], *, skip_locked: bool = False) -> dict[UUID, LiveJourney]:
    """Lock journeys against change (not against each other's readers), in the order of their ids.

    Journeys come first in the lock order. With `skip_locked`, one that is just being changed is left out.
    """
    return _lock("id = ANY(%s)", [list(ids)], skip_locked=skip_locked)


def lock_concerned(names: Collection[str]) -> dict[UUID, LiveJourney]:
    """Lock the journeys whose version, when we looked, was started by events of these names, or listened to them.

    Those that are off, too, where they listen: somebody inside leaves although the journey stands still.
    """
    # Whoever waits for an edit here gets the edited row, but sub-queries stay as they were: a version published
    # meanwhile is not to be seen in them. So they only name candidates; callers ask the version itself for its trigger.
    candidates = (
        "SELECT j.id FROM journeys j JOIN journey_versions v ON v.id = j.live_version_id "
        "WHERE (j.is_active AND COALESCE(v.trigger_event, v.trigger_type) = ANY(%s)) OR v.listens_to ?| %s::text[]"
    )
    return _lock(f"id IN ({candidates})", [list(names), list(names)])


def _lock(condition: str, parameters: list[object], *, skip_locked: bool = False) -> dict[UUID, LiveJourney]:
    rows = query(
        f"SELECT id, name, is_active, priority, live_version_id, was_open_again FROM journeys WHERE {condition} "
        f"ORDER BY id FOR SHARE {'SKIP LOCKED' if skip_locked else ''}",
        parameters,
    )
    return {row[0]: LiveJourney(*row) for row in rows}


def flows_of(version_ids: Collection[UUID]) -> dict[UUID, Flow | Exception]:
    """Each version's flow, or what is wrong with its definition: one that can't be compiled harms no other."""
    wanted = set(version_ids)
    missing = [version_id for version_id in wanted if version_id not in _flows]
    if missing:
        for version in JourneyVersion.objects.filter(id__in=missing):
            _flows[version.id] = _compile(version)
    found = {version_id: _flows[version_id] for version_id in wanted if version_id in _flows}
    for version_id in found:
        _flows.move_to_end(version_id)
    while len(_flows) > CACHED:
        _flows.popitem(last=False)
    return found


def _compile(version: JourneyVersion) -> Flow | Exception:
    try:
        return compile_flow(version.definition, parse_config, is_message)
    except Exception as error:
        logger.error("a version can't be compiled", extra={"version": str(version.id)}, exc_info=error)
        return error
