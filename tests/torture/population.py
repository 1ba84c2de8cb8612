"""A journey with every kind of step, people of every sort, and, in plain words, what must become of each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, Device, Journey
from journeys.models.ids import new_id
from tests.factories import make_journey
from tests.torture.sinks import GONE

READY = "ready"
MORE = "More"
# What is rendered changes all the time: `turn` is one more after each kill.
TURN = "turn {{ user.turn }} of {{ user.user_id }}"


def step(name: str, kind: str, config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"name": name, "action_type": kind, "action_config": config or {}, **fields}


def when(field: str, value: Any) -> dict[str, Any]:
    return {"condition": {"field": field, "op": "eq", "value": value}}


def email(name: str) -> dict[str, Any]:
    return step(name, "send_email", {"subject": name, "html": f"<p>{TURN}</p>", "text": TURN})


def telegram(name: str) -> dict[str, Any]:
    return step(name, "send_telegram", {"message": f"{name} {TURN}"})


def push(name: str) -> dict[str, Any]:
    return step(name, "send_push", {"title": name, "body": TURN})


def webhook(name: str, url: str, **fields: Any) -> dict[str, Any]:
    return step(name, "trigger_webhook", {"url": url, "data": {"turn": TURN}}, **fields)


def tag(name: str, what: str, **fields: Any) -> dict[str, Any]:
    return step(name, "apply_tag", {"tag": what}, **fields)


def reward(name: str, what: str, value: str) -> dict[str, Any]:
    return step(name, "grant_reward", {"reward_type": what, "value": value})


def increment(name: str, what: str, by: int) -> dict[str, Any]:
    return step(name, "update_contact", {"changes": [{"op": "increment", "attribute": what, "value": by}]})


def wait(name: str, event: str, minutes: int, **fields: Any) -> dict[str, Any]:
    config = {"event": event, "timeout_minutes": minutes, "since": "journey_start"}
    return step(name, "wait_for_event", config, **fields)


def lane(name: str, *steps: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"name": name, "steps": list(steps), **settings}


def all_kinds(url: str) -> list[dict[str, Any]]:
    """Each action, skips, lanes, waits, failures and an exit; `url` is where webhooks go."""
    hook, gone = f"{url}/hook", f"{url}{GONE}"
    return [
        tag("entered", "inside"),
        email("welcome"),
        tag("never", "never", **when("plan", "none")),
        step("plan", "branch", lanes=[
            lane("vip", telegram("vip"), reward("gift", "credit", "10"), **when("plan", "vip")),
            lane("gold", webhook("gold", hook), **when("plan", "gold")),
            lane("others", push("others")),
        ]),
        step("pause", "schedule_next", {"delay_minutes": 1}),
        telegram("news"),
        step("test", "ab_split", lanes=[
            lane("A", webhook("hook-a", hook), tag("tag-a", "a"), weight=1),
            lane("B", email("mail-b"), tag("tag-b", "b"), weight=1),
        ]),
        push("note"),
        reward("points", "points", "2.5"),
        increment("count", "count", 1),
        wait("ready", READY, 144_000, lanes=[lane("received", increment("came", "count", 1))], **when("ready", True)),
        wait("silent", "never", 1, lanes=[lane("timed out", tag("quiet", "quiet"))], **when("ready", False)),
        step("more", "start_journey", {"journey": MORE}),
        increment("again", "count", 1),
        step("left", "remove_tag", {"tag": "inside"}),
        step("leaves", "branch", lanes=[lane("yes", step("exit", "exit_journey"), **when("leaves", True))]),
        webhook("gone", gone, **when("gone", True)),
        webhook("doomed", gone, on_failure="stop", **when("doomed", True)),
        webhook("final", hook),
        tag("done", "done"),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """The number decides what somebody is, and has."""

    number: int

    @property
    def user_id(self) -> str:
        return f"person-{self.number}"

    @property
    def email(self) -> str:
        return f"p{self.number}@example.com" if self.number % 11 else ""

    @property
    def chat(self) -> str:
        return str(1_000_000 + self.number) if self.number % 13 else ""

    @property
    def token(self) -> str:
        return f"token-{self.number}" if self.number % 7 else ""

    @property
    def plan(self) -> str:
        return ("vip", "gold", "basic")[self.number % 3]

    @property
    def leaves(self) -> bool:
        return self.number % 8 == 0

    @property
    def ready(self) -> bool:
        """They do READY some time after they entered; the others never do what is waited for."""
        return self.number % 3 != 1

    @property
    def gone(self) -> bool:
        return self.number % 16 == 1

    @property
    def doomed(self) -> bool:
        return self.number % 50 == 2


Step = tuple[str, str]
"""A step's name and the status that its execution must have."""


@dataclass(frozen=True, slots=True)
class Course:
    """What must become of a run: its end, its executions, and what they leave."""

    status: str
    steps: dict[str, str]
    tags: frozenset[str]
    rewards: tuple[tuple[str, Decimal], ...]
    count: int = 0
    """What was added to the attribute of that name."""
    others: tuple[str, ...] = ()
    """How the runs end that a step of it starts; their steps are among `steps`."""


def course(person: Person, split: str) -> Course:
    """`split` is the lane that the split chose: either may be."""
    steps = dict(_steps(person, split))
    status = "exited" if "exit" in steps else "failed" if steps.get("doomed") == "failed" else "completed"
    vip = [("credit", Decimal(10))] if person.plan == "vip" else []
    tags = {split.lower()} | ({"done"} if status == "completed" else set()) | (set() if person.ready else {"quiet"})
    return Course(
        status, steps, frozenset(tags), (*vip, ("points", Decimal("2.5"))), 5 if person.ready else 4, ("completed",)
    )


def _steps(person: Person, split: str) -> Iterator[Step]:
    yes, no = "success", "skipped"
    mail, chat, device = (yes if has else no for has in (person.email, person.chat, person.token))
    yield from [("entered", yes), ("welcome", mail), ("never", no), ("plan", yes)]
    yield from {
        "vip": [("vip", chat), ("gift", yes)],
        "gold": [("gold", yes)],
        "basic": [("others", device)],
    }[person.plan]
    yield from [("pause", yes), ("news", chat), ("test", yes)]
    yield from [("hook-a", yes), ("tag-a", yes)] if split == "A" else [("mail-b", mail), ("tag-b", yes)]
    yield from [("note", device), ("points", yes), ("count", yes), ("again", yes)]
    yield from [("more", yes), ("more-count", yes), ("more-wait", yes)]
    yield from [("ready", yes), ("came", yes), ("silent", no)] if person.ready else [
        ("ready", no), ("silent", yes), ("quiet", yes)
    ]  # fmt: skip
    yield from [("left", yes), ("leaves", yes)]
    if person.leaves:
        yield "exit", yes
        return
    yield from [("gone", "failed" if person.gone else no), ("doomed", "failed" if person.doomed else no)]
    if not person.doomed:
        yield from [("final", yes), ("done", yes)]


def crowd(executions: int) -> list[Person]:
    """So many people that their runs have at least so many executions."""
    people: list[Person] = []
    total = 0
    while total < executions:
        people.append(Person(len(people)))
        total += len(course(people[-1], "A").steps)
    return people


def settle(people: Sequence[Person], url: str, now: datetime) -> Journey:
    """Make the contacts with their devices, and the journey that waits for them."""
    contacts = [
        Contact(
            id=new_id(now), user_id=p.user_id, email=p.email, telegram_chat_id=p.chat, created_at=now, updated_at=now,
            attributes={"plan": p.plan, "leaves": p.leaves, "gone": p.gone, "doomed": p.doomed, "ready": p.ready,
                        "turn": 0},
        )
        for p in people
    ]  # fmt: skip
    Contact.objects.bulk_create(contacts, batch_size=1000)
    devices = [
        Device(id=new_id(now), contact=contact, kind="fcm", token=p.token, created_at=now)
        for p, contact in zip(people, contacts, strict=True)
        if p.token
    ]
    Device.objects.bulk_create(devices, batch_size=1000)
    rest = [increment("more-count", "count", 1), increment("more-wait", "count", 1) | {"delay_minutes": 1}]
    make_journey(MORE, rest, trigger_type="upgrade", now=now)
    return make_journey("Torture", all_kinds(url), now=now)


def enter(people: Iterable[Person], now: datetime) -> None:
    """They sign up: each starts a run."""
    ingest([Incoming(person.user_id, "signup", message_id=f"signup-{person.number}") for person in people], now)


def say_ready(people: Iterable[Person], now: datetime) -> None:
    """Those who do READY do it, wherever they are."""
    ingest([Incoming(p.user_id, READY, message_id=f"ready-{p.number}") for p in people if p.ready], now)
