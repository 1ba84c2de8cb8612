"""Web Push (RFC 8030): a note encrypted for one browser (RFC 8291), signed with our VAPID key (RFC 8292)."""

import json
import time
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from py_vapid import Vapid
from pywebpush import WebPusher, WebPushException

from journeys.actions import http
from journeys.actions.base import DeviceView, PermanentError
from journeys.actions.devices import TTL_SECONDS, DeviceGone, Note

SETTING = "VAPID_PRIVATE_KEY"
TOKEN_SECONDS = 12 * 3600
"""RFC 8292 §2: a token may live for 24 hours at most."""

_GONE = (404, 410)


def missing_setting() -> str | None:
    return None if settings.VAPID_PRIVATE_KEY else SETTING


def payload(note: Note) -> bytes:
    """What the service worker gets as `event.data.json()`."""
    fields = {"title": note.title, "body": note.body, "url": note.url, "icon": note.icon, "tag": note.topic}
    return json.dumps({name: value for name, value in fields.items() if value}, ensure_ascii=False).encode()


def push(note: Note, device: DeviceView) -> None:
    """Hand the note to the browser's push service. Raises DeviceGone, PermanentError or TransientError."""
    headers = {
        "authorization": _authorization(device.token),
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
        "ttl": str(TTL_SECONDS),
        "urgency": "normal",
        "topic": note.topic,
    }
    # The endpoint is what somebody's browser claimed.
    answer = http.post(device.token, _encrypted(payload(note), device), headers, guarded=True)
    if answer.status in _GONE:
        raise DeviceGone(f"{answer.host} answered {answer.status}: the subscription is gone")
    if not answer.ok:
        raise http.failure(answer)


def _encrypted(plain: bytes, device: DeviceView) -> bytes:
    subscription = {"endpoint": device.token, "keys": {"p256dh": device.p256dh, "auth": device.auth}}
    try:
        body: bytes = WebPusher(subscription).encode(plain)["body"]
    except (WebPushException, ValueError, TypeError, IndexError) as error:
        raise PermanentError(f"the device's keys are unusable: {error}") from error
    return body


def _authorization(endpoint: str) -> str:
    origin = urlsplit(endpoint)
    claims = {
        "aud": f"{origin.scheme}://{origin.netloc}",
        "sub": settings.VAPID_SUBJECT,
        "exp": int(time.time()) + TOKEN_SECONDS,
    }
    value: str = _vapid(settings.VAPID_PRIVATE_KEY).sign(claims)["Authorization"]
    return value


@lru_cache(maxsize=2)
def _vapid(private_key: str) -> Vapid:
    return Vapid.from_string(private_key)
