"""What the sinks write down: a line for each message that came whole. It is read when all is over."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that came whole. `worker` is who sent it, `digest` is of its bytes."""

    channel: str
    key: str
    worker: str
    digest: str
    taken: bool
    at: float


class Ledger:
    """Where deliveries are written down, a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("")

    def read(self) -> list[Delivery]:
        return [Delivery(*json.loads(line)) for line in self.path.read_text().splitlines()]
