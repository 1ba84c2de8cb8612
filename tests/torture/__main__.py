"""`python -m tests.torture`: workers are killed while they work, and then every promise is checked.

Prints one JSON object; ends with 1 where a promise was broken. On a database of its own, which is dropped again.
"""

import argparse
import json
import os
import random
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--executions", type=int, default=100_000, help="at least so many")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--lease", type=int, default=4, metavar="SECONDS")
    parser.add_argument("--batch", type=int, default=25, help="runs that a worker claims at once")
    parser.add_argument(
        "--answer", type=float, default=0.02, metavar="SECONDS", help="that a provider takes, on average"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of when whom is killed")
    parser.add_argument("--only", choices=("random", "matrix", "bound"), action="append", help="one part of it")
    parser.add_argument("--report", type=Path, help="where to write the JSON to, beside standard output")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from tests.torture import bound, kills, matrix, report

    options = kills.Options(
        asked.kills, asked.executions, asked.workers, asked.lease, asked.batch, asked.answer, asked.seed
    )
    parts = {
        "random": lambda: report.of_kills(options, kills.play(options)),
        "matrix": lambda: report.of_matrix(matrix.play(options.lease)),
        "bound": lambda: report.of_bound(bound.play(options.workers, options.lease)),
    }
    found = {name: part() for name, part in parts.items() if not asked.only or name in asked.only}
    text = json.dumps(found, indent=2)
    sys.stdout.write(text + "\n")
    if asked.report:
        asked.report.write_text(text + "\n")
    return 0 if all(map(report.is_kept, found.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
