"""The closed set of what a step can cause, as values.

Inside effects are written in the claiming transaction, exactly once. A `Send` leaves the system: it is rendered
and committed before the first try, and every repeat carries the same key and the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ApplyTag:
    tag: str


@dataclass(frozen=True, slots=True)
class RemoveTag:
    tag: str


@dataclass(frozen=True, slots=True)
class GrantReward:
    reward_type: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class ChangeAttribute:
    """Sets an attribute of the contact to `value`, increments it by `value`, or removes it."""

    name: str
    op: Literal["set", "increment", "unset"]
    value: Any = None


@dataclass(frozen=True, slots=True)
class StartJourney:
    """The contact enters that journey, with this metadata."""

    journey_id: UUID
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ScheduleNext:
    """Replaces the following step's delay: minutes from now, or the next `at` on one of `days` (0 = Monday)."""

    delay_minutes: int | None = None
    at: time | None = None
    days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class EnterLane:
    """The run goes on in this lane of the flow step; with None, behind it."""

    lane: str | None


@dataclass(frozen=True, slots=True)
class ExitRun:
    """The run ends here, as exited."""

    reason: str


@dataclass(frozen=True, slots=True)
class DropDevice:
    """A push service said that this device is gone."""

    device_id: UUID


@dataclass(frozen=True, slots=True)
class MarkChatDead:
    """Telegram said that this chat can't be written to: the bot is blocked or the chat unknown."""

    chat_id: str


@dataclass(frozen=True, slots=True)
class Send:
    """One message or webhook as rendered. `payload` is what only its channel understands, as JSON."""

    channel: str
    to: str
    subject: str = ""
    html: str = ""
    text: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


Direction = ScheduleNext | EnterLane | ExitRun
"""Where the run goes next, and when."""
InsideEffect = (
    ApplyTag | RemoveTag | GrantReward | ChangeAttribute | StartJourney | DropDevice | MarkChatDead | Direction
)
Effect = InsideEffect | Send


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one step causes. With `send`, the step is done when the send is; otherwise at once with `result`."""

    effects: tuple[InsideEffect, ...] = ()
    send: Send | None = None
    result: Mapping[str, Any] = field(default_factory=dict)


# What a send came to. `effects` follow from the provider's answer, and are written when it is recorded.


@dataclass(frozen=True, slots=True)
class Delivered:
    """A provider took it. `captured` says that nothing left the house: no provider, or a test contact."""

    result: Mapping[str, Any] = field(default_factory=dict)
    effects: tuple[InsideEffect, ...] = ()
    captured: bool = False


Health = Literal["well", "busy", "down"]
"""What an outcome says of the destination: it answered; it wants nothing for a while; it can't take anything."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """It was tried and did not go. `permanent` means that trying again can't help; `retry_after` is in seconds."""

    error: str
    permanent: bool
    retry_after: float | None = None
    effects: tuple[InsideEffect, ...] = ()
    destination: Health = "well"


Outcome = Delivered | Undelivered


@dataclass(frozen=True, slots=True)
class Wait:
    """What a waiting step waits for: an event of that name, and for how long.

    `from_start` says that those count, too, that came since the run began.
    """

    event: str
    timeout_minutes: int
    from_start: bool
