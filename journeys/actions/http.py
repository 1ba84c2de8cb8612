"""The one HTTP client. Every request has a deadline, follows no redirect and reads a bounded answer.

It raises TransientError and PermanentError only, and no error names the URL: Telegram's holds the bot's token. For
the same reason requests go to httpcore, below the client that logs URLs (and which costs as much again).
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpcore
import httpx
from ssrfguard import SSRFGuardError

from journeys.actions import guard, transport
from journeys.actions.base import Outgoing, PermanentError, TransientError, undelivered
from journeys.logic.effects import Outcome
from journeys.logic.retry import parse_retry_after

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
TIMEOUTS = httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS).as_dict()
MAX_BODY = 64 * 1024
USER_AGENT = "Journeys"
EXCERPT = 200
MAX_DESTINATION = 280

_ORIGIN = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
_TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is cut at MAX_BODY."""

    host: str
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    def retry_after(self) -> float | None:
        return parse_retry_after(self.headers.get("retry-after"), datetime.now(UTC))


def post(url: str, body: bytes, headers: Mapping[str, str], *, guarded: bool) -> Answer:
    """POST and return the answer, whatever its status.

    `guarded` is for URLs that people configure: only public addresses and the allow list are reached. Raises
    TransientError for a missing answer, and PermanentError for a URL that is malformed or not permitted.
    """
    return request("POST", url, body, headers, guarded=guarded)


def request(method: str, url: str, body: bytes, headers: Mapping[str, str], *, guarded: bool) -> Answer:
    try:
        target = httpx.URL(url)
        outgoing = httpcore.Request(
            method,
            httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path),
            headers=[
                (b"host", target.netloc),
                (b"user-agent", USER_AGENT.encode()),
                # An answer that unpacks to more than it weighs can't be bounded by its length.
                (b"accept-encoding", b"identity"),
                (b"content-length", str(len(body)).encode()),
                # RFC 9110 §5.5 lets bytes that are not ASCII pass.
                *((name.encode(), value.encode()) for name, value in headers.items()),
            ],
            content=body,
            extensions={"timeout": TIMEOUTS},
        )
        # The guard looks at the URL as it will be used, not as it was written.
        checked = guarded and guard.needs_guard(str(target))
        networks = guard.allow_list().networks if checked else None
        with transport.deadline(TOTAL_SECONDS), transport.borrowed(networks) as pool:
            return _exchange(pool, outgoing, target.host)
    except SSRFGuardError as error:
        reason = getattr(error, "reason", str(error))
        raise PermanentError(f"this address is not permitted: {reason} (see WEBHOOK_ALLOWED_HOSTS)") from None
    except (httpx.InvalidURL, httpcore.UnsupportedProtocol, httpcore.LocalProtocolError) as error:
        raise PermanentError(f"this request can't be sent: {error}") from None
    except httpcore.TimeoutException as error:
        raise TransientError(f"{target.host}: no answer in time ({type(error).__name__})", destination="down") from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise TransientError(f"{target.host}: {str(error) or type(error).__name__}", destination="down") from None


def destination_of(url: str) -> str:
    """The URL's host and port; empty for what is no URL, and will be refused as such."""
    origin = _ORIGIN.match(url)
    return _destination(origin[0]) if origin else ""


@lru_cache(maxsize=1024)
def _destination(origin: str) -> str:
    try:
        parsed = httpx.URL(origin)
        return f"{parsed.host.lower()}:{parsed.port or (80 if parsed.scheme == 'http' else 443)}"[:MAX_DESTINATION]
    except (httpx.InvalidURL, ValueError):
        return ""


def failure(answer: Answer, fault: str | None = None) -> TransientError | PermanentError:
    """What an answer other than 2xx means: 408, 425, 429 and 5xx may pass, all else won't.

    `fault` is what the provider says; without it the answer's beginning is quoted.
    """
    text = " ".join(answer.body.decode("utf-8", "replace").split()) if fault is None else fault
    message = f"{answer.host} answered {answer.status}" + (f": {text[:EXCERPT]}" if text else "")
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return TransientError(message, answer.retry_after(), "busy")
    if answer.status in _TRANSIENT:
        return TransientError(message, answer.retry_after())
    if answer.status >= 500:
        return TransientError(message, answer.retry_after(), "down")
    if 300 <= answer.status < 400:
        return PermanentError(f"{answer.host} answered {answer.status}: redirects are not followed")
    return PermanentError(message)


def deliver_each(batch: Iterable[Outgoing], deliver: Callable[[Outgoing], Outcome]) -> Iterator[tuple[UUID, Outcome]]:
    """`OutsideAction.send` for channels that send one by one: the two errors become outcomes."""
    for outgoing in batch:
        try:
            outcome = deliver(outgoing)
        except (TransientError, PermanentError) as error:
            outcome = undelivered(error)
        yield outgoing.id, outcome


def _exchange(pool: httpcore.ConnectionPool, outgoing: httpcore.Request, host: str) -> Answer:
    response = pool.handle_request(outgoing)
    try:
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) >= MAX_BODY:
                break  # Closing an answer that is not read to its end closes the connection too.
        return Answer(host, response.status, httpx.Headers(response.headers), bytes(body[:MAX_BODY]))
    finally:
        response.close()
