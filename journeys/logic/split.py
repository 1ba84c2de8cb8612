"""Which lane of an A/B split somebody is in: by a hash, so that it is the same each time, anywhere."""

import hashlib
import math
from collections.abc import Mapping

RANGE = 2**56


def choose(weights: Mapping[str, int], who: str) -> str:
    """The lane of `who`. A lane gets a share of all people that is its weight's share of the sum.

    Each lane draws a number from an exponential distribution with its weight as the rate, and the smallest wins: so a
    change of one weight moves people only to or from that lane, and no more than it must (weighted rendezvous hashing).
    A lane of weight 0 gets nobody. Raises ValueError where no lane has a weight.
    """
    rivals = [name for name, weight in weights.items() if weight > 0]
    if not rivals:
        raise ValueError("no lane has a weight")
    return min(rivals, key=lambda name: _draw(name, who) / weights[name])


def _draw(lane: str, who: str) -> float:
    uniform = (number_of(who, lane) + 0.5) / RANGE  # Neither 0 nor 1.
    return -math.log(uniform)


def number_of(who: str, what: str) -> int:
    """A number below RANGE that looks drawn, and is always the same for `who` in the matter of `what`."""
    digest = hashlib.sha256(f"{who}:{what}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
