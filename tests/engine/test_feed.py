"""Which message goes next: destinations take turns, one that fails is left alone, and a slot is waited for."""

import threading
import time
from datetime import UTC, datetime
from uuid import uuid4

from journeys.actions.base import Outgoing
from journeys.engine.feed import Feed
from journeys.logic.effects import Delivered, Undelivered

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
DOWN = Undelivered("no answer", permanent=False, destination="down")
BUSY = Undelivered("later", permanent=False, destination="busy")


def messages(*destinations: str) -> list[tuple[float, Outgoing]]:
    return [(0.0, Outgoing(uuid4(), "webhook", to, "", "", "", {}, NOW)) for to in destinations]


def feed(*waiting: tuple[float, Outgoing], senders: int = 4, may_send=lambda: True) -> Feed:
    return Feed(waiting, lambda message: message.to, senders, 3, may_send)


def taken(it: Feed) -> Outgoing:
    message = it.take()
    assert message is not None
    return message


def test_destinations_take_turns():
    it = feed(*messages("a", "a", "a", "b", "b", "c"))
    order = []
    while (message := it.take()) is not None:
        it.done(message, Delivered({}))
        order.append(message.to)
    assert order == ["a", "b", "c", "a", "b", "a"]


def test_one_that_hangs_keeps_half_of_the_senders_while_others_have_messages():
    it = feed(*messages(*"aaaaaa", *"bbbb"))
    hanging = 0
    order = []
    for _ in range(6):
        message = taken(it)
        order.append(message.to)
        if message.to == "b":
            it.done(message, Delivered({}))
        else:
            hanging += 1
    assert (order.count("b"), hanging) == (4, 2)
    assert [taken(it).to, taken(it).to] == ["a", "a"], "alone, it may have all four"


def test_one_that_fails_again_and_again_is_left_alone():
    it = feed(*messages(*"aaaaaaaa", "b"), senders=1)
    outcomes = {"a": DOWN, "b": Delivered({})}
    order = []
    while (message := it.take()) is not None:
        order.append(message.to)
        it.done(message, outcomes[message.to])
    assert sorted(order) == ["a", "a", "a", "b"]


def test_a_success_between_failures_begins_the_count_anew():
    it = feed(*messages(*"aaaaaaaa"))
    order = [DOWN, DOWN, Delivered({}), DOWN, DOWN, DOWN]
    for outcome in order:
        it.done(taken(it), outcome)
    assert it.take() is None


def test_one_that_is_busy_is_left_alone_at_once():
    it = feed(*messages(*"aab"))
    it.done(taken(it), BUSY)
    assert taken(it).to == "b"
    assert it.take() is None


def test_what_has_no_destination_of_its_own_is_never_given_up():
    it = feed(*messages(*[""] * 10))
    for _ in range(10):
        it.done(taken(it), DOWN)
    assert it.take() is None


def test_a_slot_is_waited_for_and_others_go_meanwhile():
    (_, late), (_, now) = messages("a", "b")
    at = time.monotonic() + 0.3
    it = feed((at, late), (0.0, now))
    assert taken(it) is now
    assert taken(it) is late
    assert time.monotonic() >= at


def test_who_waits_for_a_slot_leaves_when_the_lease_ends():
    ((_, late),) = messages("a")
    until = time.monotonic() + 0.2
    it = feed((time.monotonic() + 60, late), may_send=lambda: time.monotonic() < until)
    assert it.take() is None


def test_a_sender_that_waits_for_anothers_end_goes_on_with_it():
    it = feed(*messages("a", "a", "b"), senders=2)
    first, second = taken(it), taken(it)
    assert {first.to, second.to} == {"a", "b"}
    found: list[Outgoing | None] = []
    waiting = threading.Thread(target=lambda: found.append(it.take()))
    waiting.start()
    it.done(first, Delivered({}))
    waiting.join(10)
    assert [message and message.to for message in found] == ["a"]
