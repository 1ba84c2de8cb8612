"""Signing in, and what a browser would post from the journey page."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.test import Client

from journeys.models import Journey
from tests.factories import operator

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
JOURNEYS = "/admin/journeys/journey/"


def signed_in(*permissions: str, superuser: bool = False, username: str = "operator") -> Client:
    client = Client()
    client.force_login(operator(*permissions, superuser=superuser, username=username), backend=MODEL_BACKEND)
    return client


def posted(steps: Sequence[Mapping[str, Any]] = (), journey: Journey | None = None, **fields: Any) -> dict[str, Any]:
    """The journey page's form. A step's names are those of its form, without their prefix."""
    data: dict[str, Any] = {
        "seen": str(journey.live_version_id) if journey else "",
        "name": "Onboarding",
        "description": "",
        "priority": "0",
        "trigger_type": "signup",
        "condition_mode": "rows",
        "steps-TOTAL_FORMS": str(len(steps)),
        "steps-INITIAL_FORMS": "0",
        "_save": "1",
        **fields,
    }
    for index, step in enumerate(steps):
        filled = {"order": str(index), "on_failure": "continue", "is_active": "on", "condition_mode": "rows", **step}
        data |= {f"steps-{index}-{name}": value for name, value in filled.items()}
    return data


def errors_of(response: Any) -> dict[str, list[str]]:
    """Each error of the journey page, by the name of the field that it stands beside."""
    editor = response.context["editor"]
    forms = [editor.form, *editor.steps.forms]
    return {form.add_prefix(field): list(faults) for form in forms for field, faults in form.errors.items()}
