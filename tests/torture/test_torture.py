"""The harness in small: fifteen kills at random, and one at every named point. `make torture` is the long one."""

import json
import subprocess
import sys
from typing import Any

import pytest

from journeys.actions.registry import ACTIONS
from tests.torture.matrix import KINDS
from tests.workers import ROOT

pytestmark = pytest.mark.xdist_group("torture")


def torture(*options: str) -> dict[str, Any]:
    """The report; on standard error is what a broken promise needs to be understood."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", *options], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def broken(part: dict[str, Any]) -> dict[str, Any]:
    return {name: promise for name, promise in part["promises"].items() if not promise["kept"]}


def test_workers_that_are_killed_at_random_break_no_promise():
    part = torture("--only", "random", "--kills", "15", "--executions", "3000", "--lease", "3")["random"]
    assert broken(part) == {}, f"--seed {part['seed']}"
    assert (part["kills"], part["executions"] >= 3000) == (15, True)
    assert part["runs"].keys() == {"completed", "failed", "exited"}


def test_the_matrix_has_every_action():
    assert set(KINDS) - {"skip", "exit_condition", "exit_on"} == set(ACTIONS)


def test_workers_that_are_killed_at_every_point_of_every_kind_of_step_break_no_promise():
    part = torture("--only", "matrix", "--lease", "6")["matrix"]
    assert broken(part) == {}
    assert part["killed_there"] == part["cells"] == 6 * 17 + 8 * 4


def test_workers_that_are_killed_while_nothing_can_be_recorded_have_sent_no_more_than_the_bound():
    part = torture("--only", "bound", "--workers", "2", "--lease", "3")["bound"]
    assert broken(part) == {}
    assert (part["kills"], part["claimed_by_each"] > part["repeats_per_kill"]["bound"]) == (2, True)
    assert 0 < part["repeats"] <= 2 * part["repeats_per_kill"]["bound"]
