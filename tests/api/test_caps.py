"""Frequency caps over the API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from journeys.models import FrequencyCap

CAPS = "/api/v1/frequency-caps"
BODY = {"channel": "email", "at_most": 3, "period_hours": 24}


def test_caps_are_made_shown_changed_and_removed(api: APIClient) -> None:
    made = api.post(CAPS, BODY, format="json")
    assert made.status_code == 201
    one = made.json()
    assert {name: one[name] for name in BODY} == BODY
    url = made.headers["Location"]
    assert (url, api.get(url).json(), api.get(CAPS).json()) == (f"{CAPS}/{one['id']}", one, [one])
    changed = api.put(url, {"channel": None, "at_most": 5, "period_hours": 168}, format="json").json()
    assert (changed["channel"], changed["at_most"], changed["created_at"]) == (None, 5, one["created_at"])
    assert api.delete(url).status_code == 204
    assert [api.get(url).status_code, api.put(url, BODY, format="json").status_code, api.delete(url).status_code] == [
        404,
        404,
        404,
    ]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"channel": "webhook"}, "channel"),
        ({"at_most": 0}, "at_most"),
        ({"at_most": "3"}, "at_most"),
        ({"period_hours": 24 * 365 + 1}, "period_hours"),
        ({"name": "x"}, "name"),
    ],
)
def test_what_is_wrong_is_named(api: APIClient, wrong: dict[str, Any], field: str) -> None:
    answer = api.post(CAPS, {**BODY, **wrong}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert not FrequencyCap.objects.exists()


def test_a_second_one_of_the_same_kind_is_refused(api: APIClient) -> None:
    api.post(CAPS, BODY, format="json")
    again = api.post(CAPS, {**BODY, "at_most": 9}, format="json")
    assert (again.status_code, again.json()["errors"][0]["field"]) == (409, "period_hours")
    other = api.post(CAPS, {**BODY, "period_hours": 48}, format="json").json()
    assert api.put(f"{CAPS}/{other['id']}", BODY, format="json").status_code == 409
    assert sorted(FrequencyCap.objects.values_list("period_hours", flat=True)) == [24, 48]
