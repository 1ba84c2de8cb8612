"""What an action is: a kind, a typed config, and `prepare`. Those that leave the house also `send`.

`prepare` looks at the run's facts and answers with effects; it writes nothing. `send` talks to a provider; it touches
no database and has no transaction open.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, Protocol, Self, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from journeys.actions.sentences import sentence
from journeys.logic.conditions import Facts, validate
from journeys.logic.effects import Health, Outcome, Prepared, Send, Undelivered, Wait
from journeys.logic.flow import Lane

RECEIVED, TIMED_OUT = "received", "timed out"
"""The lanes of a step that waits for an event."""


class TransientError(Exception):
    """It may work later. `retry_after` is what the provider asked for, in seconds.

    `destination` says whether others will fare alike: `down` opens its circuit breaker when it happens again and
    again, `busy` keeps everybody away for `retry_after`; without one for a pause, and it counts as `down`.
    """

    def __init__(self, message: str, retry_after: float | None = None, destination: Health = "well") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.destination = destination


class PermanentError(Exception):
    """Trying again can't help."""


def undelivered(error: TransientError | PermanentError) -> Undelivered:
    """What a send came to that raised this."""
    if isinstance(error, TransientError):
        return Undelivered(str(error), False, error.retry_after, destination=error.destination)
    return Undelivered(str(error), permanent=True)


class SkipStep(Exception):
    """The step does not apply to this contact; the message is the reason that people read."""


class ConfigError(ValueError):
    """An action's config is wrong. `errors` maps a field's dotted path ("" for the whole) to what is wrong with it."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {fault}" if field else fault for field, fault in errors.items()))
        self.errors = dict(errors)


class Config(BaseModel):
    """The base of every action's config: frozen, strict, and closed to unknown fields.

    A field's `title` and `description` are what the builder shows; `json_schema_extra={"widget": …}` picks its widget:
    `textarea`, `template` (with `"channel"`), `liquid`, `pairs` (rows of name and value), `tag`; none is a plain input.
    `"last": True` puts it behind the others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MessageConfig(Config):
    """The base of the configs of what sends the contact a message."""

    transactional: bool = Field(
        default=False,
        title="Transactional",
        description="A receipt, a password: frequency caps don't hold it back, and it does not count for them.",
        json_schema_extra={"last": True},
    )
    when_capped: Literal["wait", "skip"] = Field(
        default="wait",
        title="When a frequency cap is reached",
        description="Wait until there is room again, or skip this step.",
        json_schema_extra={"last": True},
    )


def _valid(condition: dict[str, Any] | None) -> dict[str, Any] | None:
    validate(condition)  # Its error is a ValueError that says the path.
    return condition or None


Condition = Annotated[dict[str, Any] | None, AfterValidator(_valid)]
"""A condition in a config; an empty one is none."""
PRINTABLE = r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$"
EventName = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
"""The name of an event that something listens to."""


class ContactView(NamedTuple):
    """The contact as an action sees it."""

    id: UUID
    user_id: str
    email: str
    telegram_chat_id: str
    telegram_dead: bool
    timezone: str
    locale: str
    is_test: bool


@dataclass(frozen=True, slots=True)
class DeviceView:
    id: UUID
    kind: str
    token: str
    p256dh: str
    auth: str


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A message template's three Liquid sources; a channel uses those it has a place for."""

    subject: str
    html: str
    text: str


class TemplateSource(Protocol):
    """Where templates come from; the engine reads each at most once a batch."""

    def get(self, channel: str, name: str) -> TemplateText | None: ...


class StepContext(NamedTuple):
    """All that `prepare` may look at."""

    execution_id: UUID
    facts: Facts
    contact: ContactView
    devices: Sequence[DeviceView]
    journey_id: UUID
    journey_name: str
    run_id: UUID
    step_key: str
    step_name: str
    templates: TemplateSource
    now: datetime
    lanes: Sequence[Lane] = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One committed message on its way out. `id` is the execution's: the idempotency key of every try."""

    id: UUID
    channel: str
    to: str
    subject: str
    html: str
    text: str
    payload: Mapping[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, send: Send, key: UUID, now: datetime) -> Self:
        """What was rendered, under the key of its execution."""
        return cls(key, send.channel, send.to, send.subject, send.html, send.text, dict(send.payload), now)


C = TypeVar("C", bound=Config)


class Action(ABC, Generic[C]):
    """One kind of step."""

    kind: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    config_class: type[C]
    needs_devices: ClassVar[bool] = False
    needs_tags: ClassVar[bool] = False
    """Whether `prepare` looks at the contact's tags, as every template may."""
    lane_has: ClassVar[Literal["condition", "weight"] | None] = None
    """What each lane of a flow step has beside its name and its steps; None for a step without lanes."""
    least_lanes: ClassVar[int] = 0
    lane_names: ClassVar[tuple[str, ...]] = ()
    """The lanes of a flow step that has always the same ones."""

    def parse(self, raw: Mapping[str, Any]) -> C:
        """The typed config. Raises ConfigError naming each field that is wrong."""
        try:
            return self.config_class.model_validate(raw)
        except ValidationError as error:
            raise ConfigError(faults_of(error)) from error

    @abstractmethod
    def prepare(self, config: C, context: StepContext) -> Prepared:
        """What the step causes. Raises SkipStep, PermanentError or TransientError."""


class WaitingAction(Action[C]):
    """A flow step that a run stays at until an event comes or a time is over: it goes on into RECEIVED or TIMED_OUT."""

    lane_names = (RECEIVED, TIMED_OUT)

    @abstractmethod
    def wait(self, config: C) -> Wait:
        """What is waited for, by the config as it is now."""

    @abstractmethod
    def takes(self, config: C, facts: Facts) -> bool:
        """Whether the event that `facts` are about is the one."""

    def prepare(self, config: C, context: StepContext) -> Prepared:
        return Prepared()  # It is done when the wait is.


class OutsideAction(Action[C]):
    """An action whose effect leaves the system."""

    needs_tags = True
    channel: ClassVar[str]
    is_message: ClassVar[bool] = True
    """Whether it talks to the contact, and so keeps a journey's quiet hours."""
    concurrency: ClassVar[int] = 8
    """How many messages of this channel are sent at once by one worker."""

    def destination(self, message: Outgoing) -> str:
        """What fails or recovers as one, and has a circuit breaker: a host, say. Empty where there is no such thing."""
        return self.channel

    per: ClassVar[tuple[str, ...]] = ("destination",)
    """What can have a rate of its own in JOURNEYS["RATES"], beside the whole channel: `email:destination` is each."""

    def owner(self, per: str, message: Outgoing) -> str:
        """Which one of those the message is for; empty for none."""
        return self.destination(message)

    @property
    def rate_names(self) -> Mapping[str, str | None]:
        """The names that rates may have, with what each is `per`; None is the whole channel."""
        return {self.channel: None} | {f"{self.channel}:{per}": per for per in self.per}

    @abstractmethod
    def missing_setting(self) -> str | None:
        """The environment variable without which this channel can't send, or None when it is configured."""

    @abstractmethod
    def send(self, batch: Iterable[Outgoing]) -> Iterator[tuple[UUID, Outcome]]:
        """Try each message of the batch and yield its outcome as soon as it is known.

        Both ends are lazy: the caller draws outcomes, and the batch decides at each draw which message is next, or
        that none is. So take a message only when its outcome is drawn, and one at a time. An exception that is not of
        this module counts as transient for the message being sent.
        """


def faults_of(error: ValidationError) -> dict[str, str]:
    """Each wrong field's dotted path and its first fault."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in fault["loc"])
        faults.setdefault(path, sentence(fault))
    return faults
