"""What is wrong with something that somebody wrote, and exactly where."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from journeys.actions.base import ConfigError
from journeys.actions.sentences import sentence
from journeys.logic.conditions import ConditionError, validate
from journeys.logic.json_values import join


@dataclass(frozen=True, slots=True)
class Fault:
    """`path` leads to the place (`steps[2].action_config.subject`; empty for the whole)."""

    path: str
    message: str


class Faulty(ValueError):
    """It can't be accepted; `faults` are all the reasons."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(f"{fault.path}: {fault.message}".removeprefix(": ") for fault in self.faults))


def faults_in(error: ValidationError, at: str = "") -> list[Fault]:
    """Each fault that pydantic found in a body, below the path `at`."""
    return [
        Fault(join(at, path_of(raw["loc"])), sentence(raw))
        for raw in error.errors(include_url=False, include_input=False)
    ]


def faults_in_config(error: ConfigError, at: str) -> list[Fault]:
    """Each fault of an action's or a trigger's config, below the path `at`."""
    return [
        Fault(join(at, re.sub(r"(?:^|\.)(\d+)(?=\.|$)", r"[\1]", field)), message)
        for field, message in error.errors.items()
    ]


def condition_faults(condition: Any, at: str, validate: Callable[[Any], None] = validate) -> Iterator[Fault]:
    """What is wrong with a condition at the path `at`, by a run's rules or by those of `validate`."""
    try:
        validate(condition)
    except ConditionError as error:
        yield Fault(join(at, error.path), error.message)


def path_of(location: Iterable[int | str]) -> str:
    """`("steps", 2, "name")` as `steps[2].name`."""
    path = ""
    for part in location:
        path = join(path, f"[{part}]" if isinstance(part, int) else part)
    return path
