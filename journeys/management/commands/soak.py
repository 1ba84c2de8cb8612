"""`manage.py soak`: whether memory, connections and dead rows stay flat under a steady load (docs/performance.md)."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from journeys.bench.soak import BURST, LOAD, soak


class Command(BaseCommand):
    help = "Keep a worker busy on a database of its own, which is dropped again; a line of JSON a minute."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--minutes", type=float, default=60, help="for how long; 60 by default")
        parser.add_argument("--every", type=float, default=60, help="seconds from line to line")
        parser.add_argument("--load", type=float, default=LOAD, help="the share of what the worker can do")
        parser.add_argument("--burst", type=int, default=BURST, help="people by whom that is found out")

    def handle(self, *args: Any, **options: Any) -> None:
        for line in soak(options["minutes"], options["every"], options["load"], options["burst"]):
            self.stdout.write(json.dumps(line))
            self.stdout.flush()
