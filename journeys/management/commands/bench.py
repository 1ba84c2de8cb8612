"""`manage.py bench`: what this machine does, and how near that is to what its database can do (docs/performance.md)."""

import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from journeys.bench.figure import FULL, QUICK, Figure
from journeys.bench.run import FIGURES, measure

LINE = "{:<14}{:>12}{:>12}{:>9}  {:<9}{}"


class Command(BaseCommand):
    help = "Measure the engine on a database of its own, which is dropped again. Nothing leaves this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="within two minutes, with smaller backlogs")
        parser.add_argument("--json", action="store_true", help="the figures as JSON, and nothing else")
        parser.add_argument("--only", type=_names, default=(), help=f"some of {','.join(FIGURES)}")
        parser.add_argument("--scale", type=float, default=1.0, help="a share of the sizes; too small to mean much")

    def handle(self, *args: Any, **options: Any) -> None:
        sizes = QUICK if options["quick"] else FULL
        if options["scale"] != 1:
            sizes = sizes.scaled(options["scale"])
        found = {}
        if not options["json"]:
            self.stdout.write(LINE.format("", "value", "reference", "ratio", "target", ""))
        for figure in measure(sizes, options["only"]):
            found[figure.name] = figure.as_json()
            if not options["json"]:
                self._print(figure)
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))

    def _print(self, figure: Figure) -> None:
        line = figure.as_json()
        numbers = (
            f"{line[name]:,.4g}" if line[name] < 1000 else f"{line[name]:,.0f}" for name in ("value", "reference")
        )
        ratio, target = f"{line['ratio']:.3g}", line["target"] if line["reached"] else f"not {line['target']}"
        self.stdout.write(LINE.format(figure.name, *numbers, ratio, target, f"{figure.unit}: {figure.meaning}"))
        for name, value in line["details"].items():
            self.stdout.write(f"    {name}: {value}")


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in FIGURES:
            raise ArgumentTypeError(f"there is no figure {name!r}: choose from {', '.join(FIGURES)}")
    return names
