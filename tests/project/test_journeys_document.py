"""docs/journeys.md is true: each of its examples is a journey, and its story is what the engine does."""

from pathlib import Path

import pytest

from journeys.actions.registry import ACTIONS
from tests.project.stories import Example, examples, play

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "journeys.md").read_text()
EXAMPLES = list(examples(TEXT))


@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES, ids=[example.title for example in EXAMPLES])
def test_the_story_is_what_happens(example: Example):
    told, done = play(example)
    assert done == told


@pytest.mark.django_db
def test_a_story_that_leaves_something_out_is_not_what_happens():
    whole = EXAMPLES[0]
    shortened = Example(whole.title, whole.documents, tuple(line for line in whole.story if "Intro" not in line))
    told, done = play(shortened)
    assert set(done) - set(told) == {("2026-03-02 12:05:00", "ana", "Intro")}


def test_every_step_that_steers_a_journey_has_an_example():
    steering = {"schedule_next", *(kind for kind, action in ACTIONS.items() if action.lane_has or action.lane_names)}
    assert {kind for kind in steering if f'"{kind}"' not in TEXT} == set()
