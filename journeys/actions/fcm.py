"""Firebase Cloud Messaging, HTTP v1. The service account's access token is kept until shortly before it ends."""

import json
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings
from google.auth import exceptions, transport
from google.oauth2.service_account import Credentials

from journeys.actions import http
from journeys.actions.base import DeviceView, PermanentError, TransientError
from journeys.actions.devices import TTL_SECONDS, DeviceGone, Note

SETTING = "FCM_SERVICE_ACCOUNT_JSON"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
REFUSED_ACCOUNT_RETRY = 300.0

_lock = threading.Lock()


def missing_setting() -> str | None:
    return None if settings.FCM_SERVICE_ACCOUNT else SETTING


def message(note: Note, token: str) -> dict[str, Any]:
    """The body of messages:send. Each platform has its own word for "replaces the earlier one"."""
    notification = {"title": note.title, "body": note.body}
    web: dict[str, Any] = {"tag": note.topic} | ({"icon": note.icon} if note.icon else {})
    return {
        "message": {
            "token": token,
            "notification": notification,
            "data": {"url": note.url, "tag": note.topic} if note.url else {"tag": note.topic},
            "android": {
                "collapse_key": note.topic,
                "priority": "NORMAL",
                "ttl": f"{TTL_SECONDS}s",
                "notification": {"tag": note.topic},
            },
            "apns": {"headers": {"apns-collapse-id": note.topic}},
            "webpush": {
                "headers": {"TTL": str(TTL_SECONDS), "Topic": note.topic},
                "notification": web,
                # Firebase takes no other scheme here.
                **({"fcm_options": {"link": note.url}} if note.url.startswith("https://") else {}),
            },
        }
    }


def push(note: Note, device: DeviceView) -> None:
    """Hand the note to Firebase. Raises DeviceGone, PermanentError or TransientError."""
    account = settings.FCM_SERVICE_ACCOUNT
    if account is None:
        raise PermanentError(f"{SETTING} is not set")
    access_token = _access_token(account)
    answer = http.post(
        f"{settings.FCM_API_URL}/v1/projects/{account['project_id']}/messages:send",
        json.dumps(message(note, device.token)).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {access_token}"},
        guarded=False,
    )
    if answer.status == 401:
        _forget(account, access_token)
    if not answer.ok:
        raise _failure(answer)


def _failure(answer: http.Answer) -> TransientError | PermanentError:
    error = answer.json().get("error")
    error = error if isinstance(error, dict) else {}
    details = [detail for detail in error.get("details") or () if isinstance(detail, dict)]
    codes = {detail.get("errorCode") for detail in details}
    fault = f"{answer.host} answered {answer.status}: {error.get('message', '')}"[: http.EXCERPT]
    if "UNREGISTERED" in codes or _is_no_token(details):
        return DeviceGone(fault)
    if answer.status == 401 or "THIRD_PARTY_AUTH_ERROR" in codes:
        # The operator's to mend, as a wrong Telegram token is: later, and not lost.
        return TransientError(f"{answer.host} refused {SETTING}: {fault}", REFUSED_ACCOUNT_RETRY, "down")
    return http.failure(answer, str(error["message"]) if error.get("message") else None)


def _is_no_token(details: list[dict[str, Any]]) -> bool:
    """INVALID_ARGUMENT means a device that never was one only if the token is the argument."""
    violations = [one for detail in details for one in detail.get("fieldViolations") or () if isinstance(one, dict)]
    return any(one.get("field") == "message.token" for one in violations)


def _access_token(account: Mapping[str, Any]) -> str:
    try:
        credentials = _credentials_of(account)
    except ValueError as error:
        raise TransientError(f"{SETTING} is unusable: {error}", REFUSED_ACCOUNT_RETRY, "down") from None
    with _lock:
        if not credentials.valid:
            _refresh(credentials)
        return str(credentials.token)


def _refresh(credentials: Credentials) -> None:
    try:
        credentials.refresh(_OAuth())  # type: ignore[no-untyped-call]
    except exceptions.TransportError as error:
        raise TransientError(f"no access token for FCM: {error}", destination="down") from None
    except exceptions.RefreshError as error:
        wait = None if error.retryable else REFUSED_ACCOUNT_RETRY
        raise TransientError(f"{SETTING} was refused: {str(error.args[0])[: http.EXCERPT]}", wait, "down") from None


def _forget(account: Mapping[str, Any], refused: str) -> None:
    """The next try gets a new access token, unless another thread has one already."""
    credentials = _credentials_of(account)
    with _lock:
        if credentials.token == refused:
            credentials.token = None


def _credentials_of(account: Mapping[str, Any]) -> Credentials:
    return _credentials(json.dumps(account, sort_keys=True))


@lru_cache(maxsize=2)
def _credentials(account: str) -> Credentials:
    found: Credentials = Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        json.loads(account), scopes=[SCOPE]
    )
    return found


class _OAuth(transport.Request):
    """google-auth's requests, over our client."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> transport.Response:
        try:
            return _Response(http.request(method, url, body or b"", headers or {}, guarded=False))
        except (TransientError, PermanentError) as error:
            raise exceptions.TransportError(str(error)) from error  # type: ignore[no-untyped-call]


class _Response(transport.Response):
    def __init__(self, answer: http.Answer) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.body
