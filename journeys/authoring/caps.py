"""Every change of a frequency cap, in one place. Those who wait for one are looked at again after each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from journeys.engine import wake
from journeys.engine.caps import look_again, note_change
from journeys.models import FrequencyCap
from journeys.models.ids import new_id


@dataclass(frozen=True, slots=True)
class CapDocument:
    """A valid cap. `channel` is empty for all of them together."""

    channel: str
    at_most: int
    period_hours: int


class CapTaken(Exception):
    """There is a cap of this channel for this period."""

    def __init__(self) -> None:
        super().__init__("there is already a cap of this channel for this period")


def create_cap(document: CapDocument, now: datetime) -> FrequencyCap:
    """Make a cap: it holds for all that is not committed yet. Raises CapTaken."""
    return _store(FrequencyCap(id=new_id(now), created_at=now), document, now)


def save_cap(cap_id: UUID, document: CapDocument, now: datetime) -> FrequencyCap:
    """Change a cap. Raises FrequencyCap.DoesNotExist and CapTaken."""
    return _store(FrequencyCap.objects.get(id=cap_id), document, now)


def delete_cap(cap_id: UUID, now: datetime) -> bool:
    """Remove a cap; False where there is none."""
    deleted, _ = FrequencyCap.objects.filter(id=cap_id).delete()
    _look_again(now)
    return bool(deleted)


def _store(cap: FrequencyCap, document: CapDocument, now: datetime) -> FrequencyCap:
    cap.channel, cap.at_most, cap.period_hours = document.channel, document.at_most, document.period_hours
    cap.updated_at = now
    try:
        with transaction.atomic():
            cap.save()
    except IntegrityError as error:
        raise CapTaken from error
    _look_again(now)
    return cap


def _look_again(now: datetime) -> None:
    note_change(now)
    if look_again(now):
        wake.after_commit()
