"""The examples of docs/journeys.md: journeys and segments as documents, and stories that are played in the engine.

A story has a line for what comes and for what must have been executed: `TIME  ana does signup {…}`, `TIME  ana has {…}`
(columns of the contact, and attributes), `TIME  NAME is switched off`, `TIME  NAME is started for ana, bob`,
`TIME  at most 1 message in 24 hours`, `TIME  1000 people do signup` and what `about 10 % of them are`,
`TIME  ana: Step, Step (skipped)` with all that is executed of hers at that moment, `TIME  ana completed`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import Min

from journeys.authoring.caps import CapDocument, create_cap
from journeys.authoring.document import parse
from journeys.authoring.publish import create_journey, set_active
from journeys.authoring.segments import create_segment, parse_segment
from journeys.engine import manual, rounds
from journeys.engine.contacts import COLUMNS, upsert_contact
from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, Journey, RunStatus, StepExecution, UserJourney

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(json|story)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  (.+)")
CROWD = "person-"
"""How the ids of people begin of whom a story tells only how many do what."""
Executed = tuple[str, str, str]
"""When, whose, and what: `Step`, or `Step (skipped)`."""


@dataclass(frozen=True)
class Example:
    """The section, its journeys, and the lines of their story."""

    title: str
    documents: tuple[dict[str, Any], ...]
    story: tuple[str, ...]


def examples(text: str) -> Iterator[Example]:
    """The examples of a document: each story, with the journeys above it."""
    _, *parts = SECTION.split(text)
    for title, section in zip(parts[::2], parts[1::2], strict=True):
        documents: list[dict[str, Any]] = []
        for kind, block in BLOCK.findall(section):
            if kind == "json":
                documents.append(json.loads(block))
            else:
                yield Example(title, tuple(documents), tuple(block.splitlines()))
                documents = []


@dataclass
class Telling:
    """A story while it is told. `told` is what it says of executions, `now` how far it has got."""

    now: datetime
    told: list[Executed] = field(default_factory=list)

    def tell(self, line: str) -> None:
        match = LINE.fullmatch(line)
        assert match, f"not a line of a story: {line!r}"
        self.pass_until(datetime.fromisoformat(match[1]).replace(tzinfo=UTC))
        said = match[2]
        if found := re.fullmatch(r"(\S+) has (\{.*\})", said):
            self.change(found[1], json.loads(found[2]))
        elif found := re.fullmatch(r"(\S+) does (\S+)(?: (\{.*\}))?", said):
            ingest([Incoming(found[1], found[2], json.loads(found[3] or "{}"))], self.now)
            Contact.objects.filter(user_id=found[1]).update(is_test=True)
            self.settle()
        elif found := re.fullmatch(r"(\d+) people do (\S+)", said):
            ingest([Incoming(f"{CROWD}{number}", found[2]) for number in range(int(found[1]))], self.now)
            Contact.objects.filter(user_id__startswith=CROWD).update(is_test=True)
            self.settle()
        elif found := re.fullmatch(r"about (\d+) % of them are (\w+ \w+)", said):
            of_them = UserJourney.objects.filter(contact__user_id__startswith=CROWD)
            share = of_them.filter(status=found[2].replace(" ", "_")).count() / of_them.count()
            assert abs(share - int(found[1]) / 100) < 0.05, f"{line}: it is {share:.1%}"
        elif found := re.fullmatch(r"at most (\d+) messages? in (\d+) hours", said):
            create_cap(CapDocument("", int(found[1]), int(found[2])), self.now)
        elif found := re.fullmatch(r"(.+) is started for (.+)", said):
            self.start(found[1], found[2].split(", "))
        elif found := re.fullmatch(r"(.+) is switched (on|off)", said):
            set_active(Journey.objects.get(name=found[1]).id, found[2] == "on", None, self.now)
            self.settle()
        elif found := re.fullmatch(r"(\S+): (.+)", said):
            self.told += [(match[1], found[1], step) for step in found[2].split(", ")]
        elif found := re.fullmatch(r"(\S+) (\w+)", said):
            run = UserJourney.objects.filter(contact__user_id=found[1]).latest("started_at", "id")
            assert run.status == found[2], f"{line}: the run is {run.status}"
        else:
            raise AssertionError(f"not a line of a story: {line!r}")

    def start(self, name: str, user_ids: list[str]) -> None:
        asked = manual.Request(manual.Choice(tuple(user_ids)), len(user_ids))
        manual.start(Journey.objects.get(name=name).id, asked, self.now)
        rounds.look_and_take_in(lambda: self.now)
        self.settle()

    def change(self, user_id: str, values: dict[str, Any]) -> None:
        columns = {name: values.pop(name) for name in COLUMNS if name in values}
        upsert_contact(user_id, columns | {"attributes": values}, self.now)
        Contact.objects.filter(user_id=user_id).update(is_test=True)

    def pass_until(self, then: datetime) -> None:
        """Let the time pass, from one due time to the next."""
        assert then >= self.now, "a story goes on in time"
        while (due := self.next_due()) is not None and due <= then:
            self.now = max(due, self.now)
            self.settle()
        self.now = then
        if rounds.look_and_take_in(lambda: self.now):
            self.settle()

    def next_due(self) -> datetime | None:
        return UserJourney.objects.filter(status=RunStatus.ACTIVE).aggregate(due=Min("due_at"))["due"]

    def settle(self) -> None:
        while work(lambda: self.now, 100).runs:
            pass


def play(example: Example) -> tuple[list[Executed], list[Executed]]:
    """Tell the story: what it says was executed, and what was."""
    start = datetime.fromisoformat(example.story[0][:19]).replace(tzinfo=UTC)
    for document in example.documents:
        if "trigger_type" in document:
            create_journey(parse(document), by=None, now=start)
        else:
            create_segment(parse_segment(document), now=start)
    telling = Telling(start)
    for line in example.story:
        telling.tell(line)
    rows = (
        StepExecution.objects.exclude(status="pending")
        .exclude(user_journey__contact__user_id__startswith=CROWD)
        .order_by("executed_at")
        .values_list("executed_at", "user_journey__contact__user_id", "step__name", "status")
    )
    done = [
        (f"{at:%Y-%m-%d %H:%M:%S}", who, name if status == "success" else f"{name} ({status})")
        for at, who, name, status in rows
    ]
    return sorted(telling.told), sorted(done)
