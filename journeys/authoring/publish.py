"""Every change of a journey, in one place, so that the API, the admin and a program do the same.

In each function the journey's row is locked first (journeys, then contacts, then runs). Saving publishes: a definition
that differs from the live version's becomes the next version.
"""

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from journeys.actions.base import MessageConfig, WaitingAction
from journeys.actions.registry import ACTIONS, is_message
from journeys.authoring.document import (
    DocumentError,
    JourneyDocument,
    StepDocument,
    definition,
    export,
    parse,
)
from journeys.authoring.document_faults import segments_of
from journeys.authoring.faults import Fault
from journeys.authoring.rules import rules_of
from journeys.authoring.starts import faults_of_starts, keep_if_started
from journeys.engine import intakes, lookouts, wake
from journeys.engine.audience import hold_segments
from journeys.engine.inside import delete_runs, look_again
from journeys.engine.parking import park, unpark
from journeys.engine.triggers import started_by
from journeys.logic.leaving import signals_in
from journeys.models import Journey, JourneyStep, JourneyVersion, Reentry, Tally, TallyTotal
from journeys.models.ids import new_id

logger = logging.getLogger(__name__)

SETTINGS = ("name", "description", "is_active", "priority", "trigger_type", "trigger_config", "quiet_hours")
STEP_FIELDS = (
    "name",
    "order",
    "action_type",
    "action_config",
    "delay_minutes",
    "condition",
    "on_failure",
    "expires_after_minutes",
    "is_active",
    "delay_from",
    "window",
)


class NameTaken(Exception):
    """Another journey has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is already a journey named {name!r}")
        self.name = name


def create_journey(document: JourneyDocument, by: User | None, now: datetime) -> Journey:
    """Make and publish a journey. Raises NameTaken and DocumentError."""
    with transaction.atomic():
        journey = Journey(id=new_id(now), created_by=by, created_at=now)
        _write_settings(journey, document, now)
        _write_steps(journey, document.steps, now)
        _publish(journey, by, now)
    _watch(journey)
    logger.info("journey created", extra={"journey": str(journey.id), "operator": _key(by)})
    return journey


def save_journey(journey_id: UUID, document: JourneyDocument, by: User | None, now: datetime) -> Journey:
    """Make the journey what the document says, and publish it. Raises Journey.DoesNotExist, NameTaken and
    DocumentError.

    People inside go on with the new version; who waits at a step that changed is looked at again at once.
    """
    with transaction.atomic():
        journey = _lock(journey_id)
        was_active = journey.is_active
        changed = _save(journey, document, by, now)
    _follow_up(journey, was_active, changed, now)
    return journey


def patch_journey(journey_id: UUID, changes: Mapping[str, Any], by: User | None, now: datetime) -> Journey:
    """`save_journey` with those fields of the document that `changes` names. Raises DocumentError too."""
    with transaction.atomic():
        journey = _lock(journey_id)
        was_active = journey.is_active
        whole = {**export(journey, with_order=True), **changes}
        changed = _save(journey, parse(whole), by, now)
    _follow_up(journey, was_active, changed, now)
    return journey


def set_active(journey_id: UUID, active: bool, by: User | None, now: datetime) -> Journey:
    """Switch a journey on or off: off, it starts nobody and its people wait. Raises Journey.DoesNotExist."""
    with transaction.atomic():
        journey = _lock(journey_id)
        was_active = journey.is_active
        if was_active != active:
            journey.is_active, journey.updated_at = active, now
            journey.save(update_fields=["is_active", "updated_at"])
            _start_nobody_while_off(journey, now)
            logger.info("journey switched", extra={"journey": str(journey_id), "operator": _key(by), "on": active})
    _follow_up(journey, was_active, (), now)
    return journey


def delete_journey(journey_id: UUID) -> int:
    """Delete a journey with all its runs; how many those were.

    Raises Journey.DoesNotExist, and JourneyInUse while another journey starts it.

    It is switched off first and its runs go in batches, so that no lock is held for long. Cut off in the middle, it
    is an inactive journey with fewer runs, and can be deleted again.
    """
    with transaction.atomic():
        journey = _lock(journey_id)
        keep_if_started(journey_id)
        Journey.objects.filter(id=journey.id).update(is_active=False)
    runs = 0
    while gone := delete_runs(journey_id):
        runs += gone
    with transaction.atomic():
        journey = Journey.objects.select_for_update().get(id=journey_id)
        keep_if_started(journey_id)
        runs += delete_runs(journey_id)  # what has come since the last batch
        for counts in (Tally, TallyTotal):
            counts.objects.filter(journey_id=journey_id).delete()
        journey.live_version = None
        journey.save(update_fields=["live_version"])
        journey.delete()
    logger.info("journey deleted", extra={"journey": str(journey_id), "runs": runs})
    return runs


def _lock(journey_id: UUID) -> Journey:
    return Journey.objects.select_for_update(no_key=True).get(id=journey_id)


def _key(by: User | None) -> str:
    return str(by.pk) if by is not None else ""


def _save(journey: Journey, document: JourneyDocument, by: User | None, now: datetime) -> tuple[UUID, ...]:
    """Write and publish under the journey's lock; the ids of the steps whose waiters must be looked at again."""
    _write_settings(journey, document, now)
    _start_nobody_while_off(journey, now)
    _write_steps(journey, document.steps, now)
    return _publish(journey, by, now)


def _write_settings(journey: Journey, document: JourneyDocument, now: datetime) -> None:
    before = {field: getattr(journey, field) for field in SETTINGS} | rules_of(journey)
    after = {field: getattr(document, field) for field in SETTINGS} | document.rules
    for field, value in after.items():
        setattr(journey, field, value)
    journey.was_open_again |= journey.reentry != Reentry.ONCE
    if journey._state.adding or _differs(before, after):
        journey.updated_at = now
        try:
            with transaction.atomic():
                journey.save()
        except IntegrityError as error:
            # The unique index is the judge; the look only tells whether it was the name that it refused.
            if Journey.objects.filter(name=document.name).exclude(id=journey.id).exists():
                raise NameTaken(document.name) from error
            raise


def _write_steps(journey: Journey, documents: Iterable[StepDocument], now: datetime) -> None:
    """Make the draft's rows what the documents say: steps are known by their key, absent ones archived."""
    rows = {step.key: step for step in JourneyStep.objects.filter(journey=journey)}
    created: list[JourneyStep] = []
    updated: list[JourneyStep] = []

    def take(row: Iterable[StepDocument], parent: JourneyStep | None, lane: str) -> None:
        for document in row:
            step = rows.pop(document.key, None)
            if step is None:
                step = JourneyStep(id=new_id(now), journey=journey, key=document.key, created_at=now, updated_at=now)
                _take_over(step, document, parent, lane)
                created.append(step)
            elif _take_over(step, document, parent, lane):
                step.updated_at = now
                updated.append(step)
            for inner in document.lanes:
                take(inner.steps, step, inner.name)

    take(documents, None, "")
    for step in rows.values():
        if step.archived_at is None:
            step.archived_at = step.updated_at = now
            updated.append(step)
    JourneyStep.objects.bulk_create(created)
    JourneyStep.objects.bulk_update(updated, [*STEP_FIELDS, "lanes", "parent", "lane", "archived_at", "updated_at"])


def _take_over(step: JourneyStep, document: StepDocument, parent: JourneyStep | None, lane: str) -> bool:
    """Give the step what the document says, and its place; whether that changed it."""
    columns = [*STEP_FIELDS, "lanes", "parent_id", "lane", "archived_at"]
    before = {name: getattr(step, name) for name in columns}
    for field in STEP_FIELDS:
        setattr(step, field, getattr(document, field))
    step.lanes = [inner.settings for inner in document.lanes]
    step.parent, step.lane, step.archived_at = parent, lane, None
    return _differs(before, {name: getattr(step, name) for name in columns})


def _publish(journey: Journey, by: User | None, now: datetime) -> tuple[UUID, ...]:
    """Store the next version, if the definition differs; the ids of the steps whose waiters it concerns."""
    steps = JourneyStep.objects.filter(journey=journey, archived_at=None).order_by("order", "id")
    new = definition(journey, list(steps))
    live = journey.live_version
    if live is not None and not _differs(live.definition, new):
        return ()
    if faults := [*faults_of_starts(journey.id, new), *_segment_faults(new)]:
        raise DocumentError(faults)
    journey.live_version = JourneyVersion.objects.create(
        id=new_id(now),
        journey=journey,
        number=live.number + 1 if live is not None else 1,
        trigger_type=journey.trigger_type,
        trigger_event=_trigger_event(journey),
        definition=new,
        listens_to=sorted({signal["event"] for signal in signals_in(new)}),
        created_by=by,
        created_at=now,
    )
    journey.save(update_fields=["live_version"])
    return _retimed(live.definition, new) if live is not None else ()


def _segment_faults(new: Mapping[str, Any]) -> Iterator[Fault]:
    named = segments_of(new)
    for name in sorted(named - hold_segments(named)) if named else ():
        yield Fault("", f"the segment {name!r:.110} was deleted meanwhile")


def _trigger_event(journey: Journey) -> str | None:
    name = started_by(journey.trigger_type, journey.trigger_config)
    return name if name != journey.trigger_type else None


def _retimed(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[UUID, ...]:
    """The steps of `old` that are due at another time in `new`, or not there any more."""
    timing = dict(_timing(new["steps"], new.get("quiet_hours")))
    return tuple(UUID(key) for key, due in _timing(old["steps"], old.get("quiet_hours")) if timing.get(key) != due)


def _timing(steps: Iterable[Mapping[str, Any]], quiet_hours: Any) -> Iterator[tuple[str, Any]]:
    """What decides when each active step is due. One that is switched off takes its lanes with it."""
    for step in steps:
        if step["is_active"]:
            kind = step["action_type"]
            yield step["id"], (
                step["delay_minutes"], step.get("delay_from"), step.get("window"),
                quiet_hours if is_message(kind) else None, _holding(kind, step["action_config"]),
            )  # fmt: skip
            for lane in step.get("lanes", ()):
                yield from _timing(lane["steps"], quiet_hours)


def _holding(kind: str, config: Mapping[str, Any]) -> Any:
    """What of a step's config decides for how long somebody stays at it."""
    action = ACTIONS.get(kind)
    if isinstance(action, WaitingAction):
        return config
    if action is not None and issubclass(action.config_class, MessageConfig):
        return [config.get(name) for name in MessageConfig.model_fields]
    return None


def _differs(one: Any, other: Any) -> bool:
    """Whether two values differ as JSON; in Python, true equals 1."""
    return _canonical(one) != _canonical(other)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _follow_up(journey: Journey, was_active: bool, changed: Collection[UUID], now: datetime) -> None:
    """What a committed change means to the people inside; each in batches of its own."""
    _watch(journey)
    moved = 0
    while changed and (batch := look_again(journey.id, list(changed), now)):
        moved += batch
    if journey.is_active and not was_active:
        moved += unpark(journey.id)
    elif was_active and not journey.is_active:
        park(journey.id)
    if moved:
        wake.after_commit()


def _start_nobody_while_off(journey: Journey, now: datetime) -> None:
    if not journey.is_active:
        lookouts.forget(journey.id)
        intakes.close(journey.id, now)


def _watch(journey: Journey) -> None:
    """Who enters a segment starts only what was watching before: that must not wait for the minute to be over."""
    if journey.is_active and journey.trigger_type == "segment":
        wake.look_after_commit()
