"""Providers on loopback that speak the real protocols: they verify what they get, remember it, and fail on demand.

    with BotApi(token="1:a") as bot:
        settings.TELEGRAM_API_URL = bot.url
        bot.next(Reply(429, {"Retry-After": "3"}))

Each fault answers one request, in order; after them the sink is itself again.
"""

import base64
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

import http_ece
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # Names in lower case.
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def json(cls, body: Any, status: int = 200) -> Self:
        return cls(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


@dataclass(frozen=True)
class Hang:
    """Take the request and say nothing."""

    seconds: float = 30


@dataclass(frozen=True)
class Reset:
    """Take the request and break the connection."""


@dataclass(frozen=True)
class Drip:
    """Answer for ever, one byte at a time; each comes well within any read timeout."""

    pause: float = 0.05


Fault = Reply | Hang | Reset | Drip


class Sink:
    """A server on 127.0.0.1, at a port of its own, from `with` to its end."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._faults: deque[Fault] = deque()
        self._closing = threading.Event()
        self._server = _Server(self)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def next(self, *faults: Fault) -> None:
        """What the next requests get, one each."""
        self._faults.extend(faults)

    def reply(self, request: Request) -> Reply:
        """What this provider answers when nothing is wrong."""
        return Reply()

    def wait_for(self, count: int, seconds: float = 10) -> None:
        """Until so many requests have come; an AssertionError if they don't."""
        until = time.monotonic() + seconds
        while len(self.requests) < count:
            assert time.monotonic() < until, f"{len(self.requests)} of {count} requests came in {seconds} s"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, handler.path, headers, body)
        self.requests.append(request)
        match self._faults.popleft() if self._faults else self.reply(request):
            case Reply() as reply:
                _write(handler, reply)
            case Hang(seconds):
                self._closing.wait(seconds)
                handler.close_connection = True
            case Reset():
                # Linger of no seconds: closing sends RST.
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                handler.close_connection = True
            case Drip(pause):
                self._drip(handler, pause)

    def _drip(self, handler: BaseHTTPRequestHandler, pause: float) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        while not self._closing.wait(pause):
            handler.wfile.write(b"x")


class BotApi(Sink):
    """Telegram's Bot API, as far as sendMessage goes. Every chat is known, but those in `blocked`."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token
        self.blocked: set[str] = set()
        self.messages: list[dict[str, Any]] = []

    def reply(self, request: Request) -> Reply:
        if request.path != f"/bot{self.token}/sendMessage":
            return self.error(401, "Unauthorized")
        message = request.json()
        if not str(message.get("text", "")).strip():
            return self.error(400, "Bad Request: message text is empty")
        if str(message["chat_id"]) in self.blocked:
            return self.error(403, "Forbidden: bot was blocked by the user")
        self.messages.append(message)
        return Reply.json({"ok": True, "result": {"message_id": len(self.messages), "text": message["text"]}})

    @staticmethod
    def error(status: int, description: str, **parameters: Any) -> Reply:
        body = {"ok": False, "error_code": status, "description": description}
        return Reply.json(body | ({"parameters": parameters} if parameters else {}), status)


class WebhookReceiver(Sink):
    """Verifies by the Standard Webhooks library of receivers, with its one secret."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self.secret = secret
        self.received: list[dict[str, Any]] = []

    def reply(self, request: Request) -> Reply:
        try:
            self.received.append(Webhook(self.secret).verify(request.body, dict(request.headers)))
        except WebhookVerificationError as error:
            return Reply(401, body=str(error).encode())
        return Reply(204)


@dataclass(frozen=True)
class Subscription:
    """What a browser gives its website."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True)
class Notification:
    """What a browser shows, and with which headers it came."""

    endpoint: str
    data: dict[str, Any]
    ttl: int
    urgency: str
    topic: str


class PushService(Sink):
    """A browser with its push service: verifies the VAPID token and decrypts what comes (RFC 8291, RFC 8292)."""

    def __init__(self, vapid_public_key: str) -> None:
        super().__init__()
        self.vapid_public_key = vapid_public_key
        self.notifications: list[Notification] = []
        self._browsers: dict[str, tuple[ec.EllipticCurvePrivateKey, bytes]] = {}

    def subscribe(self) -> Subscription:
        path, key = f"/push/{len(self._browsers)}", ec.generate_private_key(ec.SECP256R1())
        auth = path.encode().ljust(16, b"!")
        self._browsers[path] = key, auth
        return Subscription(self.url + path, public_point(key), _base64url(auth))

    def unsubscribe(self, subscription: Subscription) -> None:
        del self._browsers[subscription.endpoint.removeprefix(self.url)]

    def reply(self, request: Request) -> Reply:
        if request.path not in self._browsers:
            return Reply(410)
        if fault := self._unauthorized(request.headers.get("authorization", "")):
            return Reply(403, body=fault.encode())
        key, auth = self._browsers[request.path]
        plain = http_ece.decrypt(request.body, private_key=key, auth_secret=auth, version="aes128gcm")
        self.notifications.append(
            Notification(
                self.url + request.path,
                json.loads(plain),
                int(request.headers["ttl"]),
                request.headers["urgency"],
                request.headers["topic"],
            )
        )
        return Reply(201, {"Location": f"{self.url}/message/{len(self.notifications)}"})

    def _unauthorized(self, header: str) -> str:
        scheme, _, fields = header.partition(" ")
        values = dict(part.strip().split("=", 1) for part in fields.split(",") if "=" in part)
        if scheme.lower() != "vapid" or values.get("k", "").rstrip("=") != self.vapid_public_key:
            return "not subscribed with this key"
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _unbase64url(values["k"]))
        try:
            claims = jwt.decode(values["t"], point, algorithms=["ES256"], audience=self.url)
        except jwt.InvalidTokenError as error:
            return str(error)
        return "" if claims["sub"] and claims["exp"] - time.time() <= 24 * 3600 else "sub or exp"


class Firebase(Sink):
    """FCM HTTP v1 with Google's token endpoint. Registration tokens are valid once they are in `devices`."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: set[str] = set()
        self.messages: list[dict[str, Any]] = []
        self.grants: list[str] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def service_account(self) -> dict[str, Any]:
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "journeys-test",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": "journeys@journeys-test.example",
            "token_uri": f"{self.url}/token",
        }

    def reply(self, request: Request) -> Reply:
        if request.path == "/token":
            return self._grant(request)
        if request.path != "/v1/projects/journeys-test/messages:send":
            return self.error(404, "NOT_FOUND")
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.grants:
            return self.error(401, "UNAUTHENTICATED")
        message = request.json()["message"]
        if message["token"] not in self.devices:
            return self.error(404, "NOT_FOUND", {"@type": FCM_ERROR, "errorCode": "UNREGISTERED"})
        self.messages.append(message)
        return Reply.json({"name": f"projects/journeys-test/messages/{len(self.messages)}"})

    def _grant(self, request: Request) -> Reply:
        (assertion,) = parse_qs(request.body.decode())["assertion"]
        try:
            jwt.decode(assertion, self._key.public_key(), algorithms=["RS256"], audience=GOOGLE_AUDIENCE)
        except jwt.InvalidTokenError as error:
            return Reply.json({"error": "invalid_grant", "error_description": str(error)}, 400)
        self.grants.append(f"access-{len(self.grants)}")
        return Reply.json({"access_token": self.grants[-1], "expires_in": 3600, "token_type": "Bearer"})

    @staticmethod
    def error(status: int, code: str, *details: Mapping[str, Any]) -> Reply:
        return Reply.json({"error": {"code": status, "message": code, "status": code, "details": details}}, status)


GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
"""What google-auth writes into an assertion, wherever it sends it."""

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


def vapid_pair() -> tuple[str, str]:
    """A VAPID key pair: what VAPID_PRIVATE_KEY holds, and what browsers subscribe with."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _base64url(key.private_numbers().private_value.to_bytes(32, "big")), public_point(key)


def public_point(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.UncompressedPoint
    return _base64url(key.public_key().public_bytes(serialization.Encoding.X962, form))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, sink: Sink) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sink = sink

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about; anything else is shown."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Connections are kept, as real providers do.
    server: _Server

    def do_POST(self) -> None:
        self.server.sink._handle(self)

    do_GET = do_PUT = do_POST

    def log_message(self, *_: Any) -> None:
        """Nothing: tests read `requests`."""


def _write(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    if reply.status != 204:
        handler.send_header("Content-Length", str(len(reply.body)))
    handler.end_headers()
    handler.wfile.write(reply.body)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
