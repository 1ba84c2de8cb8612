"""Sockets for the HTTP client: kept open between requests, pinned to checked addresses, and never past a deadline.

Name resolution alone has no deadline of ours: the system's resolver gives up by its own rules, seconds in practice.
"""

import atexit
import os
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from itertools import chain
from typing import Any

import httpcore
import httpx
from ssrfguard.httpx import SafeBackend

from journeys.actions import guard

# A timeout is per read, so an answer that drips could hold a worker for hours. The deadline of the request that a
# thread makes shortens each of them.
_request = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """From here to the end of the block, what this thread sends and reads has so many seconds."""
    _request.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        del _request.ends


def _left(timeout: float | None, error: type[Exception]) -> float:
    left: float = _request.ends - time.monotonic()
    if left <= 0:
        raise error("the deadline of the request is over")
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options))


Networks = tuple[IPv4Network | IPv6Network, ...] | None


@contextmanager
def borrowed(networks: Networks) -> Iterator[httpcore.ConnectionPool]:
    """Connections for one request: guarded, with the inside networks that are allowed, or for None not guarded.

    As many are kept as there were requests at once. Each has its own open connections, a few hosts' last ones: with one
    pool for all, every request would look through, and wait for, all others'.
    """
    kept = _kept.setdefault(networks, [])
    try:
        pool = kept.pop()
    except IndexError:
        pool = _pool(networks)
    try:
        yield pool
    finally:
        kept.append(pool)


def _pool(networks: Networks) -> httpcore.ConnectionPool:
    backend = httpcore.SyncBackend() if networks is None else SafeBackend(policy=guard.policy(networks))
    return httpcore.ConnectionPool(
        ssl_context=_ssl_context(),
        max_connections=5,
        keepalive_expiry=20,
        network_backend=_Backend(backend),
    )


_kept: dict[Networks, list[httpcore.ConnectionPool]] = {}
_ssl_context = lru_cache(maxsize=1)(httpx.create_ssl_context)


def forget_connections() -> None:
    """Begin anew. A forked worker must not write to its parent's sockets."""
    _kept.clear()


def _hang_up() -> None:
    for pool in chain.from_iterable(_kept.values()):
        pool.close()


os.register_at_fork(after_in_child=forget_connections)
atexit.register(_hang_up)
