"""The real engine on the real PostgreSQL, played in one process on a clock of ours, and watched.

Only what leaves the process is ours: the providers, chance, and when a worker dies.
"""

import json
import logging
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.test import override_settings

from journeys.actions import flow_steps, telegram, webhook
from journeys.actions.base import Outgoing, PermanentError, StepContext, TransientError
from journeys.actions.rewards import GrantReward
from journeys.authoring.caps import CapDocument, create_cap, delete_cap
from journeys.authoring.document import DocumentError, parse
from journeys.authoring.publish import create_journey, delete_journey, patch_journey, set_active
from journeys.authoring.segments import SegmentBody, create_segment
from journeys.authoring.starts import JourneyInUse
from journeys.engine import advance, apart, claim, cycle, decision, enroll, flows, record, rounds, segments
from journeys.engine.contacts import delete_contact, upsert_contact
from journeys.engine.housekeeping import minute
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.intakes import take_in
from journeys.engine.manual import CannotStart, Choice, Request, how_many, start
from journeys.engine.sql import execute, query
from journeys.logic.effects import Delivered, MarkChatDead, Outcome, Prepared, Undelivered
from journeys.logic.entry import is_held_out
from journeys.logic.split import choose
from journeys.models import FrequencyCap, Segment, ids
from tests.reference.script import ASKED, MAX_TRIES, NO_RULES, SEGMENTS, Answer, Cap, Document, Happens, World

Name = tuple[str, str]
ENGINE = {
    "LEASE_SECONDS": 3600,
    "MAX_ATTEMPTS": MAX_TRIES,
    "RETRY_BASE_SECONDS": 120,
    "BREAKER_FAILURES": 10**6,  # Breakers are tried in tests/engine/test_breakers.py.
}


class Death(BaseException):
    """The worker is killed here."""


class Engine:
    def __init__(self, world: World) -> None:
        self.world, self.now = world, world.start
        self.turns: list[list[Name]] = []
        self.answers: list[tuple[str, list[str]]] = []
        self.sends: list[tuple[str, str, datetime]] = []
        self.bytes: dict[UUID, Outgoing] = {}
        self._journeys: dict[str, UUID] = {}
        self._names: dict[str, str] = {}
        self._looked_at: list[Name] = []
        self._round, self._dies, self._meanwhile = 0, ("", 0), lambda: None

    # What comes from outside

    def create(self, body: Document) -> None:
        for segment, condition in SEGMENTS.items():
            if not Segment.objects.filter(name=segment).exists():
                create_segment(SegmentBody(name=segment, condition=dict(condition)), self.now)
        journey = create_journey(parse({**body, "steps": list(body["steps"])}), None, self.now)
        self._journeys[journey.name] = journey.id
        self._names[str(journey.id)] = journey.name

    def change(self, user: str, changes: Mapping[str, Any]) -> None:
        upsert_contact(user, changes, self.now)

    def happen(self, events: Iterable[Happens]) -> None:
        batch = [Incoming(event.user, event.event, event.properties, event.message_id) for event in events]
        for answer in ingest(batch, self.now):
            self.answers.append((answer.status, [self._names[str(key)] for key in answer.started]))

    def edit(self, name: str, steps: Iterable[Document], settings: Document) -> None:
        with suppress(DocumentError), transaction.atomic():
            patch_journey(self._journeys[name], {"steps": list(steps), **settings}, None, self.now)

    def rule(self, name: str, rules: Document) -> None:
        patch_journey(self._journeys[name], {**NO_RULES, **rules}, None, self.now)

    def switch(self, name: str, on: bool) -> None:
        set_active(self._journeys[name], on, None, self.now)

    def remove(self, name: str) -> None:
        with suppress(JourneyInUse):
            delete_journey(self._journeys[name])
            del self._journeys[name]

    def has(self, name: str) -> bool:
        return name in self._journeys

    def forget(self, user: str) -> None:
        delete_contact(user, self.now)

    def cap(self, caps: Iterable[Cap]) -> None:
        for old in FrequencyCap.objects.all():
            delete_cap(old.id, self.now)
        for cap in caps:
            create_cap(CapDocument(*cap), self.now)

    def tidy(self) -> None:
        minute(self.now)

    def look(self) -> None:
        rounds.look_and_take_in(lambda: self.now)

    def by_hand(self, name: str, users: Iterable[str]) -> None:
        journey, choice = self._journeys[name], Choice(tuple(users))
        with suppress(CannotStart), transaction.atomic():
            start(journey, Request(choice, how_many(journey, choice, self.now)), self.now)
        while take_in(lambda: self.now):
            pass

    # Workers

    def work(self, limit: int, dies: tuple[str, int] | None, meanwhile: Callable[[], None]) -> None:
        """Work until nothing is due; who dies at `claim` leaves it at that. At the end all leases are over."""
        self._dies, self._meanwhile, self.turns = dies or ("", 0), meanwhile, []
        while True:
            self._looked_at = []
            try:
                if not cycle.work(lambda: self.now, limit).runs:
                    break
            except Death:
                if self._dies[0] == "claim":
                    break
        execute(
            "UPDATE user_journeys SET lease_until = %s WHERE lease_until IS NOT NULL",
            [datetime.now(UTC) - timedelta(hours=1)],
        )

    @contextmanager
    def rigged(self) -> Iterator[None]:
        """Clocks, chance, providers and deaths as the world has them."""
        flows._flows.clear()  # By version id, and those come again in each world.
        half = SimpleNamespace(random=lambda: 0.5)
        decide, decide_one, dispatch = record.decide, claim._decide, cycle.dispatch
        places = {
            (ids, "_getrandbits"): random.Random(7).getrandbits,
            (advance, "random"): half,
            (decision, "random"): half,
            (flow_steps, "choose"): self._choose,
            (enroll, "is_held_out"): self._is_held_out,
            (GrantReward, "prepare"): self._granting(GrantReward.prepare),
            (telegram, "_deliver"): self._deliver,
            (webhook, "_post"): self._deliver,
            (claim, "_decide"): lambda row, loaded, i, now: decide_one(row, self._see(loaded, i), i, now),
            (record, "decide"): lambda loaded, i, *more, **also: decide(self._see(loaded, i), i, *more, **also),
            (apart, "write"): self._writing(apart.write, "claim"),
            (record, "write"): self._writing(record.write, "record"),
            (segments, "SHARE"): 0,
            (cycle, "SUSPECTS_EVERY"): math.inf,  # They come when nothing else is due, and then all of them.
            (cycle, "SUSPECTS_SECONDS"): 3600,
            (cycle, "dispatch"): lambda parcels, lease: self._dispatch(dispatch(parcels, lease)),
        }
        engine = {"JOURNEYS": {**settings.JOURNEYS, **ENGINE}, "TELEGRAM_BOT_TOKEN": "1:a", "WEBHOOK_SECRETS": ["x"]}
        with ExitStack() as stack:
            stack.enter_context(override_settings(**engine))
            for (module, name), double in places.items():
                stack.enter_context(mock.patch.object(module, name, double))
            stack.callback(logging.disable, logging.root.manager.disable)
            logging.disable(logging.WARNING)
            yield

    def _see(self, loaded: Any, number: int) -> Any:
        """Note whose turn it is."""
        run = loaded.runs[number]
        self._names[str(run.person.id)] = run.person.view.user_id
        self._looked_at.append((run.person.view.user_id, run.journey.name))
        return loaded

    def _writing(self, write: Callable[..., None], stage: str) -> Callable[..., None]:
        def watched(*arguments: Any) -> None:
            write(*arguments)
            looked_at, self._looked_at = self._looked_at, []
            if stage == "claim":
                self._round = 0
            self._die_at(stage, self._round)
            if looked_at:
                self.turns.append(looked_at)

        return watched

    def _die_at(self, stage: str, number: int) -> None:
        if self._dies[0] == stage and (stage == "claim" or self._dies[1] == number):
            raise Death

    def _dispatch(self, lots: Iterator[list[tuple[UUID, Outcome]]]) -> Iterator[list[tuple[UUID, Outcome]]]:
        self._round += 1
        self._die_at("claimed", self._round)
        outcomes = [result for lot in lots for result in lot]
        self.now += timedelta(minutes=self.world.minutes_to_send)
        self._meanwhile()
        self._die_at("sent", self._round)
        yield outcomes

    def _deliver(self, message: Outgoing) -> Outcome:
        """The providers."""
        if self.bytes.setdefault(message.id, message) != message:
            raise AssertionError(f"a repeat differs from the first: {message}, {self.bytes[message.id]}")
        text = self.text_of(message.text or message.payload["body"])
        self.sends.append((message.to, text, self.now))
        answer = self.world.answer(text, self.now)
        if answer == "gone" and message.channel == "telegram":
            return Undelivered("gone", permanent=True, effects=(MarkChatDead(message.to),))
        _raise(answer)
        return Delivered()

    def _granting(self, prepare: Callable[..., Prepared]) -> Callable[..., Prepared]:
        """A reward that its own code may fail to give."""

        def troubled(action: GrantReward, config: Any, context: StepContext) -> Prepared:
            _raise(self.world.trouble(context.step_key, context.now))
            return prepare(action, config, context)

        return troubled

    @staticmethod
    def text_of(content: str) -> str:
        """The text of a message, which in a webhook's body is among other things."""
        text: str = json.loads(content)["data"]["extra"]["text"] if content.startswith("{") else content
        return text

    def _choose(self, weights: Mapping[str, int], who: str) -> str:
        """The split, with names in the place of ids, so that the reference can know them."""
        journey, key, contact = who.split(":")
        return choose(weights, f"{self._names[journey]}:{key}:{self._names[contact]}")

    def _is_held_out(self, percent: int, who: str) -> bool:
        """Whether somebody is held out, with names in the place of ids, too."""
        if not percent:
            return False
        journey, contact = who.split(":")
        ((user,),) = query("SELECT user_id FROM contacts WHERE id = %s", [contact])
        return is_held_out(percent, f"{self._names[journey]}:{user}")


def _raise(answer: Answer) -> None:
    match answer:
        case "later":
            raise TransientError("not now")
        case "asks":
            raise TransientError("not now", ASKED.total_seconds())
        case "never" | "gone":
            raise PermanentError("never")
