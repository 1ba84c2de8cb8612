"""Liquid over a run's facts. Templates see JSON values only, never a Python object's attributes.

Globals are `user`, `event`, `tags` and `now`; any other name is looked for in the run's metadata, then in the
contact's attributes, as in conditions. A name that is missing renders as nothing.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import chain
from typing import Any

from liquid import BoundTemplate
from liquid.exceptions import LiquidError
from liquid.static_analysis import Variable

from journeys.actions.base import PermanentError
from journeys.actions.language import HTML, TEXT
from journeys.logic.facts import CONTACT_COLUMNS, Facts
from journeys.logic.instants import iso

_ALWAYS_KNOWN = frozenset(
    {"now", "tags", "user.tags", "user.attributes", "event.name", "event.message_id", "event.occurred_at"}
    | {"event.properties"}
    | {f"user.{column}" for column in CONTACT_COLUMNS}
)
_DEFAULTED = re.compile(r"(?:(?!\}\}|%\}).)*?\|\s*default\s*:", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TemplateFault:
    line: int
    message: str


def render(source: str, facts: Facts, name: str = "the text") -> str:
    """The text for this contact. Raises PermanentError, which calls the template `name` and says the line."""
    return _render(source, facts, name, is_html=False)


def render_html(source: str, facts: Facts, name: str = "the HTML") -> str:
    """As `render`, with every value HTML-escaped."""
    return _render(source, facts, name, is_html=True)


def check(source: str, known: Collection[str] | None) -> list[TemplateFault]:
    """What is wrong with a template: syntax, unknown filters, unknown variables, by line.

    `known` has the dotted names that are there beside the contact's columns, such as `user.first_name` and
    `event.plan`; a bare name may be either's last part. None looks at the syntax alone. A `default` filter says that
    a variable may be missing, and makes it known.
    """
    try:
        template = _parse(source, False)
        analysis = template.analyze()
    except LiquidError as error:
        return [_fault(error, source)]
    faults = [
        TemplateFault(span.line_col(source)[0], f"there is no filter {name!r}")
        for name, spans in analysis.filters.items()
        if name not in template.env.filters
        for span in spans
        if not span.template_name
    ]
    if known is not None:
        # Those with a template's name are its layout's, and not this author's.
        variables = (v for v in chain.from_iterable(analysis.globals.values()) if not v.span.template_name)
        faults += _unknown(variables, source, known)
    return sorted(faults, key=lambda fault: (fault.line, fault.message))


def _render(source: str, facts: Facts, name: str, *, is_html: bool) -> str:
    if "{" not in source:  # Most names, headers and addresses.
        return source
    try:
        # A filter can make a NUL character, which PostgreSQL can't keep and no reader misses.
        return _parse(source, is_html).render(_globals(facts)).replace("\x00", "")
    except LiquidError as error:
        fault = _fault(error, source)
        raise PermanentError(f"{name}, line {fault.line}: {fault.message}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # A tag that got a value it can't take, past what the library itself turns into its own errors.
        raise PermanentError(f"{name}: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=512)
def _parse(source: str, is_html: bool) -> BoundTemplate:
    return (HTML if is_html else TEXT).from_string(source)


@lru_cache(maxsize=8)  # A message has several texts.
def _globals(facts: Facts) -> dict[str, Any]:
    tags = sorted(facts.tags)
    attributes = facts.user.get("attributes") or {}
    metadata = {name: value for name, value in facts.metadata.items() if value is not None}
    fixed = {"user": {**facts.user, "tags": tags}, "event": facts.event, "tags": tags, "now": iso(facts.now)}
    return {**attributes, **metadata, **fixed}


def _fault(error: LiquidError, source: str) -> TemplateFault:
    try:
        context = error.context()
    except ValueError:  # The token is the end of the source.
        context = None
    line = context[0] if context else source.rstrip().count("\n") + 1
    return TemplateFault(line, str(error.message or type(error).__name__))


def _unknown(variables: Iterable[Variable], source: str, known: Collection[str]) -> Iterator[TemplateFault]:
    paths = _ALWAYS_KNOWN.union(known, (path.rpartition(".")[2] for path in known))
    for variable in variables:
        path = _path(variable)
        if path not in paths and not _DEFAULTED.match(source, variable.span.index):
            line = variable.span.line_col(source)[0]
            yield TemplateFault(line, f"unknown variable {path}: {_advice(path, paths)}")


def _advice(path: str, paths: Collection[str]) -> str:
    if f"user.{path}" in paths:
        return f"did you mean user.{path}?"
    root, dot, name = path.rpartition(".")
    alike = [other.removeprefix(f"{root}.") for other in paths if other.startswith(f"{root}.")] if dot else paths
    if close := get_close_matches(name, alike, n=1, cutoff=0.7):
        return f"did you mean {root}{dot}{close[0]}?"
    return f'if it may be missing, write {path} | default: "…"'


def _path(variable: Variable) -> str:
    """`user.x` and `event.x` by their first two parts, other names by their first."""
    segments = [segment for segment in variable.segments if isinstance(segment, str)]
    root, *rest = segments or ["?"]
    if (root, *rest[:1]) in (("user", "attributes"), ("event", "properties")):
        rest = rest[1:] or rest
    return ".".join([root, *rest[:1]]) if root in ("user", "event") else root
