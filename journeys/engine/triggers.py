"""The one explicit table of triggers: what starts a journey, and the settings its detector has.

Events match on `condition` alone, those of `event` on their name too; the other settings steer only the detector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError

from journeys.actions.base import Condition, Config, ConfigError, faults_of

EventName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
AttributeName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f.]+$")]


class TriggerConfig(Config):
    """What every trigger has: an optional condition on the contact and the event."""

    condition: Condition = Field(default=None, title="Only if")


class IdleConfig(TriggerConfig):
    idle_days: int = Field(default=30, ge=1, le=3650, title="Idle for", description="Days without any event.")


class ExpiringConfig(TriggerConfig):
    days_before: int = Field(default=7, ge=0, le=3650, title="Days before", description="How long before the date.")
    date_attribute: AttributeName = Field(
        default="subscription_expires_at",
        title="Date attribute",
        description="The contact's attribute with the date.",
    )


class ChurnConfig(TriggerConfig):
    score_attribute: AttributeName = Field(
        default="churn_score", title="Score attribute", description="The contact's attribute with the score."
    )
    threshold: float = Field(
        default=0.8,
        allow_inf_nan=False,
        strict=False,
        title="Threshold",
        description="Found at this score or over it.",
    )


class EventConfig(TriggerConfig):
    event: EventName = Field(
        title="Event",
        description="Its name, as services report it: order_placed.",
        json_schema_extra={"widget": "event"},
    )


@dataclass(frozen=True, slots=True)
class Trigger:
    """`is_reported`: its kind is the name of an event that services report."""

    kind: str
    label: str
    description: str
    config_class: type[TriggerConfig] = TriggerConfig
    is_reported: bool = True


TRIGGERS: Mapping[str, Trigger] = {
    trigger.kind: trigger
    for trigger in (
        Trigger("signup", "Signed up", "A new account was made."),
        Trigger("first_approval", "First approval", "Something of theirs was approved for the first time."),
        Trigger("payment_success", "Payment succeeded", "A payment went through."),
        Trigger("payment_fail", "Payment failed", "A payment did not go through."),
        Trigger("churn_risk", "Churn risk", "A contact's churn score reaches the threshold.", ChurnConfig),
        Trigger("idle_user", "Idle", "A contact has done nothing for a while.", IdleConfig),
        Trigger("upgrade", "Upgraded", "They moved to a higher plan."),
        Trigger("downgrade", "Downgraded", "They moved to a lower plan."),
        Trigger("device_added", "Device added", "They added a device."),
        Trigger("subscription_expiring", "Subscription expiring", "A subscription ends soon.", ExpiringConfig),
        Trigger("event", "An event", "Something that your services report, by its name.", EventConfig, False),
    )
}
REPORTED = tuple(trigger.kind for trigger in TRIGGERS.values() if trigger.is_reported)


def parse_trigger(kind: str, raw: Mapping[str, Any]) -> TriggerConfig:
    """The typed config of a trigger. A bare condition in its place is taken as one, as in the seed.

    Raises ConfigError naming each field that is wrong, also for an unknown kind.
    """
    trigger = TRIGGERS.get(kind)
    if trigger is None:
        raise ConfigError({"": f"there is no trigger {kind!r}; there are {', '.join(TRIGGERS)}"})
    try:
        return trigger.config_class.model_validate(unwrap(raw))
    except ValidationError as error:
        raise ConfigError(faults_of(error)) from error


def unwrap(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The config with a bare condition put where conditions belong."""
    bare = {"field", "op"} <= raw.keys() or (len(raw) == 1 and raw.keys() <= {"all", "any", "not"})
    return {"condition": dict(raw)} if bare else dict(raw)


def started_by(kind: str, config: Mapping[str, Any]) -> str:
    """The name of the event that starts a journey of this trigger. `config` is valid."""
    return str(config["event"]) if kind == "event" else kind
