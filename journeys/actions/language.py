"""Our Liquid: its limits, what it leaves out, and its dates."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from liquid import BoundTemplate, Environment, RenderContext, Token
from liquid.exceptions import FilterArgumentError
from liquid.extra import BlockTag, ExtendsTag
from liquid.filter import with_context
from liquid.undefined import is_undefined

from journeys.actions.files import LayoutLoader
from journeys.logic.instants import parse_instant

MAX_OUTPUT = 512 * 1024
MAX_LOOPS = 10_000
MAX_VARIABLES = 256 * 1024

_DATE_ONLY = len("2026-01-31")


@with_context
def _date(value: Any, form: Any = "%Y-%m-%d", *, context: RenderContext) -> str:
    """Liquid's `date` with the run's clock as "now", in the contact's time zone. A date without a time stays as it is.

    The library's own reads the server's clock and completes half a date by it.
    """
    if value is None or is_undefined(value):
        return ""
    if value in ("now", "today"):
        value = context.resolve("now")
    moment = _moment(value, context)
    if moment is None:
        return str(value)
    try:
        return moment.strftime(str(form))
    except ValueError as error:
        raise FilterArgumentError(f"date: {error}", token=None) from error


def _moment(value: Any, context: RenderContext) -> datetime | None:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            moment = datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            return None
    elif isinstance(value, str) and (parsed := parse_instant(value)) is not None:
        if len(value) == _DATE_ONLY:
            return parsed
        moment = parsed
    else:
        return None
    user: Mapping[str, Any] = context.resolve("user")
    try:
        return moment.astimezone(ZoneInfo(user.get("timezone") or "UTC"))
    except (ZoneInfoNotFoundError, OSError, ValueError, OverflowError):  # OSError: "America" is a folder.
        return moment


class _Context(RenderContext):
    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        """The filter; what it raises over a value that it can't take becomes Liquid's own error, which has a line."""
        function = super().filter(name, token)

        def guarded(*args: Any, **options: Any) -> object:
            try:
                return function(*args, **options)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise FilterArgumentError(f"{name}: {error}", token=token) from error

        return guarded


class _Template(BoundTemplate):
    context_class = _Context


class _Environment(Environment):
    template_class = _Template
    output_stream_limit = MAX_OUTPUT
    loop_iteration_limit = MAX_LOOPS
    local_namespace_limit = MAX_VARIABLES

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        # Other files come in one way only: a template may extend a layout.
        del self.tags["include"], self.tags["render"]
        del self.filters["safe"]  # A contact's own words never become markup.
        self.add_tag(ExtendsTag)
        self.add_tag(BlockTag)
        self.add_filter("date", _date)


TEXT = _Environment(loader=LayoutLoader())
HTML = _Environment(loader=LayoutLoader(), autoescape=True)
