"""What every figure of sending shares: people who are due a message, and connections that are opened by a referee."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from journeys.actions.base import Outgoing
from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Figure, Sizes, middle
from journeys.bench.inside_steps import drain
from journeys.bench.population import START
from journeys.bench.processes import together
from journeys.bench.sinks import Sink
from journeys.engine.load import outgoing
from journeys.models import Message

Send = Callable[[Sequence[Outgoing]], int]
"""A referee's way to send a share of the messages over one connection; how many it sent."""


def race(sizes: Sizes, step: Mapping[str, Any], sink: Sink, send: Send, connections: int) -> dict[str, list[float]]:
    """Messages a second: by the engine from claim to record, and by a referee who sends the same bytes at once."""
    empty()
    speeds: dict[str, list[float]] = {"engine": [], "bare": []}
    for number in range(sizes.rounds):
        prefix = f"round-{number}-"
        population.contacts(sizes.sends, prefix)
        population.runs(population.journey(prefix, [step]), prefix, START)
        settle()
        speeds["engine"].append(_speed(partial(drain, START), sizes.sends))
        messages = list(outgoing(Message.objects.order_by("-id").values_list("id", flat=True)[: sizes.sends]).values())
        speeds["bare"].append(_speed(partial(_send_all, send, messages, connections), sizes.sends))
    _check(sizes, sink)
    return speeds


def figure(name: str, sizes: Sizes, sink: Sink, speeds: dict[str, list[float]], meaning: str, target: float) -> Figure:
    return Figure(
        name,
        middle(speeds["engine"]),
        middle(speeds["bare"]),
        "messages/s",
        meaning,
        at_least=target,
        details={
            "messages": sizes.sends,
            "rounds": sizes.rounds,
            "sent_and_recorded": count("messages", "status = 'sent'"),
            "taken_by_the_sink": int(sink.taken.value),
        },
    )


def _speed(work: Callable[[], int], expected: int) -> float:
    (done,), elapsed = together(work)
    if done != expected:
        raise RuntimeError(f"{done} of {expected} messages were sent: this is no figure")
    return done / elapsed


def _send_all(send: Send, messages: Sequence[Outgoing], connections: int) -> int:
    shares = [messages[number::connections] for number in range(connections)]
    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(send, shares))


def _check(sizes: Sizes, sink: Sink) -> None:
    expected = sizes.rounds * sizes.sends
    recorded, taken = count("messages", "status = 'sent'"), int(sink.taken.value)
    if (recorded, taken) != (expected, 2 * expected):
        raise RuntimeError(f"{recorded} of {expected} were recorded, {taken} of {2 * expected} came: this is no figure")
