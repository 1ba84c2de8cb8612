"""Everything at once on real connections: nothing deadlocks, nobody is lost, every count adds up."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from journeys.authoring.document import export, parse
from journeys.authoring.publish import save_journey, set_active
from journeys.engine import housekeeping, replay
from journeys.engine.clock import database_clock
from journeys.engine.contacts import add_tag, delete_contact, upsert_contact
from journeys.engine.cycle import execute, work
from journeys.engine.ingest import Incoming, ingest
from journeys.metrics import counted
from journeys.models import Contact, Journey, Reward, RunStatus, StepExecution, UserJourney, What
from tests.engine.test_cycle import tag
from tests.factories import make_journey

SECONDS = 4
PEOPLE = [f"u{number}" for number in range(40)]
GIFT = {"name": "Gift", "action_type": "grant_reward", "action_config": {"reward_type": "points", "value": 1}}
PLUS = {"changes": [{"op": "increment", "attribute": "count", "value": 1}]}
COUNT = {"name": "Count", "action_type": "update_contact", "action_config": PLUS}
MORE = {"name": "More", "action_type": "start_journey", "action_config": {"journey": "More"}}
HOOK = {"name": "Hook", "action_type": "trigger_webhook", "action_config": {"url": "http://127.0.0.1:1/"}}

pytestmark = pytest.mark.django_db(transaction=True)


def hammer(*acts: Callable[[random.Random], Any]) -> list[Exception]:
    """Do each of these again and again, each in a thread with a connection of its own; what they raised."""
    until, raised = time.monotonic() + SECONDS, []

    def run(act: Callable[[random.Random], Any], seed: int) -> None:
        chance = random.Random(seed)
        try:
            while time.monotonic() < until:
                act(chance)
        except Exception as error:  # noqa: BLE001 - asserted to be none
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act, seed)) for seed, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised


def test_everything_at_once(settings):
    settings.WEBHOOK_SECRETS = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLHsw"]  # HOOK's address is refused: dead letters.
    make_journey("More", [COUNT], trigger_type="upgrade", now=timezone.now())
    journeys = [
        make_journey(f"J{number}", [tag("a"), HOOK, COUNT, MORE, GIFT, tag("b")], now=timezone.now(), priority=number)
        for number in range(3)
    ]

    def some(chance: random.Random) -> Journey:
        return Journey.objects.get(id=chance.choice(journeys).id)

    def edit(chance: random.Random) -> None:
        steps = [tag("a"), HOOK, COUNT, MORE, GIFT, tag("b"), tag("c")]
        journey = some(chance)
        document = parse({**export(journey), "steps": chance.sample(steps, chance.randint(2, 7))})
        save_journey(journey.id, document, None, timezone.now())
        time.sleep(0.02)

    def switch(chance: random.Random) -> None:
        set_active(some(chance).id, chance.random() < 0.7, None, timezone.now())
        time.sleep(0.02)

    def touch(chance: random.Random) -> None:
        person, other = chance.choice(PEOPLE), chance.choice(PEOPLE)
        upsert_contact(person, {"attributes": {"n": chance.random()}}, timezone.now())
        upsert_contact(other, {}, timezone.now())
        delete_contact(other, timezone.now())
        if Contact.objects.filter(user_id=person).exists():
            add_tag(person, "a", timezone.now())

    def again(chance: random.Random) -> None:
        replay.replay(
            StepExecution.objects.filter(dead_at__isnull=False).values_list("id", flat=True)[:5], timezone.now()
        )
        replay.work(database_clock, 20)

    def press(chance: random.Random) -> None:
        run = UserJourney.objects.order_by("?").first()
        if run is not None:
            execute(run.id, database_clock)

    raised = hammer(
        lambda chance: ingest([Incoming(who, "signup") for who in chance.sample(PEOPLE, 10)], timezone.now()),
        lambda chance: ingest([Incoming(who, "signup") for who in chance.sample(PEOPLE, 10)], timezone.now()),
        lambda chance: work(database_clock, 20),
        lambda chance: work(database_clock, 20, newest_first=True),
        lambda chance: housekeeping.minute(timezone.now()),
        edit, switch, touch, again, again, press,
    )  # fmt: skip
    assert raised == []

    for journey in journeys:
        set_active(journey.id, True, None, timezone.now())
    while work(database_clock, 500).runs or replay.work(database_clock, 500):
        pass
    assert not UserJourney.objects.filter(status=RunStatus.ACTIVE).exists()
    count = {
        what: sum(counted(what, steps=False).values()) for what in What if what not in (What.SUCCESS, What.SKIPPED)
    }
    assert count[What.FAILED] == 0
    assert count[What.STARTED] == count[What.COMPLETED] + count[What.EXITED]
    assert min(counted(What.FAILED, steps=True).values(), default=0) >= 0
    rewarded = StepExecution.objects.filter(step__name="Gift", status="success").values_list("id", flat=True)
    assert set(rewarded) == set(Reward.objects.values_list("execution_id", flat=True))
    counted_steps = Counter(
        StepExecution.objects.filter(step__name="Count", status="success").values_list(
            "user_journey__contact__user_id", flat=True
        )
    )
    assert counted_steps == Counter(
        {
            user_id: attributes.get("count", 0)
            for user_id, attributes in Contact.objects.values_list("user_id", "attributes")
        }
    )
