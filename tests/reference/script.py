"""What can happen in a world, as values: who is there at the beginning, and what comes one after the other.

A world prints as Python that makes it again, so a failing one can be read, and kept as a test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

Document = Mapping[str, Any]
"""A journey or a step, as the API's body has it."""
Answer = Literal["taken", "later", "asks", "never", "gone"]
"""A provider's: it takes the message; fails for now; fails and asks for time; refuses; says that the chat is gone."""

ASKED = timedelta(minutes=30)
"""What a provider that answers `asks` wants us to wait."""
MAX_TRIES = 3
DIES_AT = ("claim", "claimed", "sent", "record")
"""Where a worker can die: before the claim commits; after; with all sent; before the outcomes commit."""


NO_RULES: Mapping[str, Any] = {
    "reentry": "once", "reentry_days": None, "exit_condition": None, "exit_on": [], "goal": None, "holdout_percent": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Happens:
    """An event of `user` comes in, alone."""

    user: str
    event: str = "signup"
    properties: Mapping[str, Any] = field(default_factory=dict)
    message_id: str | None = None


@dataclass(frozen=True)
class Together:
    """Several events come in as one batch."""

    events: tuple[Happens, ...]


SEGMENTS: Mapping[str, Document] = {
    "vips": {"field": "plan", "op": "eq", "value": "vip"},
    "clickers": {"did": "click", "op": "gte", "value": 2, "within_days": 1},
}
"""What segments there are in every world."""


@dataclass(frozen=True)
class Looked:
    """The look of every minute at segments, schedules and dates, and all whom it finds are taken in."""


@dataclass(frozen=True)
class ByHand:
    """Somebody starts a journey for these."""

    journey: str
    users: tuple[str, ...]


@dataclass(frozen=True)
class Edited:
    """A journey has other steps from now on, and perhaps other settings."""

    journey: str
    steps: tuple[Document, ...]
    settings: Document = field(default_factory=dict)


@dataclass(frozen=True)
class Ruled:
    """A journey has other rules of who enters and who leaves; NO_RULES stand where these say nothing."""

    journey: str
    rules: Mapping[str, Any]


@dataclass(frozen=True)
class Switched:
    journey: str
    on: bool


@dataclass(frozen=True)
class Removed:
    """A journey is deleted."""

    journey: str


@dataclass(frozen=True)
class Changed:
    """A contact is made or changed from outside; attributes are in `attributes`."""

    user: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Forgotten:
    """A contact is deleted."""

    user: str


@dataclass(frozen=True)
class Tidied:
    """The job of every minute runs."""


Cap = tuple[str, int, int]
"""The channel, or empty for all; how many messages at most; in how many hours."""


@dataclass(frozen=True)
class Capped:
    """These are the frequency caps from now on."""

    caps: tuple[Cap, ...]


@dataclass(frozen=True)
class Passes:
    """The clock goes on; without `minutes`, to the very moment when something is due next."""

    minutes: int | None = None


@dataclass(frozen=True)
class Works:
    """Workers do all that is due, `limit` runs at once.

    `dies` says at which stage, of which round of sends, every one of them dies. `meanwhile` comes while the first
    messages are on their way.
    """

    limit: int = 500
    dies: tuple[str, int] | None = None
    meanwhile: tuple["Move", ...] = ()


Called = Looked | ByHand | Capped
Move = Happens | Together | Edited | Ruled | Switched | Removed | Changed | Forgotten | Tidied | Passes | Works | Called


@dataclass(frozen=True)
class World:
    """`people` are contacts by `user_id`; `troubles` what a provider answers to a step's messages until when (minutes
    from the start), or how a reward fails; then all goes well; `minutes_to_send` what a round of sends takes."""

    start: datetime
    people: Mapping[str, Mapping[str, Any]]
    journeys: tuple[Document, ...]
    moves: tuple[Move, ...]
    troubles: Mapping[str, tuple[Answer, int]] = field(default_factory=dict)
    minutes_to_send: int = 0

    def answer(self, text: str, at: datetime) -> Answer:
        """What the provider says at `at` to a message; its text begins with journey/step/."""
        return self.trouble("".join(text.split("/")[1:2]), at)

    def trouble(self, step: str, at: datetime) -> Answer:
        answer, until = self.troubles.get(step, ("taken", 0))
        return answer if at < self.start + timedelta(minutes=until) else "taken"

    def retry_after(self, tries: int, answer: Answer) -> timedelta | None:
        """When to try again after so many tries, if at all: the policy with a chance of one half each time."""
        if tries >= MAX_TRIES:
            return None
        wait = timedelta(minutes=2) * 2 ** (tries - 1) / 2
        return max(wait, ASKED * 1.05) if answer == "asks" else wait
