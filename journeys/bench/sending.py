"""What every figure of sending shares: people who are due a message, and a referee who sends the same."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from journeys.actions.base import Outgoing
from journeys.bench import population
from journeys.bench.database import count, empty, settle
from journeys.bench.figure import Sizes, middle
from journeys.bench.inside_steps import drain
from journeys.bench.population import DAY, START
from journeys.bench.processes import together
from journeys.bench.sinks import Sink
from journeys.engine.load import outgoing
from journeys.models import Message

WARM_UP = 40
SLOW_SECONDS = 0.02
"""What a provider near by takes for a message. A server on loopback that takes none measures interpreters alone."""

Send = Callable[[Sequence[Any]], int]
"""A referee's way to send a share of the messages over one connection; how many it sent."""


@dataclass(frozen=True, slots=True)
class Referee:
    """`prepare` is not timed: what it makes of a message is what `send` gets."""

    prepare: Callable[[Outgoing], Any]
    send: Send


@dataclass(frozen=True, slots=True)
class Speeds:
    """Messages a second, and what was really sent."""

    engine: float
    referees: Mapping[str, float]
    details: Mapping[str, int]

    def as_slow(self, referee: str) -> dict[str, float]:
        """Details of a race whose server took its time."""
        name = f"server_of_{SLOW_SECONDS * 1000:.0f}_ms"
        reference = self.referees[referee]
        return {name: self.engine, f"{name}_reference": reference, f"{name}_ratio": self.engine / reference}


def race(
    sizes: Sizes, step: Mapping[str, Any], sink: Sink, referees: Mapping[str, Referee], connections: int
) -> Speeds:
    """The engine sends from claim to record; each referee sends the same messages over as many connections."""
    empty()
    engine: list[float] = []
    others: dict[str, list[float]] = {name: [] for name in referees}
    for number in range(sizes.rounds):
        _people(f"round-{number}-", step, sizes.sends)
        settle()
        engine.append(_speed(partial(drain, START), sizes.sends, partial(drain, START - DAY)))
        keys = Message.objects.filter(contact__user_id__contains=f"round-{number}-due").values_list("id", flat=True)
        messages = list(outgoing(keys).values())
        for name, referee in referees.items():
            ready = [referee.prepare(message) for message in messages]
            work = partial(_send_all, referee.send, ready, connections)
            warm_up = partial(_send_all, referee.send, ready[:WARM_UP], connections)
            others[name].append(_speed(work, sizes.sends, warm_up))
    details = {
        "messages": sizes.sends,
        "warm_up": min(WARM_UP, sizes.sends),
        "rounds": sizes.rounds,
        "connections": connections,
        "sent_and_recorded": count("messages", "status = 'sent'"),
        "taken_by_the_sink": int(sink.taken.value),
    }
    _check(details, len(referees))
    return Speeds(middle(engine), {name: middle(speeds) for name, speeds in others.items()}, details)


def _people(prefix: str, step: Mapping[str, Any], sends: int) -> None:
    """Those whose messages are timed, and a few who are due a day before, to warm up with."""
    journey = population.journey(prefix, [step])
    for name, people, due in (("due-", sends, START), ("early-", min(WARM_UP, sends), START - DAY)):
        population.contacts(people, f"{prefix}{name}")
        population.runs(journey, f"{prefix}{name}", due)


def _speed(work: Callable[[], int], expected: int, warm_up: Callable[[], object]) -> float:
    (done,), elapsed = together(work, warm_up=warm_up)
    if done != expected:
        raise RuntimeError(f"{done} of {expected} messages were sent: this is no figure")
    return done / elapsed


def _send_all(send: Send, messages: Sequence[Any], connections: int) -> int:
    shares = [messages[number::connections] for number in range(connections)]
    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(send, shares))


def _check(details: Mapping[str, int], referees: int) -> None:
    """Each message that anybody sent came, and each of the engine's is recorded as sent."""
    expected = details["rounds"] * (details["messages"] + details["warm_up"])
    found = (details["sent_and_recorded"], details["taken_by_the_sink"])
    if found != (expected, (1 + referees) * expected):
        raise RuntimeError(f"recorded and taken were {found}, and {expected} messages were due: this is no figure")
