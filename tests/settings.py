"""What the tests, and the processes that they start, set in the environment before the settings are read.

The embedded database of the tests is one of their own, and forgets everything in a power cut: faster.
"""

import os
from pathlib import Path

os.environ.setdefault("SECRET_KEY", "only-for-the-tests-0123456789-0123456789-0123456789-abc")
os.environ.setdefault("VAR_DIR", str(Path(__file__).resolve().parent.parent / "var" / "tests"))
os.environ.setdefault("EMBEDDED_DURABLE", "0")
os.environ.setdefault("RATES", "telegram=unlimited,telegram:chat=unlimited")  # tests/engine/test_limits.py sets them

from journeys_project.settings import *  # noqa: F403

SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False  # the live server speaks plain HTTP
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_ROOT = None
