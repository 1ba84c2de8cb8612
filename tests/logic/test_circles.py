from collections.abc import Mapping
from typing import Any

import pytest

from journeys.logic.circles import circle, started_at_once

WHEN = {"field": "plan", "op": "eq", "value": "vip"}
Step = Mapping[str, Any]


def step(kind: str, delay: int = 0, condition: Any = None, lanes: Any = (), on: bool = True, **config: Any) -> Step:
    return {
        "action_type": kind, "delay_minutes": delay, "condition": condition, "lanes": list(lanes), "is_active": on,
        "action_config": config,
    }  # fmt: skip


def lane(*steps: Step, **more: Any) -> Step:
    return {"name": "lane", "steps": list(steps), **more}


def schedule(**config: Any) -> Step:
    return step("schedule_next", **config)


B, TAG, EXIT = step("start_journey", journey="b"), step("apply_tag"), step("exit_journey")


@pytest.mark.parametrize(
    "steps",
    [
        [B],
        [TAG, B],
        [{**B, "condition": WHEN}],
        [step("branch", lanes=[lane(B, condition=WHEN)])],
        [step("branch", lanes=[lane(step("apply_tag", 5), condition=WHEN)]), B],
        [step("ab_split", lanes=[lane(step("apply_tag", 5)), lane()]), B],
        [step("wait_for_event", condition=WHEN, lanes=[lane(), lane()]), B],
        [{**EXIT, "condition": WHEN}, B],
        [schedule(delay_minutes=0), {**B, "delay_minutes": 60}],
        [{**schedule(delay_minutes=60), "condition": WHEN}, B],
        [schedule(), B],
        [step("apply_tag", 60, on=False), B],
        [step("branch", lanes=[lane(schedule(delay_minutes=0))]), {**B, "delay_minutes": 60}],
    ],
)
def test_what_may_be_started_without_any_wait_is_found(steps: list[Step]) -> None:
    assert started_at_once(steps) == {"b"}


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [{**B, "delay_minutes": 1}],
        [step("apply_tag", 1), B],
        [step("apply_tag", 1, condition=WHEN), B],
        [{**B, "is_active": False}],
        [step("wait_for_event", lanes=[lane(B), lane()]), B],
        [EXIT, B],
        [schedule(delay_minutes=60), B],
        [schedule(at="09:00"), B],
        [schedule(), {**B, "delay_minutes": 1}],
        [step("branch", lanes=[lane(step("apply_tag", 5), condition=WHEN), lane(EXIT)]), B],
        [step("ab_split", lanes=[lane(step("apply_tag", 5)), lane(schedule(delay_minutes=5))]), B],
    ],
)
def test_what_is_only_started_after_a_wait_or_never_is_not(steps: list[Step]) -> None:
    assert started_at_once(steps) == set()


def test_a_circle_is_named_by_its_shortest_way() -> None:
    starts = {"a": {"b", "c"}, "b": {"c"}, "c": {"a", "d"}, "d": {"d"}}
    assert circle("a", starts) == ["a", "c", "a"]
    assert circle("d", starts) == ["d", "d"]
    assert circle("a", {"a": {"b"}, "b": {"d"}, "d": {"b"}}) == []
