"""The API as a client sees it: over HTTP's verbs and JSON, with a real token."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import RefreshToken

from tests.factories import operator

SEED_BODY: dict[str, Any] = {
    "name": "Onboarding Flow",
    "description": "Welcome new users with multi-step onboarding",
    "trigger_type": "signup",
    "trigger_config": {},
    "is_active": True,
    "priority": 10,
    "steps": [
        {
            "name": "Welcome Email",
            "order": 0,
            "action_type": "send_email",
            "action_config": {"template": "welcome", "subject": "Welcome!"},
            "delay_minutes": 0,
        },
        {
            "name": "Telegram Intro",
            "order": 1,
            "action_type": "send_telegram",
            "action_config": {"message": "Welcome to our platform!"},
            "delay_minutes": 5,
        },
        {
            "name": "Apply Onboarded Tag",
            "order": 2,
            "action_type": "apply_tag",
            "action_config": {"tag": "onboarded"},
            "delay_minutes": 1440,
        },
    ],
}


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    cache.clear()


@pytest.fixture
def client_of() -> Callable[..., APIClient]:
    """A client whose operator has the named permissions."""

    def make(*permissions: str, superuser: bool = False, username: str = "operator") -> APIClient:
        user = operator(*permissions, username=username, superuser=superuser)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {RefreshToken.for_user(user).access_token}")
        return client

    return make


@pytest.fixture
def api(db: None, client_of: Callable[..., APIClient]) -> APIClient:
    """A client that may do everything."""
    return client_of(superuser=True, username="root")


@pytest.fixture
def seed_body() -> dict[str, Any]:
    return {**SEED_BODY, "steps": [dict(step) for step in SEED_BODY["steps"]]}
