"""A mail server on loopback that speaks SMTP, remembers what it took, and fails on demand.

    with SmtpSink() as smtp:
        settings.EMAIL_HOST, settings.EMAIL_PORT = smtp.host, smtp.port
        smtp.next(Answer("RCPT", "550 5.1.1 no such user"))

Each fault meets one message, in order; after them the server is itself again.
"""

import asyncio
import threading
from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Stage = Literal["MAIL", "RCPT", "DATA"]
OK = "250 OK"


@dataclass(frozen=True)
class Answer:
    """Say this in place of yes."""

    stage: Stage
    reply: str


@dataclass(frozen=True)
class HangUp:
    """Close the connection without a word."""

    stage: Stage


@dataclass(frozen=True)
class Silence:
    """Take the command and say nothing for so long."""

    stage: Stage
    seconds: float


Fault = Answer | HangUp | Silence


@dataclass(frozen=True)
class Received:
    sender: str
    recipients: list[str]
    content: bytes

    @property
    def mime(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, kind: str) -> str:
        """The text of the `plain` or `html` part."""
        body = self.mime.get_body((kind,))
        assert body is not None, f"there is no {kind} part"
        text: str = body.get_content()
        return text


class SmtpSink:
    """`messages` it took, `turned_away` came whole and were refused; `connections` counts how often somebody came."""

    host = "127.0.0.1"

    def __init__(self, password: str | None = None, *, pipelining: bool = False) -> None:
        self.messages: list[Received] = []
        self.turned_away: list[Received] = []
        self.connections = 0
        self.port = 0
        self._password, self._pipelining = password, pipelining
        self._faults: deque[Fault] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def next(self, *faults: Fault) -> None:
        self._faults.extend(faults)

    def __enter__(self) -> Self:
        self._thread.start()
        start = self._loop.create_server(self._connect, self.host, self.port)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(5)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _connect(self) -> SMTP:
        self.connections += 1
        login: dict[str, Any] = {}
        if self._password is not None:
            login = {"auth_require_tls": False, "authenticator": self._authenticate}
        return SMTP(self, enable_SMTPUTF8=True, loop=self._loop, hostname="sink", **login)

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, kind: str, data: Any) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and data.password.decode() == self._password
        return AuthResult(success=is_right, handled=False)

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return ["250-PIPELINING", *responses] if self._pipelining else responses

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        envelope.mail_from = address
        return await self._answer("MAIL", server)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        answer = await self._answer("RCPT", server)
        if answer == OK:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await self._answer("DATA", server)
        assert isinstance(envelope.content, bytes)
        received = Received(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content)
        (self.messages if answer == OK else self.turned_away).append(received)
        return answer

    async def _answer(self, stage: Stage, server: SMTP) -> str:
        if not self._faults or self._faults[0].stage != stage:
            return OK
        match self._faults.popleft():
            case Answer(reply=reply):
                return reply
            case Silence(seconds=seconds):
                await asyncio.sleep(seconds)
            case HangUp():
                assert server.transport is not None
                server.transport.abort()
        return OK
