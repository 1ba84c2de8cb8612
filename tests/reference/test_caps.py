"""Frequency caps in worlds of their own, in which they bite: engine and reference agree there, too."""

from typing import Any

import pytest

from tests.reference.play import play
from tests.reference.script import Capped, Edited, Forgotten, Happens, Passes, Switched, Tidied, Together, Works, World
from tests.reference.worlds import STARTS

pytestmark = pytest.mark.django_db(transaction=True)

ONE_A_DAY, TWO_A_DAY, ONE_AN_HOUR = ("", 1, 24), ("", 2, 24), ("telegram", 1, 1)
SHIFTS = (Passes(30), Works(), Passes(60), Works(), Passes(1440), Works(), Passes(1440), Works())


def say(key: str, *, expires: int | None = None, journey: str = "J1", delay: int = 0, **config: Any) -> dict[str, Any]:
    step = {"key": key, "name": key, "action_type": "send_telegram", "delay_minutes": delay}
    step |= {"action_config": {"message": f"{journey}/{key}/A", **config}}
    return step if expires is None else step | {"expires_after_minutes": expires}


def journey(*steps: dict[str, Any], name: str = "J1", priority: int = 0) -> dict[str, Any]:
    return {
        "name": name, "trigger_type": "signup", "trigger_config": {}, "priority": priority, "is_active": True,
        "steps": list(steps),
    }  # fmt: skip


def world(*moves: Any, journeys: tuple[Any, ...], **more: Any) -> World:
    people = {user: {"telegram_chat_id": user[1:], "timezone": "", "attributes": {}} for user in ("u1", "u2")}
    arrivals = Together(tuple(Happens(user) for user in people))
    return World(STARTS[2], people, journeys, (Capped((ONE_A_DAY,)), arrivals, *moves, *SHIFTS), **more)


THREE = (journey(say("k1"), say("k2"), say("k3")),)
BOTH = (journey(say("k1"), say("k2")), journey(say("k3", journey="J2"), say("k4", journey="J2"), name="J2", priority=1))
FAILS = {"k1": ("never", 10_000)}


@pytest.mark.parametrize(
    "drawn",
    [
        world(Works(), journeys=THREE),
        world(Works(limit=1), journeys=BOTH),
        world(Works(), journeys=BOTH, troubles=FAILS),
        world(Works(), journeys=BOTH, troubles={"k1": ("later", 200), "k3": ("asks", 45)}),
        world(Works(), Capped((TWO_A_DAY,)), Works(), Capped(()), journeys=THREE),
        world(Works(), Capped((ONE_AN_HOUR, TWO_A_DAY)), journeys=BOTH),
        world(Works(), Edited("J1", (say("k1"), say("k2", transactional=True), say("k3"))), Works(), journeys=THREE),
        world(Works(), Edited("J1", (say("k1"), say("k2", when_capped="skip"), say("k3"))), Works(), journeys=THREE),
        world(Works(), Edited("J1", (say("k1"), say("k3"))), Works(), journeys=THREE),
        world(Works(), Switched("J1", False), Capped((TWO_A_DAY,)), Switched("J1", True), Works(), journeys=THREE),
        world(
            Works(),
            Tidied(),
            Works(),
            Capped((TWO_A_DAY,)),
            Works(),
            Passes(5),
            Tidied(),
            Passes(1),
            Tidied(),
            journeys=THREE,
        ),
        world(Works(dies=("sent", 1)), Works(), journeys=BOTH),
        world(Works(dies=("claimed", 1)), Works(limit=1, dies=("record", 1)), Works(), journeys=BOTH),
        world(Works(meanwhile=(Capped(()), Forgotten("u2"))), Works(), journeys=BOTH, minutes_to_send=20),
        world(Works(), journeys=(journey(say("k1"), say("k2", expires=45), say("k3", when_capped="skip")),)),
        world(Works(), journeys=(journey(say("k1", transactional=True), say("k2"), say("k3", delay=60)),)),
        world(Works(), Passes(60), Capped((TWO_A_DAY,)), Works(), Capped((ONE_A_DAY,)), Works(), journeys=BOTH),
    ],
)
def test_engine_and_reference_agree_where_caps_bite(drawn: World):
    play(drawn)
