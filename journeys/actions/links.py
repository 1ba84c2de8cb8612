"""URLs with Liquid in their path and query. Where a URL leads, its scheme and host, is fixed by who writes the step:
what a contact or an event says about itself can't redirect it, nor add a segment or a parameter.
"""

import re
from functools import lru_cache
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

from journeys.actions.base import PermanentError
from journeys.actions.render import check, render
from journeys.logic.facts import Facts

MAX_URL = 2048

_ORIGIN = re.compile(r"https?://[^/?#{}\s\\]+", re.IGNORECASE)
_OUTPUT = re.compile(r"\{\{(-?)(.*?)(-?)\}\}", re.DOTALL)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_ENCODE = '| url_encode | replace: "+", "%20"'


def liquid(source: str) -> str:
    """A validator: Liquid that can be parsed."""
    if "\x00" in source:
        raise ValueError("must not hold a NUL character")
    for fault in check(source, None):
        raise ValueError(f"line {fault.line}: {fault.message}")
    return source


def link(source: str) -> str:
    """A validator: an http or https URL whose scheme and host are fixed."""
    if not source:
        return source
    origin = _ORIGIN.match(source)
    if origin is None:
        raise ValueError("must begin with http:// or https:// and a host; variables may follow in path and query")
    if source[origin.end() : origin.end() + 1] not in ("", "/", "?", "#"):
        raise ValueError("scheme and host can't hold variables; path and query can")
    try:
        parts = urlsplit(origin[0])
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise ValueError(f"has a malformed host: {error}") from error
    if not has_host:
        raise ValueError("has no host")
    if parts.username is not None:
        raise ValueError("must not hold a user name or password; use a header")
    return liquid(source)


LiquidText = Annotated[str, AfterValidator(liquid)]
LiquidUrl = Annotated[str, AfterValidator(link)]


def render_link(source: str, facts: Facts) -> str:
    """The URL for this run. Each variable is percent-encoded, unless its template does so itself."""
    url = _UNSAFE.sub("", render(_all_encoded(source), facts, "the URL").strip())
    if len(url) > MAX_URL:
        raise PermanentError(f"the URL is longer than {MAX_URL} characters")
    # A value of ".." climbs out of the path that was written, since clients normalize paths.
    may_climb = "/." in url or "%2" in url
    if may_climb and any(unquote(segment) in (".", "..") for segment in urlsplit(url).path.split("/")):
        raise PermanentError("the URL's path holds a segment of dots")
    return url


@lru_cache(maxsize=512)
def _all_encoded(source: str) -> str:
    return _OUTPUT.sub(_encoded, source)


def _encoded(output: re.Match[str]) -> str:
    left, expression, right = output.groups()
    if "url_encode" in expression or not expression.strip():
        return output[0]
    return f"{{{{{left}{expression.rstrip()} {_ENCODE} {right}}}}}"
