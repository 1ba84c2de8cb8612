"""The one explicit table of actions. A new action is one module, one line here, one test module, one row in
docs/adding-an-action.md."""

from collections.abc import Mapping
from typing import Any

from journeys.actions.base import Action, Config, ConfigError, OutsideAction
from journeys.actions.contact import UpdateContact
from journeys.actions.email import SendEmail
from journeys.actions.flow_steps import AbSplit, Branch, ExitJourney
from journeys.actions.push import SendPush
from journeys.actions.rewards import GrantReward
from journeys.actions.scheduling import ScheduleNextStep
from journeys.actions.starting import StartJourney
from journeys.actions.tags import ApplyTag, RemoveTag
from journeys.actions.telegram import SendTelegram
from journeys.actions.waiting import WaitForEvent
from journeys.actions.webhook import TriggerWebhook

ACTIONS: Mapping[str, Action[Any]] = {
    action.kind: action
    for action in (
        SendEmail(),
        SendTelegram(),
        SendPush(),
        ApplyTag(),
        RemoveTag(),
        GrantReward(),
        UpdateContact(),
        StartJourney(),
        TriggerWebhook(),
        ScheduleNextStep(),
        Branch(),
        AbSplit(),
        WaitForEvent(),
        ExitJourney(),
    )
}

CHANNELS: Mapping[str, OutsideAction[Any]] = {
    action.channel: action for action in ACTIONS.values() if isinstance(action, OutsideAction)
}


def is_message(kind: str) -> bool:
    """Whether an action of that kind talks to the contact."""
    action = ACTIONS.get(kind)
    return isinstance(action, OutsideAction) and action.is_message


def parse_config(kind: str, raw: Mapping[str, Any]) -> Config:
    """The typed config of an action of that kind. Raises ConfigError, also for an unknown kind."""
    action = ACTIONS.get(kind)
    if action is None:
        raise ConfigError({"": f"there is no action {kind!r}; there are {', '.join(ACTIONS)}"})
    config: Config = action.parse(raw)
    return config
