"""Attributes that journeys change: exactly once, seen by what comes behind, and nothing lost between two who do it."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, connections
from django.test.utils import CaptureQueriesContext

from journeys.engine import apart
from journeys.engine import claim as claiming
from journeys.engine.claim import claim
from journeys.engine.contacts import upsert_contact
from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, StepExecution, UserJourney
from tests.engine.test_cycle import NOW, start, statuses, tag, tags_of, work_at
from tests.factories import make_contact, make_journey

pytestmark = pytest.mark.django_db


def change(op: str, attribute: str, *value: object) -> dict[str, object]:
    return {"op": op, "attribute": attribute, **({"value": value[0]} if value else {})}


def update(name: str, *changes: dict[str, object], **more: object) -> dict[str, object]:
    return {"name": name, "action_type": "update_contact", "action_config": {"changes": list(changes)}, **more}


PLUS = change("increment", "points", 1)


def attributes(user_id: str = "u1") -> dict[str, object]:
    found: dict[str, object] = Contact.objects.get(user_id=user_id).attributes
    return found


def test_attributes_are_set_incremented_and_removed():
    make_contact("u1", attributes={"plan": "free", "trial": True, "other": [1]})
    make_journey("J", [update("U", change("set", "plan", "vip"), PLUS, change("unset", "trial"))], now=NOW)
    start()
    work_at(NOW)
    assert attributes() == {"plan": "vip", "points": 1, "other": [1]}
    assert Contact.objects.get().updated_at == NOW
    assert StepExecution.objects.get().result == {"status": "updated", "attributes": ["plan", "points", "trial"]}


def test_later_steps_of_the_run_see_the_change():
    steps = [
        update("First", PLUS, change("set", "plan", "{{ event.plan }}")),
        update("Again", PLUS, change("set", "said", "{{ user.points }} {{ plan }}")),
        tag("vip", condition={"field": "user.plan", "op": "eq", "value": "gold"}),
    ]
    make_journey("J", steps, now=NOW)
    start(plan="gold")
    work_at(NOW)
    assert attributes() == {"plan": "gold", "points": 2, "said": "1 gold"}
    assert tags_of() == {"vip"}


def test_two_runs_of_one_contact_in_one_batch_lose_nothing():
    for number in range(3):
        make_journey(f"J{number}", [update("U", PLUS, change("set", f"in{number}", True))], now=NOW)
    ingest([Incoming("u1", "signup"), Incoming("u2", "signup")], NOW)
    assert len(claim(NOW, 10).decisions) == 6
    for user in ("u1", "u2"):
        assert attributes(user) == {"points": 3, "in0": True, "in1": True, "in2": True}


def test_a_batch_is_merged_into_one_update():
    for number in range(4):
        make_journey(f"J{number}", [update("U", PLUS), update("V", PLUS)], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(5)], NOW)
    with CaptureQueriesContext(connection) as queries:
        work_at(NOW)
    assert sum("UPDATE contacts SET" in query["sql"] for query in queries) == 1
    assert attributes("u3") == {"points": 8}


def test_what_is_no_number_fails_for_good_and_changes_nothing():
    make_contact("u1", attributes={"points": "many"})
    run = start_with(update("U", change("set", "plan", "vip"), PLUS), tag("after"))
    work_at(NOW)
    assert statuses(run) == [("U", "failed"), ("Tag after", "success")]
    assert attributes() == {"points": "many"}
    assert StepExecution.objects.get(step__name="U").error_message == (
        "the attribute points is no number, so nothing can be added to it"
    )


def start_with(*steps: dict[str, object]) -> UserJourney:
    make_journey("J", list(steps), now=NOW)
    return start()


def test_a_run_that_raises_leaves_nothing_for_the_others_of_its_contact_to_see(monkeypatch):
    """What it did is not written, and is done when it is tried again: counted once, not twice."""
    make_journey("Bad", [update("U", PLUS)], now=NOW, priority=1)
    make_journey("Good", [update("U", PLUS), update("V", change("set", "seen", "{{ user.points }}"))], now=NOW)
    advance, broken = claiming.advance, [True]

    def falling(run, *args, **options):
        decision = advance(run, *args, **options)
        if broken and run.journey.name == "Bad":
            raise RuntimeError("fell")
        return decision

    monkeypatch.setattr(claiming, "advance", falling)
    ingest([Incoming("u1", "signup")], NOW)
    work_at(NOW)
    assert attributes() == {"points": 1, "seen": "1"}
    broken.clear()
    work_at(NOW + timedelta(days=1))
    assert attributes()["points"] == 2
    assert not UserJourney.objects.filter(status="active").exists()


def test_a_run_whose_part_is_rejected_is_not_counted_until_it_is_written(monkeypatch):
    make_journey("Bad", [update("U", PLUS)], now=NOW, priority=1)
    make_journey("Good", [update("U", PLUS)], now=NOW)
    write, broken = apart.write, [True]

    def rejecting(decisions, *args):
        write(decisions, *args)
        if broken and any(decision.run.journey.name == "Bad" and decision.effects for decision in decisions):
            raise IntegrityError("no")

    monkeypatch.setattr(apart, "write", rejecting)
    ingest([Incoming("u1", "signup")], NOW)
    work_at(NOW)
    assert attributes() == {"points": 1}
    broken.clear()
    work_at(NOW + timedelta(days=1))
    assert attributes() == {"points": 2}


@pytest.mark.django_db(transaction=True)
def test_two_workers_and_the_api_at_once_lose_nothing():
    for number in range(6):
        make_journey(f"J{number}", [update(f"U{step}", PLUS) for step in range(5)], now=NOW)
    users = [f"u{number}" for number in range(8)]
    ingest([Incoming(user, "signup") for user in users], NOW)
    raised: list[Exception] = []

    def at_work(size: int) -> None:
        try:
            for _ in range(200):
                work(lambda: NOW, size)
        except Exception as error:  # noqa: BLE001 - asserted to be none
            raised.append(error)
        finally:
            connections.close_all()

    def from_outside() -> None:
        for number in range(40):
            upsert_contact(users[number % 8], {"attributes": {f"n{number}": number}}, NOW)
        connections.close_all()

    threads = [threading.Thread(target=at_work, args=(size,)) for size in (1, 3)]
    threads.append(threading.Thread(target=from_outside))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert raised == []
    work_at(NOW)
    for number, user in enumerate(users):
        outside = {f"n{seen}": seen for seen in range(number, 40, 8)}
        assert attributes(user) == {"points": 30, **outside}
