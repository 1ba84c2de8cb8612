"""What the log says of a request."""

import logging
from collections.abc import Awaitable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

PROBES = ("/healthz", "/readyz", "/metrics")


class RequestLog(RequestMiddleware):
    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        """What monitors ask every few seconds is not worth a line."""
        return self.get_response(request) if request.path in PROBES else super().__call__(request)

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Without the query string, in which people search for addresses."""
        return f"{request.method} {request.path}"


class NotUnready(logging.Filter):
    """A probe's 503 is an answer, no error of the service: who asked knows it, and a start always has some."""

    def filter(self, record: logging.LogRecord) -> bool:
        path = getattr(getattr(record, "request", None), "path", "")
        return not (path in PROBES and getattr(record, "status_code", None) == HTTPStatus.SERVICE_UNAVAILABLE)
