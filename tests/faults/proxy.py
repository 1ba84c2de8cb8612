"""A TCP proxy before PostgreSQL that loses what it is told to: the answer of every n-th COMMIT, or all connections."""

import socket
import threading
from pathlib import Path
from typing import Any, Self

COMMIT = b"COMMIT\x00"
"""As a client asks for it, and as the server says that it is done."""


class Proxy:
    """Between workers and the server that `parameters` (of a connection) name, from `with` to its end.

    With `cut_every`, each n-th COMMIT is carried out, and the connection cut before its answer comes.
    """

    def __init__(self, parameters: dict[str, Any], cut_every: int = 0) -> None:
        self._parameters, self._cut_every = parameters, cut_every
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.commits = self.cuts = 0
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)

    @property
    def url(self) -> str:
        account, name = self._parameters["user"], self._parameters["dbname"]
        password = f":{self._parameters['password']}" if self._parameters.get("password") else ""
        return f"postgresql://{account}{password}@127.0.0.1:{self._server.getsockname()[1]}/{name}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut_all()

    def cut_all(self) -> None:
        """Close every connection."""
        with self._lock:
            for one in self._open:
                _shut(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return  # The proxy is closed.
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                server = self._connect()
            except OSError:
                return  # PostgreSQL is away: so are we.
            with server:
                link = _Link()
                with self._lock:
                    self._open |= {client, server}
                back = threading.Thread(target=self._back, args=[server, client, link], daemon=True)
                back.start()
                self._forth(client, server, link)
                back.join()
                with self._lock:
                    self._open -= {client, server}

    def _connect(self) -> socket.socket:
        host, port = self._parameters.get("host", "localhost"), int(self._parameters.get("port") or 5432)
        if not str(host).startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(Path(host) / f".s.PGSQL.{port}"))
        except OSError:
            server.close()
            raise
        return server

    def _forth(self, client: socket.socket, server: socket.socket, link: "_Link") -> None:
        while chunk := _receive(client):
            if COMMIT in chunk and self._is_to_be_cut():
                link.cuts = True
            if not _send(server, chunk):
                break
        _shut(server)

    def _back(self, server: socket.socket, client: socket.socket, link: "_Link") -> None:
        while chunk := _receive(server):
            if link.cuts and COMMIT in chunk:
                break  # It is done, and nobody hears of it.
            if not _send(client, chunk):
                break
        _shut(server)
        _shut(client)

    def _is_to_be_cut(self) -> bool:
        with self._lock:
            self.commits += 1
            cut = bool(self._cut_every) and self.commits % self._cut_every == 0
            self.cuts += cut
            return cut


class _Link:
    """One client's way to the server. `cuts`: the answer that comes now is to be lost."""

    cuts = False


def _receive(one: socket.socket) -> bytes:
    try:
        return one.recv(65536)
    except OSError:
        return b""


def _send(one: socket.socket, chunk: bytes) -> bool:
    try:
        one.sendall(chunk)
    except OSError:
        return False
    return True


def _shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # The other side has closed it already.
