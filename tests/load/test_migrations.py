"""All migrations after the first, on filled tables while others write. `make migrations-under-load` is the long one."""

import json
import subprocess
import sys

from tests.workers import ROOT


def test_migrations_lose_nothing_and_fail_nobody_who_writes_meanwhile():
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.migrations", "--rows", "20000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert (report["errors"], report["lost"]) == ([], 0)
    assert report["transactions"] > 0
