"""A mail server and a web server that write down each delivery, in a process that outlives every worker.

The web server is the Bot API, Firebase and whoever takes webhooks. A delivery is written down before it is answered: a
worker that is killed in between has delivered, and does not know. The first try of some is refused, as providers do.
"""

import asyncio
import hashlib
import json
import multiprocessing
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO
from uuid import UUID

from django.db import connections

from tests.torture.ledger import Ledger

_FORK = multiprocessing.get_context("fork")
HOST = "127.0.0.1"
END_OF_DATA = b"\r\n.\r\n"
REFUSED = 32
"""One message in so many is refused the first time that it comes."""
GONE = "/gone"
"""Who lives at this path answers 410."""


@dataclass(frozen=True, slots=True)
class Ports:
    smtp: int
    http: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.http}"


@contextmanager
def sinks(ledger: Ledger, mean_seconds: float, *, refuses: bool) -> Iterator[Ports]:
    """Both servers; each answer takes as long as it happens, `mean_seconds` on average. `refuses`: some, at first."""
    connections.close_all()  # A socket must not be shared with a child.
    ours, theirs = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_serve, args=(ledger, mean_seconds, refuses, theirs), daemon=True)
    process.start()
    try:
        yield Ports(*ours.recv())
    finally:
        process.terminate()
        process.join()


def _serve(ledger: Ledger, mean_seconds: float, refuses: bool, ports: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        with ledger.path.open("a", buffering=1) as book:
            note = _Notary(book, refuses)
            made: list[Callable[[], asyncio.Protocol]] = [
                lambda: _Smtp(note, mean_seconds),
                lambda: _Http(note, mean_seconds),
            ]
            servers = [await loop.create_server(protocol, HOST, 0) for protocol in made]
            ports.send([server.sockets[0].getsockname()[1] for server in servers])
            await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(serve())


class _Notary:
    """Writes down what comes, and says whether it is taken."""

    def __init__(self, book: TextIO, refuses: bool) -> None:
        self._book, self._refuses = book, refuses
        self._seen: set[str] = set()

    def take(self, channel: str, key: str, worker: str, content: bytes, *, gone: bool = False) -> bool:
        chosen = hashlib.sha256(f"{channel}:{key}".encode()).digest()[0] % REFUSED == 0
        taken = gone or not (self._refuses and chosen) or key in self._seen
        self._seen.add(key)
        digest = hashlib.sha256(content).hexdigest()[:32]
        self._book.write(json.dumps([channel, key, worker, digest, taken, time.time()]) + "\n")
        return taken


class _Line(asyncio.Protocol):
    def __init__(self, note: _Notary, mean_seconds: float) -> None:
        self.note, self.mean_seconds = note, mean_seconds
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def answer(self, reply: bytes) -> None:
        """Some time later, unless they are gone by then: a transport that is closed takes no notice."""
        seconds = random.expovariate(1 / self.mean_seconds) if self.mean_seconds else 0
        asyncio.get_running_loop().call_later(min(seconds, 1), self.transport.write, reply)


class _Smtp(_Line):
    """SMTP with pipelining (RFC 2920). Workers say who they are in EHLO."""

    in_data = False
    worker = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        answers: list[bytes] = []
        while (answer := self._next()) is not None:
            answers.append(answer)
        if any(answers):
            self.transport.write(b"".join(answers))

    def _next(self) -> bytes | None:
        head, found, rest = self.buffer.partition(END_OF_DATA if self.in_data else b"\r\n")
        if not found:
            return None
        self.buffer = rest
        if self.in_data:
            self.in_data = False
            self._take(head)
            return b""
        return self._answer(head)

    def _take(self, content: bytes) -> None:
        name = content.partition(b"\r\nMessage-ID: <")[2].partition(b"@")[0].decode()
        taken = self.note.take("email", name, self.worker, content)
        self.answer(b"250 taken\r\n" if taken else b"451 4.3.0 try again later\r\n")

    def _answer(self, command: bytes) -> bytes:
        match command[:4].upper():
            case b"EHLO":
                self.worker = command[5:].strip().decode()
                return b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 52428800\r\n"
            case b"DATA":
                self.in_data = True
                return b"354 go on\r\n"
            case b"QUIT":
                self.transport.close()
        return b"250 OK\r\n"


class _Http(_Line):
    """HTTP/1.1 kept alive. Workers say who they are in User-Agent."""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if found and len(rest) >= length:
            self.buffer = rest[length:]
            status, body = self._reply(first.split(" ")[1], headers, rest[:length])
            reason = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.answer(reason.encode() + body)

    def _reply(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if path == "/token":
            return 200, b'{"access_token": "granted", "expires_in": 3600, "token_type": "Bearer"}'
        channel, key = self._what(path, headers, body)
        gone = path.startswith(GONE)
        if not self.note.take(channel, key, headers.get("user-agent", ""), body, gone=gone):
            return 503, b"{}"
        return (410, b"{}") if gone else (200, b'{"ok": true, "result": {"message_id": 1}, "name": "messages/1"}')

    @staticmethod
    def _what(path: str, headers: dict[str, str], body: bytes) -> tuple[str, str]:
        """The channel, and the key that a receiver tells a repeat by.

        The Bot API knows no such key: there, the chat and the first word, which is the step's name, take its place.
        """
        if path.endswith("/sendMessage"):
            message = json.loads(body)
            return "telegram", f"{message['chat_id']}:{message['text'].split()[0]}"
        if path.endswith("/messages:send"):
            return "push", str(UUID(json.loads(body)["message"]["data"]["tag"]))
        return "webhook", headers["webhook-id"]
