"""Whether a run that waits for an event has got it, by what came since it was last looked at."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from journeys.actions.base import WaitingAction
from journeys.engine.decision import HEARD_AT_ONCE, Awaited, Heard, Run

TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not yet: it goes on waiting, and is looked at again at `due_at`, or when an event of that name comes."""

    awaited: Awaited
    due_at: datetime


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time is over, and no such event came within it."""


Verdict = Heard | Waiting | TimedOut
"""The event, or that it goes on waiting, or not."""


def begin(action: WaitingAction[Any], config: Any, since: datetime, now: datetime) -> Waiting:
    """Start to wait. With `from_start`, what came `since` then is looked at by the next claim, at once."""
    wait = action.wait(config)
    if wait.from_start:
        return Waiting(Awaited(wait.event, since), now)
    return Waiting(Awaited(wait.event, now), now + timedelta(minutes=wait.timeout_minutes))


def listen(run: Run, action: WaitingAction[Any], config: Any, began_at: datetime, now: datetime) -> Verdict:
    """Look at what came, in order. An event counts that was received before the time was over, however late it is."""
    wait, awaited = action.wait(config), run.awaited
    until = began_at + timedelta(minutes=wait.timeout_minutes)
    if awaited is None or awaited.event != wait.event:  # Edited: the new name counts from now on.
        return Waiting(Awaited(wait.event, now), until)
    for heard in run.heard:
        if heard.received_at > until:
            return TimedOut()
        started_the_run = heard.message_id == run.event.get("message_id")
        if not started_the_run and action.takes(config, run.facts_of(heard, now)):
            return heard
        awaited = Awaited(wait.event, heard.received_at + TICK)
    if len(run.heard) >= HEARD_AT_ONCE:  # There may be more.
        return Waiting(awaited, now)
    return Waiting(awaited, until) if now < until else TimedOut()
