"""What an action is: a kind, a typed config, and `prepare`. Those that leave the house also `send`.

`prepare` looks at the run's facts and answers with effects; it writes nothing. `send` talks to a provider; it touches
no database and has no transaction open.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from journeys.actions.sentences import sentence
from journeys.logic.conditions import Facts
from journeys.logic.effects import Outcome, Prepared, Send


class TransientError(Exception):
    """It may work later. `retry_after` is what the provider asked for, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(Exception):
    """Trying again can't help."""


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class ContactView:
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


@dataclass(frozen=True, slots=True)
class StepContext:
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

    def parse(self, raw: Mapping[str, Any]) -> C:
        """The typed config. Raises ConfigError naming each field that is wrong."""
        try:
            return self.config_class.model_validate(raw)
        except ValidationError as error:
            raise ConfigError(faults_of(error)) from error

    @abstractmethod
    def prepare(self, config: C, context: StepContext) -> Prepared:
        """What the step causes. Raises SkipStep, PermanentError or TransientError."""


class OutsideAction(Action[C]):
    """An action whose effect leaves the system."""

    channel: ClassVar[str]
    concurrency: ClassVar[int] = 8
    """How many batches of this channel are sent at once by one worker."""

    @abstractmethod
    def missing_setting(self) -> str | None:
        """The environment variable without which this channel can't send, or None when it is configured."""

    @abstractmethod
    def send(self, batch: Sequence[Outgoing]) -> Iterator[tuple[UUID, Outcome]]:
        """Try each message of the batch and yield its outcome as soon as it is known.

        The caller draws from the iterator, and before each draw makes sure that the lease still holds: so an
        implementation must start no send before it is drawn. An exception that is not of this module counts as
        transient for the message being sent, and ends the batch.
        """


def faults_of(error: ValidationError) -> dict[str, str]:
    """Each wrong field's dotted path and its first fault."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in fault["loc"])
        faults.setdefault(path, sentence(fault))
    return faults
