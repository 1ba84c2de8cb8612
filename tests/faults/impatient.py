"""`manage.py worker` with a watchdog that waits for seconds where the real one waits for a minute."""

import os
import sys
from datetime import timedelta

import django
from django.core.management import call_command


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from journeys import tasks
    from journeys.management.commands import worker

    worker.STARTING_SECONDS, worker.LOOK_SECONDS, worker.STOP_SECONDS = 10, 0.5, 1
    worker.SILENCE = tasks.CHAIN_BROKEN_AFTER = timedelta(seconds=3)
    sys.argv[0] = "manage.py"  # What it starts its cluster with.
    call_command("worker")


if __name__ == "__main__":
    main()
