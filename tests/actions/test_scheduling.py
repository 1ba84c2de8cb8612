from datetime import time
from typing import Any

import pytest

from journeys.actions.base import ConfigError
from journeys.actions.scheduling import ScheduleNextStep
from journeys.logic.effects import Prepared, ScheduleNext
from tests.actions.contexts import make_context

ACTION = ScheduleNextStep()


@pytest.mark.parametrize(
    ("raw", "effect"),
    [
        ({"delay_minutes": 90}, ScheduleNext(delay_minutes=90)),
        ({"delay_minutes": 0}, ScheduleNext(delay_minutes=0)),
        ({"at": "09:00"}, ScheduleNext(at=time(9))),
        ({"at": "23:59", "days": ["mon", "sun"]}, ScheduleNext(at=time(23, 59), days=frozenset({0, 6}))),
    ],
)
def test_it_says_when_the_next_step_is_due(raw: dict[str, Any], effect: ScheduleNext) -> None:
    assert ACTION.prepare(ACTION.parse(raw), make_context()) == Prepared((effect,), result={"status": "scheduled"})


@pytest.mark.parametrize("raw", [{}, {"delay_minutes": None, "at": None, "days": []}])
def test_left_empty_it_changes_nothing(raw: dict[str, Any]) -> None:
    assert ACTION.prepare(ACTION.parse(raw), make_context()) == Prepared((), result={"status": "scheduled"})


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"delay_minutes": -1}, "delay_minutes"),
        ({"delay_minutes": 10**9}, "delay_minutes"),
        ({"delay_minutes": "5"}, "delay_minutes"),
        ({"delay_minutes": True}, "delay_minutes"),
        ({"at": "9:00"}, "at"),
        ({"at": "24:00"}, "at"),
        ({"at": "09:00:00"}, "at"),
        ({"at": "09:00\n"}, "at"),
        ({"at": ""}, "at"),
        ({"delay_minutes": 5, "at": "09:00"}, "at"),
        ({"days": ["mon"]}, "days"),
        ({"at": "09:00", "days": ["monday"]}, "days.0"),
        ({"at": "09:00", "days": ["mon", "mon"]}, "days"),
        ({"in": 5}, "in"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_its_field(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse(raw)
    assert list(caught.value.errors) == [field]
