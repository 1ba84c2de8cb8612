"""Signing in, and what a browser would post from the journey page."""

import json
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


def posted(
    steps: Sequence[Mapping[str, Any]] = (),
    journey: Journey | None = None,
    lanes: Sequence[Mapping[str, Any]] = (),
    exits: Sequence[Mapping[str, Any]] = (),
    **fields: Any,
) -> dict[str, Any]:
    """The journey page's form. The names of a step and of a lane are those of its form, without their prefix."""
    data: dict[str, Any] = {
        "seen": str(journey.live_version_id) if journey else "",
        "name": "Onboarding",
        "description": "",
        "priority": "0",
        "trigger_type": "signup",
        "condition_mode": "rows",
        "reentry": "once",
        "exits-TOTAL_FORMS": str(len(exits)),
        "exits-INITIAL_FORMS": "0",
        "steps-TOTAL_FORMS": str(len(steps)),
        "steps-INITIAL_FORMS": "0",
        "lanes-TOTAL_FORMS": str(len(lanes)),
        "lanes-INITIAL_FORMS": "0",
        "_save": "1",
        **fields,
    }
    for index, step in enumerate(steps):
        filled = {"order": str(index), "on_failure": "continue", "is_active": "on", "condition_mode": "rows", **step}
        data |= {f"steps-{index}-{name}": value for name, value in filled.items()}
    for index, exit in enumerate(exits):
        filled = {"condition_mode": "rows", **exit}
        data |= {f"exits-{index}-{name}": value for name, value in filled.items()}
    for index, lane in enumerate(lanes):
        filled = {"order": str(index), "condition_mode": "rows", **lane}
        data |= {f"lanes-{index}-{name}": value for name, value in filled.items()}
    return data


def fields_of(editor: Any) -> dict[str, Any]:
    """What a browser would post of the page as it was shown."""
    data: dict[str, Any] = {}
    lists = (editor.steps, editor.lanes, editor.exits)
    for form in [editor.form, *(form for each in lists for form in (*each.forms, each.management_form))]:
        for bound in form:
            data |= _entered(bound.html_name, bound.value(), bound.field.widget)
    return data


def _entered(name: str, value: Any, widget: Any) -> dict[str, Any]:
    if name.endswith("condition"):
        return {f"{name}_mode": "rows", f"{name}_rows": json.dumps(value) if value else ""}
    if name.endswith("config-headers"):
        return {f"{name}_name": list(value), f"{name}_value": list(value.values())}
    if hasattr(widget, "decompress"):
        parts = zip(widget.widgets_names, widget.decompress(value), strict=True)
        return {f"{name}{part}": entered for part, entered in parts}
    if value is None or value is False:
        return {}
    return {name: "on" if value is True else value}


def errors_of(response: Any) -> dict[str, list[str]]:
    """Each error of the journey page, by the name of the field that it stands beside."""
    editor = response.context["editor"]
    forms = [editor.form, *editor.steps.forms, *editor.lanes.forms, *editor.exits.forms]
    return {form.add_prefix(field): list(faults) for form in forms for field, faults in form.errors.items()}
