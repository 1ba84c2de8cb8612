"""The engine's lifecycle: claim, dispatch, record, until nothing that was claimed has anything left to send."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from journeys.engine import wake
from journeys.engine.breakers import learn
from journeys.engine.claim import Claimed, claim, claim_one, claim_suspect
from journeys.engine.clock import Clock
from journeys.engine.decision import Decision
from journeys.engine.dispatch import Parcel, dispatch
from journeys.engine.lease import RUNS, Renewal, release
from journeys.engine.outage import persist
from journeys.engine.record import record
from journeys.engine.sql import query
from journeys.engine.stopping import is_stopping
from journeys.logic.effects import Outcome, StartJourney
from journeys.models import ExecutionStatus

SUSPECTS_EVERY = 8
"""So many batches there are to a look at the suspects: a backlog must not starve them, nor they the backlog."""
SUSPECTS_SHARE = 0.05
"""Of the time that those batches took: a journey whose every run is rejected must not slow the others by more."""
SUSPECTS_SECONDS = 0.25
"""For how long at most when nothing else is due, until it is looked whether something is."""


@dataclass(slots=True)
class Share:
    """Whether it is the suspects' turn, and for how many seconds. One can take long: that is made up for later."""

    batches: int = 0
    seconds: float = 0.0

    def earn(self, seconds: float) -> None:
        """A batch of others took so long."""
        self.batches += 1
        self.seconds += seconds * SUSPECTS_SHARE

    @property
    def is_due(self) -> bool:
        return self.batches >= SUSPECTS_EVERY and self.seconds > 0

    def spend(self, seconds: float) -> None:
        """The suspects had their turn. What they did not use is not saved."""
        self.batches, self.seconds = 0, min(0.0, self.seconds - seconds)


_share = Share()


@dataclass(slots=True)
class Report:
    """What a call did: runs looked at, and steps by how they ended."""

    runs: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    starts: bool = False
    """Whether a step started another journey."""

    @property
    def executed(self) -> int:
        return self.steps[ExecutionStatus.SUCCESS]

    @property
    def skipped(self) -> int:
        return self.steps[ExecutionStatus.SKIPPED]

    @property
    def failed(self) -> int:
        return self.steps[ExecutionStatus.FAILED]

    def note(self, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            self.steps.update(str(execution.status) for execution in decision.executions.values())
            self.starts |= any(isinstance(effect, StartJourney) for effect, _ in decision.effects)


def work(clock: Clock, limit: int, *, newest_first: bool = False) -> Report:
    """Take one batch of due runs as far as it goes. `report.runs` is 0 when nothing is due that can be had."""
    report = Report()
    if _share.is_due:
        began = time.monotonic()
        _work_suspects(clock, report, _share.seconds)
        _share.spend(time.monotonic() - began)
    began = time.monotonic()
    claimed = claim(clock(), limit, newest_first=newest_first)
    if claimed.decisions:
        _see_through(claimed, clock, report)
        _share.earn(time.monotonic() - began)
    elif not report.runs:
        _work_suspects(clock, report, SUSPECTS_SECONDS)
    return report


def _work_suspects(clock: Clock, report: Report, seconds: float) -> None:
    """Take runs that workers died with, or that broke a batch, one after the other, each alone, for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not is_stopping():
        claimed = claim_suspect(clock())
        if not claimed.decisions:
            break
        _see_through(claimed, clock, report)


def execute(run_id: UUID, clock: Clock) -> Report | None:
    """Take one run as far as it goes now; None when somebody else has it at this moment."""
    now = clock()
    claimed = claim_one(run_id, now)
    if not claimed.decisions and _is_held(run_id, now):
        return None
    report = Report()
    _see_through(claimed, clock, report)
    if report.starts:
        wake.after_commit()
    return report


def _is_held(run_id: UUID, now: object) -> bool:
    """Whether the run is due, and yet could not be had."""
    statement = "SELECT 1 FROM user_journeys WHERE id = %s AND status = 'active' AND due_at <= %s"
    return bool(query(statement, [run_id, now]))


def _see_through(claimed: Claimed, clock: Clock, report: Report) -> None:
    report.runs += len(claimed.decisions)
    report.note(claimed.decisions)
    waiting = [decision for decision, _ in claimed.sends]
    renewal = Renewal(RUNS, claimed.lease, {decision.run.id for decision in waiting})
    while waiting:
        waiting = _round(waiting, renewal, clock, report)
        if not renewal.may_send:
            _let_go(waiting, renewal)
            break


def _round(waiting: list[Decision], renewal: Renewal, clock: Clock, report: Report) -> list[Decision]:
    """Send what waits, record it, and return what is to be sent next, under the same lease."""
    sent = {decision.send.id: decision for decision in waiting if decision.send is not None}
    parcels = [Parcel(d.send, d.run.person.view.is_test, d.wait) for d in sent.values() if d.send is not None]
    following: list[Decision] = []
    unsent = dict(sent)
    for lot in dispatch(parcels, renewal):
        recorded = _record(dict(lot), sent, renewal, clock)
        report.note(recorded)
        going_on = [decision for decision in recorded if decision.send is not None]
        renewal.ids -= {unsent.pop(key).run.id for key, _ in lot}
        renewal.ids |= {decision.run.id for decision in going_on}
        following += going_on
    _let_go(unsent.values(), renewal)
    return following


def _record(
    outcomes: dict[UUID, Outcome], sent: dict[UUID, Decision], renewal: Renewal, clock: Clock
) -> Sequence[Decision]:
    """Record what was sent, also when the database is away for a while; meanwhile nothing more is sent."""

    def attempt() -> tuple[Sequence[Decision], datetime]:
        now = clock()
        return record(outcomes, sent, renewal.lease.token, now), now

    recorded, now = persist(attempt, renewal.give_up)
    messages = {key: send for key in outcomes if (send := sent[key].send) is not None}
    persist(lambda: learn(outcomes, messages, now), renewal.give_up)
    return recorded


def _let_go(unsent: Iterable[Decision], renewal: Renewal) -> None:
    ids = {decision.run.id for decision in unsent}
    if ids:
        persist(lambda: release(RUNS, ids, renewal.lease.token))
        renewal.ids -= ids
