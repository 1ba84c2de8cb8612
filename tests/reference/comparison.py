"""The engine's tables and the reference, each as the same plain values, and where they differ."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from journeys.engine.sql import query
from tests.reference.engine import Engine
from tests.reference.interpreter import Reference
from tests.reference.state import Name, Run

State = dict[str, dict[Any, Any]]
"""What there is, in parts; in each part a value by what it is known by. Ledgers count equal rows."""

RUNS = """
SELECT c.user_id, j.name, r.status, s.key, r.due_at, r.parked_due_at, r.previous_ended_at, r.started_at,
       COALESCE(r.completed_at, r.failed_at, r.exited_at), r.exit_reason, r.goal_at, r.awaits_event,
       r.listens_from, r.capped_until, r.step_due_at, r.attempts, r.deaths,
       r.claim_token IS NOT NULL, r.leaves
FROM user_journeys r JOIN contacts c ON c.id = r.contact_id JOIN journeys j ON j.id = r.journey_id
LEFT JOIN journey_steps s ON s.id = r.current_step_id"""
EXECUTIONS = """
SELECT c.user_id, j.name, r.started_at, s.key, e.status, e.executed_at, e.completed_at, e.retry_count,
       COALESCE(e.result->>'lane', e.result->>'reason', ''), e.dead_at IS NOT NULL
FROM step_executions e JOIN user_journeys r ON r.id = e.user_journey_id JOIN contacts c ON c.id = r.contact_id
JOIN journeys j ON j.id = r.journey_id JOIN journey_steps s ON s.id = e.step_id"""
TAGS = """
SELECT c.user_id, t.name FROM contact_tags x JOIN contacts c ON c.id = x.contact_id JOIN tags t ON t.id = x.tag_id"""
CONTACTS = """
SELECT user_id, telegram_chat_id, timezone, attributes->>'plan', (attributes->>'points')::int,
       telegram_dead_at IS NOT NULL
FROM contacts"""
REWARDS = "SELECT c.user_id, w.value::int, w.granted_at FROM rewards w JOIN contacts c ON c.id = w.contact_id"
MESSAGES = """
SELECT c.user_id, m."to", COALESCE(m.payload->>'body', m.text), m.status, m.created_at, m.sent_at
FROM messages m JOIN contacts c ON c.id = m.contact_id"""
COUNTS = """
SELECT j.name, COALESCE(s.key, ''), what, sum(count)::int
FROM (SELECT journey_id, step_id, what, count FROM tallies UNION ALL
      SELECT journey_id, step_id, what, count FROM tally_totals) AS t
JOIN journeys j ON j.id = t.journey_id LEFT JOIN journey_steps s ON s.id = t.step_id GROUP BY 1, 2, 3"""


def of_engine(engine: Engine) -> State:
    messages = [(user, to, engine.text_of(text), *rest) for user, to, text, *rest in query(MESSAGES)]
    return {
        "run": _numbered(((user, journey), _of_run(*rest)) for user, journey, *rest in query(RUNS)),
        "execution": Counter(query(EXECUTIONS)),
        "contact": {user: tuple(rest) for user, *rest in query(CONTACTS)},
        "tag": dict.fromkeys(query(TAGS), True),
        "reward": Counter(query(REWARDS)),
        "message": Counter(messages),
        "count": {(journey, step, what): count for journey, step, what, count in query(COUNTS)},
        "send": Counter(engine.sends),
        "answer": dict(enumerate(engine.answers)),
        "clock": {"now": engine.now},
    }


def _numbered(runs: Iterable[tuple[Name, tuple[Any, ...]]]) -> dict[tuple[str, str, int], tuple[Any, ...]]:
    """All runs, several of one contact in one journey in an order that only looks at what they are."""
    count: Counter[Name] = Counter()
    numbered = {}
    for name, run in sorted(runs, key=str):
        count[name] += 1
        numbered[*name, count[name]] = run
    return numbered


def _of_run(status: str, *values: Any) -> tuple[Any, ...]:
    """Where a run is; what only those that go on have, for those."""
    return (status, *(values if status == "active" else values[:-5]))


def of_reference(reference: Reference) -> State:
    runs = [*reference.over, *reference.runs.values()]
    return {
        "run": _numbered((run.name, _run(run)) for run in runs),
        "execution": Counter(
            (*run.name, run.started_at, key, it.status, it.at, it.at if it.status != "pending" else None, it.tries,
             it.note, it.status == "failed")
            for run in runs for key, it in run.executions.items()
        ),
        "contact": {
            user: (it.columns["telegram_chat_id"], it.columns["timezone"], _text(it.attributes.get("plan")),
                   it.attributes.get("points"), it.chat_is_dead)
            for user, it in reference.contacts.items()
        },
        "tag": {(user, tag): True for user, contact in reference.contacts.items() for tag in contact.tags},
        "reward": Counter(reference.rewards),
        "message": Counter((user, m.to, m.text, m.status, m.created_at, m.sent_at) for user, m in reference.messages),
        "count": dict(reference.counts),
        "send": Counter(reference.sends),
        "answer": dict(enumerate(reference.answers)),
        "clock": {"now": reference.now},
    }  # fmt: skip


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _run(run: Run) -> tuple[Any, ...]:
    return _of_run(
        run.status, run.at, run.due, run.parked, run.previous_ended_at, run.started_at, run.ended_at, run.why,
        run.goal_at, *(run.listens or (None, None)), run.capped, run.meant_for, run.tries, run.deaths,
        run.taken or run.put_off, run.leaves,
    )  # fmt: skip


def differences(engine: State, reference: State) -> list[str]:
    """Where the two disagree, a line each."""
    return [
        f"{part} {_shown(key)}: the engine has {_shown(engine[part].get(key))}, the reference {_shown(other)}"
        for part in reference
        if engine[part] != reference[part]
        for key in sorted({*engine[part], *reference[part]}, key=str)
        if engine[part].get(key) != (other := reference[part].get(key))
    ]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(part) for part in value) + ")"
    return f"{value:%m-%d %H:%M:%S}" if hasattr(value, "hour") else repr(value)


def unconserved(engine: State) -> list[str]:
    """What is lost: journeys that more, or fewer, entered than are somewhere; active runs that nothing will wake."""
    entered: Counter[str] = Counter()
    somewhere: Counter[str] = Counter()
    for (journey, step, what), count in engine["count"].items():
        if not step and what in ("started", "completed", "failed", "exited"):
            (entered if what == "started" else somewhere)[journey] += count
    inside = {name: run for name, run in engine["run"].items() if run[0] in ("active", "paused")}
    somewhere.update(journey for _, journey, *_ in inside)
    return [
        *(f"of {entered[it]} who entered {it}, {somewhere[it]} are somewhere" for it in entered | somewhere
          if entered[it] != somewhere[it]),
        *(f"nothing will wake {name}" for name, (_, _, due, parked, *_) in inside.items() if not due and not parked),
    ]  # fmt: skip
