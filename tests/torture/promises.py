"""Each promise of docs/reliability.md, held against the evidence. A check answers with what breaks it, in words."""

import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journeys.engine.outcomes import MOST_UNRECORDED
from tests.torture.evidence import Evidence
from tests.torture.herd import Life
from tests.torture.ledger import Delivery
from tests.torture.population import Course

Breach = str
FINAL = ("success", "failed")


@dataclass(frozen=True, slots=True)
class Case:
    """What was meant to happen, by whom, and what did."""

    people: Sequence[Any]
    """Each has a `user_id`."""
    course: Callable[[Any, str], Course]
    """What must become of one of them, by the lane that a split chose."""
    lives: Mapping[str, Life]
    evidence: Evidence
    most_unrecorded: int = MOST_UNRECORDED
    """What a killed worker may have sent and not recorded: no more than it claims at once, either."""

    def courses(self) -> list[tuple[str, Course]]:
        runs = self.evidence.runs
        return [(p.user_id, self.course(p, runs[p.user_id].lane or "A")) for p in self.people if p.user_id in runs]

    def repeats(self) -> dict[tuple[str, str], list[Delivery]]:
        """Deliveries after which the same message came again, although the provider had not asked for that."""
        found = {key: [one for one in all_of[:-1] if one.taken] for key, all_of in self.evidence.deliveries.items()}
        return {key: ones for key, ones in found.items() if ones}

    def repeats_by_worker(self) -> Counter[str]:
        return Counter(one.worker for ones in self.repeats().values() for one in ones)


def nothing_is_lost(case: Case) -> list[Breach]:
    """Everybody's run has ended as it must, with each execution that it must have, and no other."""
    runs = case.evidence.runs
    breaches = [f"{person.user_id} has no run" for person in case.people if person.user_id not in runs]
    for user_id, meant in case.courses():
        run = runs[user_id]
        if run.status != meant.status:
            breaches.append(f"{user_id} is {run.status}, not {meant.status}: {run.reason}")
        elif run.others != meant.others:
            breaches.append(f"{user_id} is {run.others} in what was started, not {meant.others}")
        elif run.steps != meant.steps:
            odd = set(run.steps.items()) ^ set(meant.steps.items())
            breaches.append(f"{user_id} differs in {sorted(odd)}")
    return breaches


def no_inside_effect_twice(case: Case) -> list[Breach]:
    """Tags, rewards and what was added are those that the executions must have caused, and not one more."""
    breaches = []
    for user_id, meant in case.courses():
        run = case.evidence.runs[user_id]
        if run.tags != meant.tags:
            breaches.append(f"{user_id} has the tags {sorted(run.tags)}, not {sorted(meant.tags)}")
        if run.rewards != meant.rewards:
            breaches.append(f"{user_id} has the rewards {run.rewards}, not {meant.rewards}")
        if run.count != meant.count:
            breaches.append(f"{user_id} has counted {run.count}, not {meant.count}")
    return breaches


def counts_are_exact(case: Case) -> list[Breach]:
    """What is counted, of runs and of each step, is what the courses say."""
    meant: Counter[tuple[str, str]] = Counter()
    for _, one in case.courses():
        meant["", "started"] += 1 + len(one.others)
        meant.update(("", status) for status in (one.status, *one.others))
        meant.update(one.steps.items())
    counted = case.evidence.counted
    return [
        f"{name or 'runs'} {what}: {counted[name, what]} are counted, not {meant[name, what]}"
        for name, what in sorted(meant.keys() | counted.keys())
        if counted[name, what] != meant[name, what]
    ]


def who_entered_is_somewhere(case: Case) -> list[Breach]:
    """Entered = active + paused + completed + failed + exited, and no active run is forgotten."""
    statuses = Counter(status for run in case.evidence.runs.values() for status in (run.status, *run.others))
    entered = case.evidence.counted["", "started"]
    breaches = [] if statuses.total() == entered else [f"{entered} entered, and there are {dict(statuses)}"]
    return breaches + ([f"{case.evidence.idle} active runs wait for nothing"] if case.evidence.idle else [])


def every_message_was_sent(case: Case) -> list[Breach]:
    """What is recorded as sent came to its provider, and nothing came that is not recorded."""
    sent, recorded = case.evidence.deliveries, case.evidence.messages
    return [
        *(f"{key} is recorded as {recorded[key].status} and never came" for key in recorded.keys() - sent.keys()),
        *(f"{key} came and is not recorded" for key in sent.keys() - recorded.keys()),
        *(
            f"{key} came and is recorded as {recorded[key].status}"
            for key in sent.keys() & recorded.keys()
            if recorded[key].status not in FINAL
        ),
    ]


def repeats_are_bounded(case: Case) -> list[Breach]:
    """A killed worker's sends come again only as far as it had not recorded them. A living one's never do, unless its
    lease ended first: then it said that it came too late."""
    breaches = []
    for worker, count in case.repeats_by_worker().items():
        life = case.lives[worker]
        most = (case.most_unrecorded if life.killed_at is not None else 0) + life.late
        if count > most:
            breaches.append(f"{count} sends of {worker} came again, and {most} may at most")
    return breaches


def repeats_have_the_first_ones_bytes(case: Case) -> list[Breach]:
    """Whatever comes again has the same key and the same bytes, also where the provider asked for it."""
    by_key: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, all_of in case.evidence.deliveries.items():
        by_key[key] |= {one.digest for one in all_of}
    return [f"{key} came with {len(digests)} different contents" for key, digests in by_key.items() if len(digests) > 1]


def no_innocent_run_fails(case: Case) -> list[Breach]:
    """Kills at random are nobody's fault: no run is failed for them."""
    return [f"{run.user_id}: {run.reason}" for run in case.evidence.runs.values() if "died" in run.reason]


def no_worker_falls(case: Case) -> list[Breach]:
    """A worker ends because it is killed, and for no other reason."""
    ends = {name: life.process.exitcode for name, life in case.lives.items()}
    return [f"{name} ended with {code}" for name, code in ends.items() if code not in (None, -signal.SIGKILL)]


PROMISES: tuple[Callable[[Case], list[Breach]], ...] = (
    nothing_is_lost,
    no_inside_effect_twice,
    counts_are_exact,
    who_entered_is_somewhere,
    every_message_was_sent,
    repeats_are_bounded,
    repeats_have_the_first_ones_bytes,
    no_innocent_run_fails,
    no_worker_falls,
)
