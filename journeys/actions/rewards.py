"""grant_reward: one entry in the ledger, never more than one for a step of a run."""

import re
from decimal import Decimal
from typing import Any

from pydantic import Field, field_validator

from journeys.actions.base import Action, Config, StepContext
from journeys.actions.tags import TagName
from journeys.logic import effects
from journeys.logic.effects import Prepared

# What the ledger's column holds: numeric(18, 4).
WHOLE_DIGITS, PLACES = 14, 4

_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)


class RewardConfig(Config):
    reward_type: TagName = Field(title="Reward", description="What is granted, such as points or credit.")
    value: Decimal = Field(title="Value", description="How much: a positive number with up to four decimal places.")

    @field_validator("value", mode="before")
    @classmethod
    def _value(cls, value: Any) -> Decimal:
        number = _decimal(value)
        if number <= 0:
            raise ValueError("must be greater than 0")
        if number >= 10**WHOLE_DIGITS:
            raise ValueError(f"must have at most {WHOLE_DIGITS} digits before the decimal point")
        if number != (rounded := round(number, PLACES)):
            raise ValueError(f"must have at most {PLACES} decimal places")
        return rounded.normalize()


def _decimal(value: Any) -> Decimal:
    # A JSON number comes as a float; its shortest text is what was written. `true` is no number.
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = Decimal(str(value))
        if number.is_finite():
            return number
    if isinstance(value, str) and len(value) <= 40 and _DECIMAL.fullmatch(value.strip()):
        return Decimal(value.strip())
    raise ValueError("must be a number, such as 10 or 2.50")


class GrantReward(Action[RewardConfig]):
    kind = "grant_reward"
    label = "Grant a reward"
    description = "Adds to the contact's balance of points, credit or whatever you reward with."
    config_class = RewardConfig

    def prepare(self, config: RewardConfig, context: StepContext) -> Prepared:
        return Prepared(
            (effects.GrantReward(config.reward_type, config.value),),
            result={"status": "granted", "reward_type": config.reward_type, "value": f"{config.value:f}"},
        )
