"""Two thousand people and what they do in thirty days: all drawn from one seed, so that every demo is the same."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

FIRST_NAMES = (
    "Ada Alan Amara Aylin Ben Camille Chen Diego Elif Emma Farid Fatima Grace Hana Hugo Ines Ivan Jonas Kaito Leila "
    "Linus Mads Maya Mei Nadia Noah Olga Omar Priya Ravi Rosa Sami Sofia Tariq Tess Uma Victor Wei Yara Zoe"
).split()
LAST_NAMES = (
    "Abreu Bauer Costa Dahl Eriksen Fischer Garcia Haddad Ito Jensen Kaya Lopez Meyer Novak Okafor Petrov Quist Rossi "
    "Silva Tanaka Ueda Varga Weber Xu Yilmaz Zhang"
).split()
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "",
)
PLANS = ("free", "solo", "team")
PRICES = {"free": 0, "solo": 96, "team": 480}

PEOPLE = 2_000
DAYS = 30
SLOTS = (7, 9, 11, 13, 15, 17, 19, 21)
"""The hours (UTC) at which things happen, so that the clock has few places to stop."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the past. A contact's attributes are those they have from the start."""

    at: datetime
    user_id: str
    name: str
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DemoPerson:
    user_id: str
    since: datetime
    email: str
    telegram_chat_id: str
    timezone: str
    has_device: bool
    attributes: dict[str, Any]


def people(start: datetime, chance: random.Random) -> list[DemoPerson]:
    """Everyone: two thirds were customers before, the others sign up on one of the thirty days."""
    return [_person(number, start, chance) for number in range(1, PEOPLE + 1)]


def _person(number: int, start: datetime, chance: random.Random) -> DemoPerson:
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    is_new = chance.random() < 0.34
    since = _slot(start + timedelta(days=chance.randrange(DAYS)), chance) if is_new else start
    plan = chance.choices(PLANS, weights=(5, 3, 2))[0]
    birthday = f"{chance.randrange(1960, 2006)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    attributes: dict[str, Any] = {"first_name": first, "last_name": last, "plan": plan, "birthday": birthday}
    attributes["is_new"] = is_new
    if plan != "free":
        seats = 0 if chance.random() < 0.1 else chance.choice((1, 1, 2, 5, 12))
        expires = start + timedelta(days=chance.randrange(5, 365))
        attributes |= {
            "price": PRICES[plan],
            "seats": seats,
            "subscription_expires_at": expires.date().isoformat(),
            "churn_score": round(chance.uniform(0.05, 0.6), 2),
        }
    address = f"{first}.{last}.{number}@example.com".lower() if chance.random() < 0.96 else ""
    chat = str(700_000_000 + number) if chance.random() < 0.7 else ""
    return DemoPerson(
        f"user-{number:04}", since, address, chat, chance.choice(ZONES), chance.random() < 0.5, attributes
    )


def happenings(everyone: list[DemoPerson], start: datetime, end: datetime, chance: random.Random) -> list[Happening]:
    """What they did, in order."""
    happened = [one for person in everyone for one in _of(person, start, end, chance)]
    return sorted((one for one in happened if one.at <= end), key=lambda one: (one.at, one.user_id))


def _of(person: DemoPerson, start: datetime, end: datetime, chance: random.Random) -> Iterator[Happening]:
    if person.attributes["is_new"]:
        yield Happening(person.since, person.user_id, "signup", {"plan": person.attributes["plan"]})
    quits_after = chance.choice((2, 6, 10, 40, 40, 40))
    for _ in range(chance.randrange(1, 4)):
        at = _slot(person.since + timedelta(days=1 + chance.randrange(quits_after)), chance)
        yield Happening(at, person.user_id, "project_opened", {})
    if person.attributes["is_new"] and person.attributes["plan"] != "team" and chance.random() < 0.2:
        yield Happening(_slot(at + timedelta(days=2), chance), person.user_id, "upgrade", {"plan": "team"})
    if person.attributes["plan"] != "free":
        yield from _payment(person, start, chance)


def _payment(person: DemoPerson, start: datetime, chance: random.Random) -> Iterator[Happening]:
    at = _slot(max(start, person.since) + timedelta(days=chance.randrange(DAYS)), chance)
    amount = person.attributes["price"] // 12 * max(1, person.attributes["seats"])
    if chance.random() < 0.12:
        yield Happening(at, person.user_id, "payment_fail", {"amount": amount, "currency": "USD"})
        if chance.random() < 0.5:
            later = _slot(at + timedelta(days=chance.randrange(1, 6)), chance)
            yield Happening(later, person.user_id, "payment_success", {"amount": amount, "currency": "USD"})
    else:
        yield Happening(at, person.user_id, "payment_success", {"amount": amount, "currency": "USD"})


def _slot(day: datetime, chance: random.Random) -> datetime:
    return day.replace(hour=chance.choice(SLOTS), minute=0, second=0, microsecond=0)
