"""The one explicit table of triggers: what starts a journey, and the settings its detector has.

Events match on `condition` alone, those of `event` on their name too; the other settings steer only the detector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from journeys.actions.base import ConfigError, faults_of
from journeys.engine.trigger_configs import (
    ChurnConfig,
    DateConfig,
    EventConfig,
    ExpiringConfig,
    IdleConfig,
    ScheduleConfig,
    SegmentConfig,
    TriggerConfig,
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
        Trigger("segment", "Entered a segment", "A contact comes to be in a segment.", SegmentConfig, False),
        Trigger("schedule", "On a schedule", "For many at once, again and again.", ScheduleConfig, False),
        Trigger("date", "On a date of theirs", "A birthday, an anniversary, or days from a date.", DateConfig, False),
        Trigger("manual", "By hand", "For those whom somebody chooses, here or by the API.", is_reported=False),
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
