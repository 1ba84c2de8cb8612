"""The e-mail templates that come as files: `journeys/email/<name>.html` in any of Django's template folders.

They are Liquid, never Django templates. A name that begins with an underscore is a layout, which templates extend
(`{% extends "layout" %}`) and nobody sends.
"""

import re
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.template import TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates
from liquid import BoundTemplate, Environment, RenderContext
from liquid.exceptions import TemplateNotFoundError
from liquid.loader import BaseLoader, TemplateSource

FOLDER = "journeys/email"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}", re.IGNORECASE | re.ASCII)


def read_template(name: str) -> str | None:
    """The source of the file template of that name, or None."""
    return _read(f"{name}.html") if _NAME.fullmatch(name) else None


class LayoutLoader(BaseLoader):
    """Finds what a template extends. Parsed layouts are kept, as the templates that extend them are."""

    def __init__(self) -> None:
        self._parsed: dict[str, BoundTemplate] = {}

    def load(self, env: Environment, name: str, **kwargs: Any) -> BoundTemplate:
        source = self.get_source(env, name).text
        if source not in self._parsed:
            self._parsed = {**self._parsed, source: env.from_string(source, name=name)}
        return self._parsed[source]

    def get_source(
        self, env: Environment, template_name: str, *, context: RenderContext | None = None, **kwargs: object
    ) -> TemplateSource:
        source = _read(f"_{template_name}.html") if _NAME.fullmatch(template_name) else None
        if source is None:
            raise TemplateNotFoundError(f"there is no layout {template_name!r}", token=None)
        return TemplateSource(source, template_name, None)


def _read(file_name: str) -> str | None:
    # As with Django's own templates: a changed file shows at once in development, and after a restart elsewhere.
    return _find(file_name) if settings.DEBUG else _find_once(file_name)


def _find(file_name: str) -> str | None:
    for engine in _engines():
        loader: Any  # Those that read files have `get_contents`.
        for loader in engine.engine.template_loaders:
            for origin in loader.get_template_sources(f"{FOLDER}/{file_name}"):
                try:
                    contents: str = loader.get_contents(origin)
                except TemplateDoesNotExist:
                    continue
                return contents
    return None


_find_once = lru_cache(maxsize=256)(_find)


def _engines() -> list[DjangoTemplates]:
    return [engine for engine in engines.all() if isinstance(engine, DjangoTemplates)]
