"""The settings that the app reads, as a Django project of your own begins with them: `from journeys.defaults import *`.

docs/operations.md says what each is; where the service runs by itself, journeys_project/settings.py reads the same from
the environment.
"""

from typing import Any

from django.templatetags.static import static

__all__ = [
    "FCM_API_URL",
    "FCM_SERVICE_ACCOUNT",
    "JOURNEYS",
    "METRICS_TOKEN",
    "Q_CLUSTER",
    "TELEGRAM_API_URL",
    "TELEGRAM_BOT_TOKEN",
    "UNFOLD",
    "VAPID_PRIVATE_KEY",
    "VAPID_SUBJECT",
    "WEBHOOK_ALLOWED_HOSTS",
    "WEBHOOK_SECRETS",
]

JOURNEYS: dict[str, Any] = {
    "EMAIL_CONFIGURED": False,  # True once EMAIL_BACKEND is one that sends
    "LEASE_SECONDS": 60,
    "BATCH": 500,
    "MAX_ATTEMPTS": 5,
    "RETRY_BASE_SECONDS": 30,
    "RETRY_CAP_SECONDS": 3600,
    "RETRY_AFTER_CAP_SECONDS": 86400,
    "RATES": {"telegram": "30/s", "telegram:chat": "1/s"},  # channels that are not named are not limited
    "BREAKER_FAILURES": 5,
    "BREAKER_PROBE_SECONDS": 60,
    "TOMBSTONE_DAYS": 30,
    "RETENTION_DAYS": 365,
    "EVENT_RETENTION_DAYS": None,  # None: RETENTION_DAYS
    "EVENT_KEY_RETENTION_DAYS": None,
    "EXECUTION_RETENTION_DAYS": None,
    "MESSAGE_RETENTION_DAYS": None,
    "TALLY_RETENTION_DAYS": None,
    "TASK_RETENTION_DAYS": 1,
}

TELEGRAM_BOT_TOKEN = ""
TELEGRAM_API_URL = "https://api.telegram.org"
VAPID_PRIVATE_KEY = ""
VAPID_SUBJECT = ""
FCM_SERVICE_ACCOUNT: dict[str, Any] | None = None  # the service account's JSON, as a dict
FCM_API_URL = "https://fcm.googleapis.com"
WEBHOOK_SECRETS: list[str] = []
WEBHOOK_ALLOWED_HOSTS: list[str] = []
METRICS_TOKEN = ""

# django-q2 is the clock, never the queue or the retry engine: a task that is lost costs nothing.
Q_CLUSTER: dict[str, Any] = {
    "name": "journeys",
    "orm": "default",
    "poll": 0.2,
    "workers": 4,  # three or more: the ticker's two chains have one each
    "timeout": 120,
    "retry": 300,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 0,  # a positive one makes every result slow; housekeeping prunes
    "recycle": 1000,
    "label": "Background tasks",
    "log_level": "WARNING",
}

UNFOLD: dict[str, Any] = {"STYLES": [lambda request: static("journeys/admin.css")]}
