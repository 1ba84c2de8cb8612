"""What the two push services have in common: a note for a device, and that a device can be gone."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from journeys.actions.base import PermanentError

TTL_SECONDS: Final = 24 * 3600
"""How long a service keeps a note for a device that is off. What a journey says is stale after a day."""


class DeviceGone(PermanentError):
    """The push service said that this device will never take a note again."""


@dataclass(frozen=True, slots=True)
class Note:
    """A notification as rendered. A later note with the same `topic` replaces it, on the service and on the screen."""

    topic: str
    title: str
    body: str
    url: str
    icon: str


def topic_of(execution_id: UUID) -> str:
    """The execution's id in the 32 base64url characters that a Web Push topic may have (RFC 8030 §5.4)."""
    return execution_id.hex
