"""What the log says of a request."""

from django.http import HttpRequest
from django_structlog.middlewares import RequestMiddleware


class RequestLog(RequestMiddleware):
    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Without the query string, in which people search for addresses."""
        return f"{request.method} {request.path}"
