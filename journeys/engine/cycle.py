"""The engine's lifecycle: claim, dispatch, record, until nothing that was claimed has anything left to send."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from journeys.engine.breakers import learn
from journeys.engine.claim import Claimed, claim, claim_one, claim_suspect
from journeys.engine.clock import Clock
from journeys.engine.decision import Decision
from journeys.engine.dispatch import Parcel, dispatch
from journeys.engine.lease import Lease
from journeys.engine.record import record, release
from journeys.engine.sql import query
from journeys.models import ExecutionStatus

PATIENCE_SECONDS = 40
"""After so long what a batch has to send next is left to the next claim: django-q kills a task that takes too long."""


@dataclass(slots=True)
class Report:
    """What a call did: runs looked at, and steps by how they ended."""

    runs: int = 0
    steps: Counter[str] = field(default_factory=Counter)

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


def work(clock: Clock, limit: int, *, newest_first: bool = False) -> Report:
    """Take one batch of due runs as far as it goes. `report.runs` is 0 when nothing is due that can be had."""
    claimed = claim(clock(), limit, newest_first=newest_first)
    if not claimed.decisions:
        claimed = claim_suspect(clock())
    return _see_through(claimed, clock)


def execute(run_id: UUID, clock: Clock) -> Report | None:
    """Take one run as far as it goes now; None when somebody else has it at this moment."""
    now = clock()
    claimed = claim_one(run_id, now)
    if not claimed.decisions and _is_held(run_id, now):
        return None
    return _see_through(claimed, clock)


def _is_held(run_id: UUID, now: object) -> bool:
    """Whether the run is due, and yet could not be had."""
    statement = "SELECT 1 FROM user_journeys WHERE id = %s AND status = 'active' AND due_at <= %s"
    return bool(query(statement, [run_id, now]))


def _see_through(claimed: Claimed, clock: Clock) -> Report:
    report = Report(runs=len(claimed.decisions))
    report.note(claimed.decisions)
    waiting = [(claimed.lease, decision) for decision, _ in claimed.sends]
    until = time.monotonic() + PATIENCE_SECONDS
    while waiting:
        waiting = _round(waiting, clock, report)
        if time.monotonic() >= until:
            release([decision.run.id for _, decision in waiting], claimed.lease.token)
            break
    return report


def _round(waiting: list[tuple[Lease, Decision]], clock: Clock, report: Report) -> list[tuple[Lease, Decision]]:
    """Send what waits under the oldest of its leases, record it, and return what is to be sent next."""
    lease = min((lease for lease, _ in waiting), key=lambda lease: lease.sends_until)
    sent = {decision.send.id: decision for _, decision in waiting if decision.send is not None}
    parcels = [Parcel(d.send, d.run.person.view.is_test, d.wait) for d in sent.values() if d.send is not None]
    messages = {parcel.message.id: parcel.message for parcel in parcels}
    following: list[tuple[Lease, Decision]] = []
    unsent = set(sent)
    for lot in dispatch(parcels, lease):
        unsent -= {key for key, _ in lot}
        outcomes, now = dict(lot), clock()
        recorded = record(outcomes, sent, lease.token, now)
        learn(outcomes, messages, now)
        report.note(recorded.decisions)
        following += [(recorded.lease, decision) for decision, _ in recorded.sends]
    if unsent:
        release([sent[key].run.id for key in unsent], lease.token)
    return following
