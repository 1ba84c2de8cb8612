"""A mail server and a web server that take whatever comes, count it and forget it: as quick as Python can be.

Each runs in a process of its own, so that what is measured does not wait for the sink's share of the interpreter.
"""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from django.db import connections

_FORK = multiprocessing.get_context("fork")
HOST = "127.0.0.1"
GREETING = b"220 sink ESMTP\r\n"
HELLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 52428800\r\n"
END_OF_DATA = b"\r\n.\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True, slots=True)
class Sink:
    port: int
    taken: Any
    """How many messages or requests came, shared with the sink's process."""


def smtp_sink(seconds: float = 0) -> AbstractContextManager[Sink]:
    """A mail server that takes so long for each message."""
    return _sink(partial(_Smtp, seconds))


def http_sink(seconds: float = 0) -> AbstractContextManager[Sink]:
    """A web server that takes so long for each request."""
    return _sink(partial(_Http, seconds))


@contextmanager
def _sink(protocol: Callable[[Any], asyncio.Protocol]) -> Iterator[Sink]:
    connections.close_all()  # A socket must not be shared with a child.
    ours, theirs = _FORK.Pipe(duplex=False)
    taken = _FORK.Value("Q", 0, lock=False)  # Written by one process alone.
    process = _FORK.Process(target=_serve, args=(protocol, taken, theirs), daemon=True)
    process.start()
    try:
        yield Sink(ours.recv(), taken)
    finally:
        process.terminate()
        process.join()


def _serve(protocol: Callable[[Any], asyncio.Protocol], taken: Any, port: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the bench's to answer; it ends us.

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: protocol(taken), HOST, 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


class _Counting(asyncio.Protocol):
    def __init__(self, seconds: float, taken: Any) -> None:
        self.seconds = seconds
        self.taken = taken
        self.buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type alone
        self.transport = transport

    def thank(self, answer: bytes) -> None:
        """Answer to a message that was taken, when the time is over."""
        self.taken.value += 1
        if self.seconds:
            asyncio.get_running_loop().call_later(self.seconds, self.transport.write, answer)
        else:
            self.transport.write(answer)


class _Smtp(_Counting):
    """SMTP with pipelining (RFC 2920): answers to all that came in one packet go back in one."""

    def __init__(self, seconds: float, taken: Any) -> None:
        super().__init__(seconds, taken)
        self.in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        answers: list[bytes] = []
        while (answer := self._next()) is not None:
            answers.append(answer)
        if any(answers):
            self.transport.write(b"".join(answers))

    def _next(self) -> bytes | None:
        """The answer to the next whole command or message in the buffer."""
        end = END_OF_DATA if self.in_data else b"\r\n"
        head, found, rest = self.buffer.partition(end)
        if not found:
            return None
        self.buffer = rest
        if self.in_data:
            self.in_data = False
            self.thank(b"250 taken\r\n")
            return b""
        return self._answer(head[:4].upper())

    def _answer(self, verb: bytes) -> bytes:
        match verb:
            case b"EHLO" | b"HELO":
                return HELLO
            case b"DATA":
                self.in_data = True
                return b"354 go on\r\n"
            case b"QUIT":
                self.transport.close()
        return b"250 OK\r\n"


class _Http(_Counting):
    """HTTP/1.1 kept alive, with a Content-Length."""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (size := self._size()) is not None and len(self.buffer) >= size:
            self.buffer = self.buffer[size:]
            self.thank(ANSWER)

    def _size(self) -> int | None:
        """Of the request in the buffer, once its headers are there."""
        head, found, _ = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        return len(head) + 4 + int(length or 0)
