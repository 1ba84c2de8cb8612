"""What is left behind after a run of the harness: the database's rows and the sinks' ledger, read once."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection

from tests.torture.ledger import Delivery


@dataclass(slots=True)
class Run:
    """A run as the database has it in the end. `lane` is what its split chose."""

    user_id: str
    status: str
    reason: str
    steps: dict[str, str] = field(default_factory=dict)
    lane: str = ""
    tags: frozenset[str] = frozenset()
    rewards: tuple[tuple[str, Decimal], ...] = ()
    count: int = 0
    """The contact's attribute of that name."""
    others: tuple[str, ...] = ()
    """The statuses of the runs that a step of it started. Their executions are among `steps`."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Whose message it is, and the status of its execution."""

    user_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Evidence:
    runs: dict[str, Run]
    """By `user_id`: everybody is in one journey, and in those that it starts."""
    counted: Counter[tuple[str, str]]
    """What metrics say: (step's name, or empty for runs; what)."""
    deliveries: dict[tuple[str, str], list[Delivery]]
    """By channel and key, in the order in which they came."""
    messages: dict[tuple[str, str], "Recorded"]
    """Each message that was committed, by channel and key."""
    idle: int
    """Active runs with neither a due time nor a parking place."""


def gather(ledger: Sequence[Delivery]) -> Evidence:
    deliveries: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
    for one in ledger:
        deliveries[one.channel, one.key].append(one)
    return Evidence(_runs(), _counted(), dict(deliveries), _messages(), _idle())


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def _runs() -> dict[str, Run]:
    rows = _rows(
        "SELECT c.user_id, r.status, r.failure_reason, r.event ->> 'name' = 'start_journey' "
        "FROM user_journeys r JOIN contacts c ON c.id = r.contact_id"
    )
    runs = {user_id: Run(user_id, status, reason) for user_id, status, reason, is_other in rows if not is_other}
    for user_id, status, _, is_other in rows:
        if is_other:
            runs[user_id].others += (status,)
    if len(runs) + sum(len(run.others) for run in runs.values()) < len(rows):
        raise AssertionError("somebody is in two runs")
    for user_id, name, status, chosen in _rows(
        "SELECT c.user_id, s.name, e.status, CASE WHEN s.action_type = 'ab_split' THEN e.result ->> 'lane' END "
        "FROM step_executions e JOIN journey_steps s ON s.id = e.step_id "
        "JOIN user_journeys r ON r.id = e.user_journey_id JOIN contacts c ON c.id = r.contact_id"
    ):
        run = runs[user_id]
        if name in run.steps:
            raise AssertionError(f"{user_id} has {name} twice")
        run.steps[name] = status
        run.lane = chosen or run.lane
    for user_id, tags in _rows(
        "SELECT c.user_id, array_agg(t.name) FROM contact_tags ct JOIN tags t ON t.id = ct.tag_id "
        "JOIN contacts c ON c.id = ct.contact_id GROUP BY 1"
    ):
        runs[user_id].tags = frozenset(tags)
    for user_id, kind, value in _rows(
        "SELECT c.user_id, w.reward_type, w.value FROM rewards w JOIN contacts c ON c.id = w.contact_id ORDER BY 1, 2"
    ):
        runs[user_id].rewards += ((kind, value),)
    for user_id, count in _rows("SELECT user_id, attributes ->> 'count' FROM contacts WHERE attributes ? 'count'"):
        runs[user_id].count = int(count)
    return runs


def _counted() -> Counter[tuple[str, str]]:
    """Tallies and totals together, as their readers add them."""
    rows = _rows(
        "SELECT coalesce(s.name, ''), counts.what, sum(counts.count) FROM (SELECT step_id, what, count FROM tallies "
        "UNION ALL SELECT step_id, what, count FROM tally_totals) AS counts "
        "LEFT JOIN journey_steps s ON s.id = counts.step_id GROUP BY 1, 2"
    )
    return Counter({(name, what): int(count) for name, what, count in rows})


def _messages() -> dict[tuple[str, str], Recorded]:
    rows = _rows(
        "SELECT m.channel, m.id, m.to, split_part(m.text, ' ', 1), c.user_id, e.status FROM messages m "
        "JOIN step_executions e ON e.id = m.id JOIN contacts c ON c.id = m.contact_id"
    )
    return {
        (channel, f"{to}:{word}" if channel == "telegram" else str(key)): Recorded(user_id, status)
        for channel, key, to, word, user_id, status in rows
    }


def _idle() -> int:
    ((idle,),) = _rows(
        "SELECT count(*) FROM user_journeys WHERE status = 'active' AND due_at IS NULL AND parked_due_at IS NULL"
    )
    return int(idle)
