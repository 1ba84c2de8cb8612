"""Reads settings from the environment, strictly.

A missing or wrong value ends the process with one line that names the variable: whoever starts the service
at three in the morning reads that line, not a traceback.
"""

import base64
import binascii
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import environ
from django.conf.global_settings import LANGUAGES
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from django.utils.module_loading import import_string

from journeys.logic.limits import parse_rate

_env = environ.Env()
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def refuse(name: str, problem: str) -> NoReturn:
    sys.exit(f"Setting {name} {problem}")


def text(name: str, default: str = "") -> str:
    """An empty value counts as absent, because compose files and CI pass `NAME=` for what they lack."""
    value: str = _env.str(name, default="").strip()
    return value or default


def required(name: str, hint: str) -> str:
    return text(name) or refuse(name, f"is missing: {hint}")


def flag(name: str, default: bool = False) -> bool:
    value = text(name)
    if not value:
        return default
    known = _FLAGS.get(value.lower())
    return refuse(name, f"is {value!r}, expected 1 or 0") if known is None else known


def number(name: str, default: int, least: int = 0) -> int:
    value = text(name, str(default))
    try:
        parsed = int(value)
    except ValueError:
        refuse(name, f"is {value!r}, expected a whole number")
    return parsed if parsed >= least else refuse(name, f"is {parsed}, expected {least} or more")


def number_if_set(name: str, least: int = 0) -> int | None:
    return number(name, 0, least) if text(name) else None


def port(name: str, default: int) -> int:
    value = number(name, default, least=1)
    return value if value < 65536 else refuse(name, f"is {value}, expected 1 to 65535")


def words(name: str, default: Iterable[str] = ()) -> list[str]:
    """A comma separated list."""
    return [word.strip() for word in text(name).split(",") if word.strip()] or list(default)


def one_of(name: str, default: str, choices: Iterable[str]) -> str:
    value, known = text(name, default), sorted(choices)
    return value if value in known else refuse(name, f"is {value!r}, expected one of {', '.join(known)}")


def time_zone(name: str, default: str) -> str:
    value = text(name, default)
    return value if value in available_timezones() else refuse(name, f"is {value!r}, no IANA time zone")


def web_address(name: str, default: str) -> str:
    value = text(name, default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        refuse(name, f"is {value!r}, expected an http:// or https:// address")
    return value


def origins(name: str) -> list[str]:
    for value in (found := words(name)):
        if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
            refuse(name, f"holds {value!r}, expected origins such as https://journeys.example.com")
    return found


def database(name: str) -> dict[str, Any]:
    """The Django form of a postgresql:// URL; empty without one."""
    if not text(name):
        return {}
    parsed: dict[str, Any] = dict(_url(name, _env.db_url, "postgresql://user:password@host:5432/name"))
    if parsed.get("ENGINE") != "django.db.backends.postgresql":
        refuse(name, "does not name a PostgreSQL database: postgresql://user:password@host:5432/name")
    if not parsed.get("NAME"):
        refuse(name, "lacks the database's name: postgresql://user:password@host:5432/name")
    return parsed


def mail_address(name: str, default: str) -> str:
    """One address, with the sender's name or without: `Example <hello@example.com>`."""
    value = text(name, default)
    try:
        validate_email(parseaddr(value)[1])
    except ValidationError:
        refuse(name, f"is {value!r}, expected an address such as Example <hello@example.com>")
    return value if value.isprintable() else refuse(name, "must be one line")


def mail_backend(name: str, default: str) -> str:
    """The dotted path of a Django e-mail backend."""
    if value := text(name, default):
        try:
            import_string(value)
        except ImportError as error:
            refuse(name, f"is {value!r}, which cannot be imported: {error}")
    return value


def language(name: str, default: str) -> str:
    """A language that Django speaks, or a variant of one: `en-us` is one of `en`."""
    value = text(name, default).lower()
    spoken = dict(LANGUAGES)
    return value if {value, value.split("-")[0]} & spoken.keys() else refuse(name, f"is {value!r}, no known language")


def mail(name: str) -> dict[str, Any]:
    """EMAIL_* settings from an smtp:// URL; empty without one."""
    if not text(name):
        return {}
    parsed: dict[str, Any] = dict(_url(name, _env.email_url, "smtp+tls://user:password@host:587"))
    return {key: value for key, value in parsed.items() if key.startswith("EMAIL_")}


def _url(name: str, parse: Callable[[str], Any], example: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # django-environ's about an unknown scheme shows the password
            return parse(name)
    except (ImproperlyConfigured, ValueError, KeyError, AttributeError):
        # The value is not shown: it holds a password.
        refuse(name, f"is no address that can be read, expected {example}")


def webhook_secrets(name: str) -> list[str]:
    """Standard Webhooks secrets (`whsec_` and 24 to 64 bytes in base64), the newest first."""
    for position, secret in enumerate(found := words(name), start=1):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            refuse(name, f"number {position} is no secret of the form whsec_ and 24 to 64 bytes in base64")
    return found


def inside_hosts(name: str) -> list[str]:
    """Hosts and networks that webhooks may reach although they are inside."""
    if found := words(name):
        from journeys.actions import guard  # heavy: only where the way inside is opened

        try:
            guard.policy(guard.parse_allow_list(tuple(found)).networks)
        except ImproperlyConfigured as error:
            sys.exit(f"Setting {error}")
    return found


def rates(name: str, default: Mapping[str, str]) -> dict[str, str]:
    """`channel=rate` pairs, over the default's: `email=100/s,telegram=unlimited`."""
    found = dict(default)
    for word in words(name):
        key, _, rate = (part.strip() for part in word.partition("="))
        try:
            parse_rate(rate)
        except ValueError as error:
            refuse(name, f"holds {word!r}, expected pairs such as email=100/s: {error}")
        found[key] = rate
    return found


def vapid_key(name: str) -> str:
    if value := text(name):
        from py_vapid import Vapid, VapidException  # heavy: only where web push is used

        try:
            Vapid.from_string(value)
        except (VapidException, ValueError, TypeError):
            refuse(name, "is no VAPID private key: 32 bytes in URL-safe base64")
    return value


def service_account(name: str) -> dict[str, Any] | None:
    """A Google service account, given as its JSON or as the path of the file that holds it."""
    value = text(name)
    if not value:
        return None
    try:
        parsed = json.loads(value if value.startswith("{") else Path(value).read_text(encoding="utf-8"))
    except OSError as error:
        refuse(name, f"names a file that cannot be read: {error.strerror}")
    except ValueError:
        refuse(name, "is neither JSON nor the path of a JSON file")
    needed = ("project_id", "client_email", "private_key", "token_uri")
    missing = [key for key in needed if not isinstance(parsed, dict) or not parsed.get(key)]
    if missing:
        refuse(name, f"lacks {', '.join(missing)}")
    return {**parsed}
