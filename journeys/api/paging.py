"""Pages of a list: `?page_size=`, and RFC 8288 links to the next and the first page. By keyset: no count, no offset."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from journeys.api.errors import refuse
from journeys.logic import json_values

DEFAULT_SIZE, MAX_SIZE = 50, 100

M = TypeVar("M", bound=Model)


def page(
    request: Request, rows: QuerySet[M], order: Sequence[str], filters: Sequence[str] = ()
) -> tuple[list[M], dict[str, str]]:
    """One page, and the headers that lead on. `order` names columns (`-priority`) that together are unique.

    `filters` are the query's other parameters: a misspelt one is refused, for else it would look like an answer.
    """
    for name in request.query_params:
        if name not in ("page_size", "cursor", *filters):
            raise refuse(name, "is no parameter of this list")
    size = _size(request.query_params.get("page_size"))
    cursor = request.query_params.get("cursor")
    rows = rows.order_by(*order)
    if cursor:
        rows = rows.filter(_behind(_values(rows.model, cursor, order), order))
    found = list(rows[: size + 1])
    links = [_link(request, None, "first")]
    if len(found) > size:
        found.pop()
        links.insert(0, _link(request, _cursor(found[-1], order), "next"))
    return found, {"Link": ", ".join(links)}


def _size(text: str | None) -> int:
    if text is None:
        return DEFAULT_SIZE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= MAX_SIZE):
        raise refuse("page_size", f"must be a whole number from 1 to {MAX_SIZE}")
    return int(text)


def _cursor(row: Model, order: Sequence[str]) -> str:
    values = [getattr(row, name.lstrip("-")) for name in order]
    return base64.urlsafe_b64encode(json.dumps(values, default=str).encode()).decode().rstrip("=")


def _values(model: type[Model], cursor: str, order: Sequence[str]) -> list[Any]:
    """The values in a cursor that `_cursor` made; whatever else it may be is refused."""
    try:
        raw = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(raw, list) or any(json_values.faults(raw)):
            raise ValueError(raw)
        fields = [model._meta.get_field(name.lstrip("-")) for name in order]
        values = [field.to_python(value) for field, value in zip(fields, raw, strict=True)]  # type: ignore[union-attr]
        for field, value in zip(fields, values, strict=True):
            field.run_validators(value)  # type: ignore[union-attr]
    except (ValueError, TypeError, RecursionError, OverflowError, binascii.Error, ValidationError) as error:
        raise NotFound("cursor: this list has no such page") from error
    if None in values:
        raise NotFound("cursor: this list has no such page")
    return values


def _behind(values: Sequence[Any], order: Sequence[str]) -> Q:
    """Rows that come later than these values: later in the first column, or equal there and later in the next, …"""
    behind = Q()
    equal = Q()
    for name, value in zip(order, values, strict=True):
        column = name.lstrip("-")
        comparison = "lt" if name.startswith("-") else "gt"
        behind |= equal & Q(**{f"{column}__{comparison}": value})
        equal &= Q(**{column: value})
    return behind


def _link(request: Request, cursor: str | None, relation: str) -> str:
    parameters = request.query_params.copy()
    parameters.pop("cursor", None)
    if cursor is not None:
        parameters["cursor"] = cursor
    query = parameters.urlencode()
    return f'<{request.build_absolute_uri(request.path + ("?" + query if query else ""))}>; rel="{relation}"'
