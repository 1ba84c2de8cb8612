"""The reference: what the engine must do, told once more, in memory, as simply as can be, and sharing no code with it.

Here is what comes from outside, and how workers take turns; walk.py is the way of one run. In which order workers take
runs that are due at the same time, and record, is the engine's free choice: the reference is told (`turns`), and looks
whether it is allowed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.reference.callers import CALLED, Callers
from tests.reference.documents import MINUTE, Version, holds, started_by
from tests.reference.script import NO_RULES, Cap, Document, Happens
from tests.reference.state import Came, Journey, Name, Run
from tests.reference.walk import SUSPECT

Turns = Iterator[list[Name]]


class Disorder(AssertionError):
    """The engine took runs in an order, or a number, in which it must not."""


class Reference(Callers):
    # What comes from outside

    def create(self, body: Document) -> None:
        version = Version(body["steps"], body.get("quiet_hours"))
        condition = body["trigger_config"].get("condition")
        trigger = body["trigger_config"]["event"] if body["trigger_type"] == "event" else body["trigger_type"]
        self.journeys[body["name"]] = Journey(
            body["name"], trigger, condition, body["priority"], version, body["is_active"], NO_RULES,
            body["trigger_config"], self.now,
        )  # fmt: skip
        self.rule(body["name"], {name: body[name] for name in NO_RULES if name in body})

    def change(self, user: str, changes: Mapping[str, Any]) -> None:
        self.buried.discard(user)
        contact = self._meet(user)
        columns = {name: value for name, value in changes.items() if name != "attributes"}
        if columns.get("telegram_chat_id", contact.columns["telegram_chat_id"]) != contact.columns["telegram_chat_id"]:
            contact.chat_is_dead = False
        contact.columns |= columns
        attributes = contact.attributes | changes.get("attributes", {})
        contact.attributes = {name: value for name, value in attributes.items() if value is not None}

    def happen(self, events: Iterable[Happens]) -> None:
        self.answers += [self._happen(event) for event in events]

    def _happen(self, event: Happens) -> tuple[str, list[str]]:
        if event.user in self.buried:
            return "refused", []
        contact = self._meet(event.user)
        key = event.user, event.message_id or ""
        if key in self.answered:
            return "duplicate", self.answered[key]
        facts = self._facts(contact, event.properties)
        started = [
            journey.name
            for journey in sorted(self.journeys.values(), key=lambda journey: -journey.priority)
            if journey.on and journey.trigger == event.event not in CALLED and self._may_enter(event.user, journey)
            if holds(journey.condition, facts)
        ]
        came = self._wake(event)
        self._notice(event)
        started = [name for name in started if self._start((event.user, name), self.journeys[name].version, came)]
        self.done.setdefault(event.user, []).append((event.event, self.now))
        if event.message_id:
            self.answered[key] = started
        return "accepted", started

    def _may_enter(self, user: str, journey: Journey) -> bool:
        last = self.runs.get((user, journey.name))
        if last is None:
            return True
        if last.status == "active" or journey.rules["reentry"] == "once":
            return False
        goal = journey.rules["goal"]
        if last.status == "held_out" and self._holds_out(user, journey):
            if not goal or self.now <= last.started_at + timedelta(days=goal["within_days"]):
                return False
        return self.now >= last.started_at + timedelta(days=journey.rules["reentry_days"] or 0)

    def _holds_out(self, user: str, journey: Journey) -> bool:
        return self.is_held_out(journey.rules["holdout_percent"], f"{journey.name}:{user}")

    def _notice(self, event: Happens) -> None:
        """Let those leave whom it makes leave, and note whose goal it is."""
        for run in [*self.over, *self.runs.values()]:
            if run.name[0] == event.user:
                self._take_in(run, event, self.journeys[run.name[1]].rules)

    def _take_in(self, run: Run, event: Happens, rules: Document) -> None:
        facts = self._facts(self.contacts[event.user], {}) | dict(run.properties)
        facts |= {f"event.{name}": value for name, value in event.properties.items()}
        reason = None
        if not run.goal_at and (goal := rules["goal"]) and _is(goal, event, facts):
            if self.now <= run.started_at + timedelta(days=goal["within_days"]):
                run.goal_at = self.now
                what = "held_out_converted" if run.status == "held_out" else "converted"
                self.counts[run.name[1], "", what] += 1
                reason = "goal reached" if goal.get("exit_on_goal", True) else None
        if any(_is(it, event, facts) for it in rules["exit_on"]):
            reason = reason or f"event {event.event}"
        if reason and run.status == "active" and not run.leaves:
            run.leaves = reason
            run.due = run.due and min(run.due, self.now)
            run.parked = run.parked and min(run.parked, self.now)

    def _wake(self, event: Happens) -> Came:
        """Let those go on who wait for it."""
        received_at = self.now
        for run in self.runs.values():
            if run.name[0] == event.user and run.listens and run.listens[0] == event.event:
                received_at = max(received_at, run.listens[1])
                run.due = run.due and min(run.due, self.now)
                run.parked = run.parked and min(run.parked, self.now)
        came = Came(event.event, event.properties, received_at)
        self.came.setdefault(event.user, []).append(came)
        return came

    def _start(self, name: Name, version: Version, came: Came) -> bool:
        """Let somebody enter, or hold them out; whether they entered."""
        zone = self._zone(name[0])
        due = version.due(version.first, self.now, self.now, zone, {}) if version.first else self.now
        if name in self.runs:
            self.over.append(self.runs[name])
        run = self.runs[name] = Run(name, version, came.properties, self.now, version.first, due, due, self.now)
        run.began_with = came
        is_held_out = self._holds_out(name[0], self.journeys[name[1]])
        if is_held_out:
            run.status, run.at, run.due = "held_out", None, None
        self.counts[name[1], "", "held_out" if is_held_out else "started"] += 1
        return not is_held_out

    def let_in(self) -> None:
        """Let those enter whose steps start another journey: after all runs of a batch have gone as far as they go."""
        for run, key, config in self.entering:
            journey, user = self.journeys[config["journey"]], run.name[0]
            inside = self.runs.get((user, journey.name))
            if not journey.on:
                run.executions[key].note = "it is switched off"
            elif inside and not self._may_enter(user, journey):
                is_in = inside.status == "active"
                run.executions[key].note = "they are in it already" if is_in else "they were in it before"
            else:
                brought = config.get("metadata", {})
                plan = {it: brought[it].replace("{{ event.plan }}", run.properties.get("plan", "")) for it in brought}
                if not self._start((user, journey.name), journey.version, Came("start_journey", plan, self.now)):
                    run.executions[key].note = "they are held out"
        self.entering = []

    def edit(self, name: str, steps: Iterable[Document], settings: Document) -> None:
        steps = tuple(steps)
        if any(other not in self.journeys for other in started_by(steps)):
            return  # Refused.
        journey = self.journeys[name]
        quiet_hours = settings.get("quiet_hours", journey.version.quiet_hours)
        old, journey.version = journey.version, Version(steps, quiet_hours)
        if old.whole != journey.version.whole:
            journey.changed_at = self.now
        for run in self._inside(name):
            changed = run.at in old.steps and old.timing(run.at) != journey.version.timing(run.at)
            if (
                changed and not (run.taken or run.put_off) and run.tries == 0
            ):  # Who waits there is looked at again at once.
                run.due = run.due and min(run.due, self.now)
                run.parked = run.parked and min(run.parked, self.now)

    def rule(self, name: str, rules: Document) -> None:
        journey, rules = self.journeys[name], {**NO_RULES, **rules}
        if journey.rules != rules:
            journey.rules, journey.changed_at = rules, self.now

    def switch(self, name: str, on: bool) -> None:
        was_on, self.journeys[name].on = self.journeys[name].on, on
        if was_on != on:
            self.journeys[name].changed_at = self.now
            self.looked.pop(name, None)
            self.park(name)

    def park(self, name: str) -> None:
        """Let those inside wait, or go on, as the journey's switch says; what a worker has it parks itself."""
        for run in self._inside(name):
            if self.journeys[name].on:
                run.due, run.parked = run.due or run.parked, None
            elif not run.held:
                run.due, run.parked = None, run.due or run.parked

    def remove(self, name: str) -> None:
        if any(name in it.version.starts for it in self.journeys.values() if it.name != name):
            return  # Refused.
        del self.journeys[name]
        self.runs = {key: run for key, run in self.runs.items() if key[1] != name}
        self.over = [run for run in self.over if run.name[1] != name]
        self.counts = Counter({key: count for key, count in self.counts.items() if key[0] != name})

    def has(self, name: str) -> bool:
        return name in self.journeys

    def cap(self, caps: Iterable[Cap]) -> None:
        """Those who wait for a cap are looked at again."""
        before, self.caps = self.caps, list(caps)
        if before or self.caps:
            self.capped_at = self.now
            self._look_at_the_capped()

    def _look_at_the_capped(self) -> None:
        for run in self.runs.values():
            if run.capped:
                run.due, run.parked = run.due and min(run.due, self.now), run.parked and min(run.parked, self.now)
                run.capped = None

    def tidy(self) -> None:
        for name in self.journeys:
            self.park(name)
        if self.capped_at is not None and self.now - self.capped_at <= 5 * MINUTE:
            self._look_at_the_capped()

    def forget(self, user: str) -> None:
        if self.contacts.pop(user, None) is None:
            return
        self.buried.add(user)
        self.came.pop(user, None)
        self._forget_calls(user)
        for run in self.runs.values():
            if run.name[0] == user and run.status == "active":
                self.counts[run.name[1], "", "exited"] += 1
        self.runs = {key: run for key, run in self.runs.items() if key[0] != user}
        self.over = [run for run in self.over if run.name[0] != user]
        self.messages = [pair for pair in self.messages if pair[0] != user]
        self.rewards = [reward for reward in self.rewards if reward[0] != user]
        self.answered = {key: started for key, started in self.answered.items() if key[0] != user}

    def next_due(self) -> datetime | None:
        return min((run.due for run in self.runs.values() if run.due and self.journeys[run.name[1]].on), default=None)

    def _inside(self, name: str) -> list[Run]:
        return [run for run in self.runs.values() if run.name[1] == name and run.status == "active"]

    # Workers

    def work(self, limit: int, dies: tuple[str, int] | None, turns: Turns, meanwhile: Callable[[], None]) -> None:
        """Do all that is due. At the end all leases are over."""
        dies_at, among_suspects = dies or ("", 0), False
        while (due := self._due()) and dies_at[0] != "claim":
            ordinary = [run for run in due if run.deaths + run.taken < SUSPECT]
            suspects = [run for run in due if run not in ordinary]
            # Once there is nothing else to do, those that workers died with are taken, one after the other.
            among_suspects = bool(suspects) and (among_suspects or not ordinary)
            batch = self._claimed(suspects, 1, turns) if among_suspects else self._claimed(ordinary, limit, turns)
            self.look_around()
            sending, number = [run for run in batch if self.claim(run)], 0
            self.let_in()
            while sending:
                number += 1
                if dies_at == ("claimed", number):
                    among_suspects = False
                    break
                outcomes = {run.name: self._send(run) for run in sending}
                self.now += MINUTE * self.world.minutes_to_send
                meanwhile()
                if dies_at in (("sent", number), ("record", number)):
                    among_suspects = False
                    break
                left = [run for run in sending if self.runs.get(run.name) is run]
                self.look_around()
                sending = [run for run in self._in_turn(left, turns) if self.record(run, outcomes[run.name])]
                self.let_in()
        for run in self.runs.values():
            run.held = False

    def _due(self) -> list[Run]:
        return [
            run
            for run in self.runs.values()
            if run.due and run.due <= self.now and not run.held and self.journeys[run.name[1]].on
        ]

    def _claimed(self, due: list[Run], limit: int, turns: Turns) -> list[Run]:
        """The runs that the engine claimed: as many as it may, those that have been due longest, in that order."""
        names = next(turns, [])
        batch = [run for name in names for run in due if run.name == name]
        times = [run.due for run in batch if run.due]
        if len(batch) != len(names) or len(batch) != min(limit, len(due)) or times != sorted(times):
            raise Disorder(f"claimed {names} of {[(run.name, run.due) for run in due]}, {limit} at once")
        if any(run.due and run.due < times[-1] for run in due if run not in batch):
            raise Disorder(f"claimed {names}, although others have been due longer")
        return batch

    def _in_turn(self, runs: list[Run], turns: Turns) -> list[Run]:
        names = next(turns, []) if runs else []
        if sorted(names) != sorted(run.name for run in runs):
            raise Disorder(f"recorded {names} in place of {[run.name for run in runs]}")
        return [self.runs[name] for name in names]


def _is(signal: Document, event: Happens, facts: Mapping[str, Any]) -> bool:
    return bool(signal["event"] == event.event) and holds(signal.get("condition"), facts)
