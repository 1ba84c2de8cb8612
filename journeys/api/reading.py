"""Reading a body: at most 1 MB, in whatever way it comes, strict JSON, nothing that PostgreSQL can't keep."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any, NoReturn, TypeVar

from django.http import HttpRequest
from pydantic import BaseModel, ValidationError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from journeys.api.errors import TooLarge
from journeys.authoring.document import MAX_BODY_DEPTH
from journeys.authoring.faults import Fault, Faulty, faults_in
from journeys.logic import json_values

MAX_BYTES = 1_000_000
MAX_DISCARDED = 32_000_000

B = TypeVar("B", bound=BaseModel)


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it, in UTF-8. A body that can't be stored is refused here, with the places."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise TooLarge
        value = load(data)
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        refuse_unstorable(value)


class BatchJSONParser(StrictJSONParser):
    """Leaves the elements of a list to the view, which answers for each by itself: one bad one spoils no other."""

    def check(self, value: Any) -> None:
        if not isinstance(value, list):
            refuse_unstorable(value)


def refuse_unstorable(value: Any) -> None:
    """Raise Faulty with all that PostgreSQL can't keep of a body."""
    unstorable = [Fault(*fault) for fault in json_values.faults(value, max_depth=MAX_BODY_DEPTH)]
    if unstorable:
        raise Faulty(unstorable)


def load(data: bytes) -> Any:
    """The JSON value in `data`. Raises ParseError."""
    try:
        return json.loads(data.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError as error:
        raise ParseError("malformed JSON: nested too deep") from error
    except ValueError as error:
        raise ParseError(f"malformed JSON: {error}") from error


def parse(model: type[B], value: Any) -> B:
    """The typed body. Raises Faulty with all that is wrong with it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Faulty(faults_in(error)) from error


def limit_body(request: HttpRequest) -> None:
    """Raise TooLarge for a body over the limit, before it is read where its length is announced.

    Django takes a body without Content-Length for an empty one. A server that says that its input ends by itself
    (gunicorn does, for chunked bodies) is read from here instead.
    """
    announced = request.META.get("CONTENT_LENGTH") or ""
    if announced.isascii() and announced.isdigit() and int(announced) > MAX_BYTES:
        _discard(request)
        raise TooLarge
    if not announced and request.META.get("wsgi.input_terminated") and "HTTP_TRANSFER_ENCODING" in request.META:
        data = request.META["wsgi.input"].read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            _discard(request.META["wsgi.input"])
            raise TooLarge
        request.META["CONTENT_LENGTH"] = str(len(data))
        request._stream = BytesIO(data)


def _discard(body: IO[bytes] | HttpRequest) -> None:
    """Read the rest: unread, it would cost the client the answer, or the next request on the same connection.

    Who sends far more than anybody needs is cut off.
    """
    left = MAX_DISCARDED
    while left > 0 and (chunk := body.read(64 * 1024)):
        left -= len(chunk)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object. Of a key that comes twice, each reader would take another value (RFC 8259 §4)."""
    read = dict(pairs)
    if len(read) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r:.60} comes twice in one object")
    return read
