"""Every change of a segment, in one place. What a journey uses is not renamed or deleted under it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet, Value
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from journeys.actions.base import PRINTABLE
from journeys.authoring.faults import Fault, Faulty, condition_faults, faults_in
from journeys.authoring.publish import NameTaken
from journeys.logic import json_values
from journeys.logic.event_counts import validate_segment
from journeys.models import Journey, Segment
from journeys.models.ids import new_id
from journeys.models.sql_values import question

FIELDS = ("name", "description", "condition")
MAX_DEPTH = 50
"""Of a body: groups nest ten deep, each two levels of JSON, and so do those about the event of a count."""


class SegmentBody(BaseModel):
    """A segment as written."""

    model_config = ConfigDict(extra="forbid", strict=True, title="SegmentBody")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=PRINTABLE)] = Field(description="Unique.")
    description: str = Field(default="", max_length=10_000)
    condition: dict[str, Any] | None = Field(default=None, description="Who is in it; null is everybody.")


class SegmentTaken(NameTaken):
    """Another segment has this name."""

    def __init__(self, name: str) -> None:
        Exception.__init__(self, f"there is already a segment named {name!r}")
        self.name = name


class SegmentInUse(Exception):
    """Journeys name it."""

    def __init__(self, segment: Segment, journeys: list[str], may_not: str) -> None:
        used_by = ", ".join(repr(name) for name in journeys)
        super().__init__(f"the segment {segment.name!r} can't be {may_not}: it is used by {used_by}")


def parse_segment(body: Any) -> SegmentBody:
    """The segment in `body`, plain JSON. Raises Faulty with all its faults."""
    unstorable = [Fault(*fault) for fault in json_values.faults(body, max_depth=MAX_DEPTH)]
    if unstorable:
        raise Faulty(unstorable)
    try:
        written = SegmentBody.model_validate(body)
    except ValidationError as error:
        raise Faulty(faults_in(error)) from error
    if faults := list(condition_faults(written.condition, "condition", validate_segment)):
        raise Faulty(faults)
    return written


def create_segment(body: SegmentBody, now: datetime) -> Segment:
    """Raises SegmentTaken."""
    segment = Segment(id=new_id(now), created_at=now)
    _store(segment, body, now)
    return segment


@transaction.atomic
def change_segment(segment_id: UUID, changes: Mapping[str, Any], now: datetime) -> Segment:
    """Change what is named. Raises Segment.DoesNotExist, Faulty, SegmentTaken and SegmentInUse."""
    segment = _locked(segment_id)
    body = parse_segment({**{field: getattr(segment, field) for field in FIELDS}, **changes})
    if body.name.strip() != segment.name:
        _refuse_if_used(segment, "renamed")
    _store(segment, body, now)
    return segment


@transaction.atomic
def delete_segment(segment_id: UUID) -> None:
    """Raises Segment.DoesNotExist and SegmentInUse."""
    segment = _locked(segment_id)
    _refuse_if_used(segment, "deleted")
    segment.delete()


def journeys_using(name: str) -> QuerySet[Journey]:
    """Those whose trigger names the segment, or a condition of theirs."""
    in_conditions = f'$.** ? (@.field == "segments" && @.value == {json.dumps(name)})'
    found = question("jsonb_path_exists($1, $2::jsonpath)", F("live_version__definition"), Value(in_conditions))
    return Journey.objects.filter(Q(trigger_config__segment=name) | Q(found)).order_by("name")


def _locked(segment_id: UUID) -> Segment:
    # Publishing a journey locks the segments that it names against this: it is seen here, or sees what became of them.
    return Segment.objects.select_for_update().get(id=segment_id)


def _refuse_if_used(segment: Segment, may_not: str) -> None:
    if journeys := list(journeys_using(segment.name).values_list("name", flat=True)[:5]):
        raise SegmentInUse(segment, journeys, may_not)


def _store(segment: Segment, body: SegmentBody, now: datetime) -> None:
    segment.name, segment.description, segment.condition = body.name.strip(), body.description, body.condition or None
    segment.updated_at = now
    try:
        with transaction.atomic():
            segment.save()
    except IntegrityError as error:
        # The unique index is the judge; the look only tells whether it was the name that it refused.
        if Segment.objects.filter(name=segment.name).exclude(id=segment.id).exists():
            raise SegmentTaken(segment.name) from error
        raise
