"""kill -9 at random: so many kills, at random points of so much work, and then every promise is checked."""

import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from django.db import connection

from journeys.engine.outcomes import MOST_UNRECORDED
from tests.torture.evidence import gather
from tests.torture.herd import Herd, Life, work_on
from tests.torture.population import Person, course, crowd, enter, say_ready, settle
from tests.torture.promises import Case
from tests.torture.stage import Stage, stage

WINDOW = 600
"""So many runs are inside at once: enough for every worker, and few enough for kills to meet all of the way."""
LOT = 50
PATIENCE_SECONDS = 120
"""Nothing has ended for so long: something is lost, and is shown as such."""


@dataclass(frozen=True, slots=True)
class Options:
    kills: int
    executions: int
    workers: int
    lease: int
    batch: int
    answer_seconds: float
    seed: int


@dataclass(slots=True)
class Played:
    """What happened: the case to be judged, and how it went."""

    case: Case
    seconds: float
    kills: int
    busy_kills: int


def play(options: Options) -> Played:
    with stage(options.lease, options.answer_seconds, refuses=True) as on:
        people = crowd(options.executions)
        settle(people, on.ports.url, on.clock())
        begun = time.monotonic()
        with Herd(options.workers, partial(work_on, on.clock, options.batch)) as herd:
            killed = list(_kill_at_random(herd, people, on, options))
        seconds = time.monotonic() - begun
        lives = {life.name: life for life in herd.lives}
        most_unrecorded = min(MOST_UNRECORDED, options.batch)
        case = Case(people, course, lives, gather(on.ledger.read()), most_unrecorded)
        return Played(case, seconds, len(killed), sum(life.was_busy for life in killed))


def _kill_at_random(herd: Herd, people: list[Person], on: Stage, options: Options) -> Iterator[Life]:
    """People enter as others leave; a kill comes whenever so many more have left as chance wanted."""
    chance = random.Random(options.seed)
    moments = deque(sorted(chance.uniform(0, len(people) * 0.98) for _ in range(options.kills)))
    waiting, entered = deque(people), deque[Person]()
    left, moved_at = 0, time.monotonic()
    while left < len(people) or moments:
        inside = _inside()
        if len(people) - len(waiting) - inside > left:
            left, moved_at = len(people) - len(waiting) - inside, time.monotonic()
        while waiting and inside < WINDOW:
            lot = [waiting.popleft() for _ in range(min(LOT, len(waiting)))]
            enter(lot, on.clock())
            entered.extend(lot)
            inside += len(lot)
        say_ready([entered.popleft() for _ in range(min(chance.randrange(LOT), len(entered)))], on.clock())
        if moments and moments[0] <= left:
            moments.popleft()
            yield herd.kill(chance)
            _turn(chance)
        if herd.fallen() or time.monotonic() - moved_at > PATIENCE_SECONDS:
            break  # What is missing is found by whoever judges.
        time.sleep(chance.uniform(0.001, 0.03))


def _inside() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM user_journeys WHERE status = 'active'")
        (inside,) = cursor.fetchone()
    return int(inside)


def _turn(chance: random.Random) -> None:
    """Change what is rendered for some of those inside, so that a repeat rendered anew would show."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE contacts SET attributes = jsonb_set(attributes, '{turn}', to_jsonb((attributes->>'turn')::int + 1))"
            " WHERE id IN (SELECT c.id FROM contacts c JOIN user_journeys r ON r.contact_id = c.id WHERE r.status = "
            "'active' AND r.lease_until IS NOT NULL AND random() < %s ORDER BY c.id FOR UPDATE OF c SKIP LOCKED)",
            [chance.uniform(0.2, 0.8)],
        )
