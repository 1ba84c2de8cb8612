"""Where all of it is played: a database of the harness's own, the sinks, and settings that lead to them."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.test.utils import override_settings

from journeys.bench.database import own_database
from journeys.engine.clock import database_clock
from journeys.engine.partitions import make_months
from tests.torture.herd import FastClock
from tests.torture.ledger import Ledger
from tests.torture.sinks import HOST, Ports, sinks


@dataclass(frozen=True, slots=True)
class Stage:
    ledger: Ledger
    ports: Ports
    clock: FastClock


@contextmanager
def stage(lease_seconds: int, answer_seconds: float, *, refuses: bool) -> Iterator[Stage]:
    """Everything ready, and nobody there yet. Processes forked from here have the same."""
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.ERROR)  # Warnings are what the harness is about.
    with tempfile.TemporaryDirectory() as folder, own_database():
        ledger = Ledger(Path(folder) / "ledger")
        with (
            sinks(ledger, answer_seconds, refuses=refuses) as ports,
            override_settings(**_leading_to(ports, lease_seconds)),
        ):
            now = database_clock()
            make_months(now)
            yield Stage(ledger, ports, FastClock(now))


def _leading_to(ports: Ports, lease_seconds: int) -> dict[str, Any]:
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": HOST,
        "EMAIL_PORT": ports.smtp,
        "EMAIL_HOST_USER": "",
        "EMAIL_USE_TLS": False,
        "EMAIL_USE_SSL": False,
        "TELEGRAM_BOT_TOKEN": "1:torture",
        "TELEGRAM_API_URL": ports.url,
        "WEBHOOK_SECRETS": ["whsec_" + "dG9ydHVyZS10b3J0dXJlLXRvcnR1cmU="],
        "WEBHOOK_ALLOWED_HOSTS": [HOST],
        "FCM_API_URL": ports.url,
        "FCM_SERVICE_ACCOUNT": _service_account(ports),
        "JOURNEYS": {
            **settings.JOURNEYS,
            "EMAIL_CONFIGURED": True,
            "RATES": {},
            "LEASE_SECONDS": lease_seconds,
        },
    }


def _service_account(ports: Ports) -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "torture",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "torture@example.com",
        "token_uri": f"{ports.url}/token",
    }
