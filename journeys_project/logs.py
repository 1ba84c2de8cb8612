"""What the log says of a request."""

from collections.abc import Awaitable

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
