"""The soak at a size that says nothing: a real worker, and lines with everything that has to stay flat."""

import json
import os
import subprocess
import sys

from tests.workers import ROOT


def test_a_soak_prints_what_it_saw_line_by_line():
    done = subprocess.run(
        [sys.executable, "manage.py", "soak", "--minutes", "0.1", "--every", "3", "--load", "0.2", "--burst", "200"],
        cwd=ROOT,
        env={**os.environ, "DEBUG": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    first, *lines = map(json.loads, done.stdout.splitlines())
    assert first["most_people_per_second"] > 0
    assert [line["minute"] for line in lines] == [0.05, 0.1]
    for line in lines:
        assert line["worker_processes"] >= 4
        assert 0 < line["worker_largest_rss_mb"] < line["worker_uss_mb"] * 2
        assert line["connections"] > 1
        assert line["claim_ms"] > 0
        assert {"user_journeys", "step_executions", "events"} <= line["tables"].keys()
    assert sum(line["steps_last_minute"] for line in lines) > 0
