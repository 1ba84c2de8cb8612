"""System checks. Tagged `channels`: whether the live journeys can send by the channels that they use."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import ProgrammingError

from journeys.actions.base import OutsideAction
from journeys.actions.registry import ACTIONS, CHANNELS
from journeys.logic.limits import parse_rate
from journeys.models import JourneyStep


def unconfigured_channels() -> list[tuple[str, str, list[str]]]:
    """Each channel that live journeys use and that can't send: its name, the missing variable, the journeys' names."""
    found = []
    for kind, action in ACTIONS.items():
        missing = action.missing_setting() if isinstance(action, OutsideAction) else None
        if missing is not None:
            steps = JourneyStep.objects.filter(
                action_type=kind, is_active=True, archived_at=None, journey__is_active=True
            )
            names = list(steps.order_by("journey__name").values_list("journey__name", flat=True).distinct())
            if names:
                found.append((kind, missing, names))
    return found


@register("channels")
def check_channels(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """journeys.W001: a live journey uses a channel that is not configured. Looks only when a database may be asked."""
    if not databases:
        return []
    try:
        unconfigured = unconfigured_channels()
    except ProgrammingError:  # `migrate` checks before it makes the tables: no journey is live yet.
        return []
    consequence = "what it sends is captured, because DEBUG is on" if settings.DEBUG else "its steps will fail"
    return [
        Warning(
            f"{missing} is not set, but {kind} is used by {', '.join(names)}: {consequence}",
            hint=f"Set {missing}, or switch those steps off.",
            id="journeys.W001",
        )
        for kind, missing, names in unconfigured
    ]


@register()
def check_rates(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """journeys.E001: JOURNEYS["RATES"] has a name that limits nothing, or what is no rate."""
    known = [name for action in CHANNELS.values() for name in action.rate_names]
    faults = []
    for name, rate in settings.JOURNEYS["RATES"].items():
        if name not in known:
            faults.append(f"there is nothing called {name!r} to limit; there are {', '.join(known)}")
            continue
        try:
            parse_rate(rate)
        except (ValueError, TypeError) as error:
            faults.append(f"{name}: {error}")
    return [Error(f"RATES: {fault}", id="journeys.E001") for fault in faults]
