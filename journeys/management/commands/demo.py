"""`manage.py demo`: thirty days of a subscription business, in under a minute."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from journeys.demo.build import NotOurs, build, is_ours, reset
from journeys.engine.clock import database_clock


class Command(BaseCommand):
    help = "Fill an empty database with the demo. Its messages are captured, never sent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reset", action="store_true", help="take the demo's data away and make it anew")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["reset"]:
                self.stdout.write(f"{reset(database_clock())} contacts of the demo removed")
            elif is_ours():
                self.stdout.write("The demo is here already; --reset makes it anew.")
                return
            build(database_clock())
        except NotOurs as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The demo is ready.")
