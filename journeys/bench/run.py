"""The figures in their order, measured one after the other on one database."""

from collections.abc import Callable, Collection, Iterator

from journeys.bench.awaited import awaited
from journeys.bench.backlog import backlog
from journeys.bench.database import own_database
from journeys.bench.email import email
from journeys.bench.enrolment import enrolment
from journeys.bench.figure import Figure, Sizes
from journeys.bench.flow import flow
from journeys.bench.idle_scaling import idle_scaling
from journeys.bench.inside_steps import inside_steps
from journeys.bench.lateness import lateness
from journeys.bench.naive import naive
from journeys.bench.segments import segments
from journeys.bench.webhook import webhook

FIGURES: dict[str, Callable[[Sizes], Figure]] = {
    "inside_steps": inside_steps,
    "flow": flow,
    "naive": naive,
    "idle_scaling": idle_scaling,
    "enrolment": enrolment,
    "awaited": awaited,
    "email": email,
    "webhook": webhook,
    "backlog": backlog,
    "lateness": lateness,
    "segments": segments,
}


def measure(sizes: Sizes, only: Collection[str] = ()) -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    with own_database():
        for name, figure in FIGURES.items():
            if not only or name in only:
                yield figure(sizes)
