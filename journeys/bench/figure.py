"""What the bench finds: a value, what it is compared with, and the ratio of the two."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. Ratios hold from a few thousand rows on; the full run shows that they hold at a million."""

    rounds: int = 5
    runs: int = 20_000
    naive_runs: int = 500
    events: int = 20_000
    waiting: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    due: int = 1_000
    sends: int = 4_000
    backlog: int = 1_000_000
    seconds: int = 60

    def for_slow_servers(self) -> "Sizes":
        """Fewer, since each takes its time."""
        return replace(self, rounds=max(1, self.rounds // 2), sends=self.sends // 2)

    def scaled(self, scale: float) -> "Sizes":
        """The same, smaller: for trying whether the bench itself works."""
        return Sizes(
            rounds=2,
            runs=max(20, int(self.runs * scale)),
            naive_runs=max(10, int(self.naive_runs * scale)),
            events=max(20, int(self.events * scale)),
            waiting=tuple(max(50, int(rows * scale)) for rows in self.waiting),
            due=max(20, int(self.due * scale)),
            sends=max(20, int(self.sends * scale)),
            backlog=max(100, int(self.backlog * scale)),
            seconds=max(3, int(self.seconds * scale)),
        )


FULL = Sizes()
QUICK = Sizes(
    rounds=3, runs=3_000, naive_runs=100, events=3_000, waiting=(5_000, 50_000), sends=1_000, backlog=50_000, seconds=8
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. The target is kept when the ratio is at least `at_least`, or at most `at_most`."""

    name: str
    value: float
    reference: float
    unit: str
    meaning: str
    at_least: float | None = None
    at_most: float | None = None
    holds: bool = True
    """Whether what the target asks for beside the ratio holds."""
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        ratio = self.value / self.reference
        return {
            "value": _short(self.value),
            "reference": _short(self.reference),
            "ratio": _short(ratio),
            "unit": self.unit,
            "meaning": self.meaning,
            "target": self.target,
            "reached": self.holds
            and (self.at_least is None or ratio >= self.at_least)
            and (self.at_most is None or ratio <= self.at_most),
            "details": {name: _short(value) for name, value in self.details.items()},
        }

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else ""


def _short(value: Any) -> Any:
    """Four figures are more than a second run would repeat."""
    if isinstance(value, list):
        return [_short(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def per_second(work: Callable[[], int], expected: int) -> float:
    """How many a second `work` does; it says how many it did, and must have done them all."""
    gc.collect()
    started = time.perf_counter()
    done = work()
    elapsed = time.perf_counter() - started
    if done != expected:
        raise RuntimeError(f"{done} of {expected} were done: this is no figure")
    return done / elapsed


def middle(speeds: list[float]) -> float:
    return float(median(speeds))
