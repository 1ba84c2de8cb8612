"""Every way in which a request can be wrong: the right status, the field and the fault, and nothing written."""

import json
from io import BytesIO
from typing import Any

import pytest
from rest_framework.test import APIClient

from journeys.models import Contact, Journey
from tests.factories import make_journey

pytestmark = pytest.mark.django_db
JSON = "application/json"

STEP = {"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}
LEAF = {"field": "plan", "op": "eq", "value": "gold"}


def nested(levels: int) -> dict[str, Any]:
    return {"not": nested(levels - 1)} if levels else LEAF


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"description": None}, "description"),
        ({"description": "a\x00b"}, "description"),
        ({"trigger_type": "nope"}, "trigger_type"),
        ({"trigger_type": 1}, "trigger_type"),
        ({"trigger_config": []}, "trigger_config"),
        ({"trigger_config": {"colour": 1}}, "trigger_config.colour"),
        ({"trigger_config": {"idle_days": 3}}, "trigger_config.idle_days"),
        ({"trigger_config": {"condition": {**LEAF, "op": "like"}}}, "trigger_config.condition.op"),
        ({"trigger_config": {**LEAF, "op": "like"}}, "trigger_config.op"),
        ({"trigger_config": {"condition": nested(11)}}, "trigger_config.condition.not"),
        ({"trigger_config": {"condition": []}}, "trigger_config.condition"),
        ({"is_active": "yes"}, "is_active"),
        ({"is_active": 1}, "is_active"),
        ({"priority": 1.5}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"priority": 2**31}, "priority"),
        ({"priority": -(2**31) - 1}, "priority"),
        ({"colour": "red"}, "colour"),
        ({"id": "x"}, "id"),
        ({"steps": None}, "steps"),
        ({"steps": {}}, "steps"),
        ({"steps": ["x"]}, "steps[0]"),
        ({"steps": [STEP, STEP]}, "steps[1].name"),
        ({"steps": [{**STEP, "key": "k"}, {**STEP, "name": "b", "key": "k"}]}, "steps[1].key"),
        ({"steps": [{**STEP, "name": f"n{number}"} for number in range(201)]}, "steps"),
        ({"steps": [{**STEP, "name": ""}]}, "steps[0].name"),
        ({"steps": [{**STEP, "key": "a key"}]}, "steps[0].key"),
        ({"steps": [{**STEP, "order": -1}]}, "steps[0].order"),
        ({"steps": [{**STEP, "order": "first"}]}, "steps[0].order"),
        ({"steps": [STEP, {**STEP, "name": "b", "action_type": "nope"}]}, "steps[1].action_type"),
        ({"steps": [{**STEP, "action_type": 7}]}, "steps[0].action_type"),
        ({"steps": [{**STEP, "action_config": {}}]}, "steps[0].action_config.tag"),
        ({"steps": [{**STEP, "action_config": {"tag": 5}}]}, "steps[0].action_config.tag"),
        ({"steps": [{**STEP, "action_config": {"tag": "a", "b": 1}}]}, "steps[0].action_config.b"),
        ({"steps": [{**STEP, "action_config": "tag"}]}, "steps[0].action_config"),
        ({"steps": [{**STEP, "delay_minutes": -1}]}, "steps[0].delay_minutes"),
        ({"steps": [{**STEP, "delay_minutes": 10**12}]}, "steps[0].delay_minutes"),
        ({"steps": [{**STEP, "delay_minutes": 1.5}]}, "steps[0].delay_minutes"),
        ({"steps": [{**STEP, "condition": {**LEAF, "op": "near"}}]}, "steps[0].condition.op"),
        ({"steps": [{**STEP, "condition": {"all": [LEAF, {**LEAF, "x": 1}]}}]}, "steps[0].condition.all[1].x"),
        ({"steps": [{**STEP, "condition": nested(11)}]}, "steps[0].condition.not"),
        ({"steps": [{**STEP, "on_failure": "panic"}]}, "steps[0].on_failure"),
        ({"steps": [{**STEP, "expires_after_minutes": 0}]}, "steps[0].expires_after_minutes"),
        ({"steps": [{**STEP, "expires_after_minutes": 1.5}]}, "steps[0].expires_after_minutes"),
        ({"steps": [{**STEP, "expires_after_minutes": 10**12}]}, "steps[0].expires_after_minutes"),
        ({"steps": [{**STEP, "delay": 5}]}, "steps[0].delay"),
    ],
)
def test_a_bad_journey_names_the_field_and_writes_nothing(api: APIClient, change: dict[str, Any], field: str) -> None:
    body = {"name": "j", "trigger_type": "signup", "steps": [STEP], **change}
    response = api.post("/api/v1/journeys", body)
    assert response.status_code == 400
    (first, *_) = response.json()["errors"]
    assert first["field"].startswith(field) and first["message"], response.json()
    assert not Journey.objects.exists()

    journey = make_journey("kept", [STEP])
    before = api.get(f"/api/v1/journeys/{journey.id}").json()
    if field != "id":
        assert api.patch(f"/api/v1/journeys/{journey.id}", change).status_code == 400
    assert api.get(f"/api/v1/journeys/{journey.id}").json() == before


def test_all_faults_are_told_at_once(api: APIClient) -> None:
    steps = [{**STEP, "delay_minutes": -1}, {"name": "b", "action_type": "send_sms"}]
    response = api.post("/api/v1/journeys", {"name": 5, "trigger_type": "nope", "steps": steps})
    fields = {fault["field"] for fault in response.json()["errors"]}
    assert fields == {"name", "trigger_type", "steps[0].delay_minutes", "steps[1].action_type"}


def test_what_is_required_is_named(api: APIClient) -> None:
    fields = {fault["field"] for fault in api.post("/api/v1/journeys", {}).json()["errors"]}
    assert fields == {"name", "trigger_type"}


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"",
        b"nonsense",
        b"\xff\xfe",
        b'{"name": NaN}',
        b'{"name": 1e400}',
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"trigger_type": "signup", "trigger_type": "upgrade", "user_id": "u1"}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"[" * 200 + b"]" * 200,
        b'{"priority": ' + b"9" * 5_000 + b"}",
        b"null",
        b"[]",
        b'"text"',
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "journeys"),
        ("patch", "journeys/{journey}"),
        ("post", "journeys/trigger"),
        ("post", "journeys/{journey}/start"),
        ("post", "segments"),
        ("put", "users/u9"),
        ("post", "auth/token"),
    ],
)
def test_a_malformed_body_is_400(api: APIClient, raw: bytes, method: str, path: str) -> None:
    journey = make_journey("kept", [STEP])
    response = getattr(api, method)(f"/api/v1/{path.format(journey=journey.id)}", raw, content_type=JSON)
    if raw == b"" and method in ("patch", "put"):
        assert response.status_code in (200, 201)  # nothing to change
    else:
        assert response.status_code == 400
        assert response.json()["errors"][0]["message"]


@pytest.mark.parametrize("path", ["journeys", "journeys/trigger", "events", "auth/token"])
def test_a_body_over_one_megabyte_is_413(api: APIClient, path: str) -> None:
    body = json.dumps({"user_id": "u1", "name": "seen", "properties": {"a": "x" * 1_000_000}})
    response = api.post(f"/api/v1/{path}", body, content_type=JSON)
    assert response.status_code == 413
    assert "1 MB" in response.json()["errors"][0]["message"]
    assert not Contact.objects.exists()


@pytest.mark.parametrize(("size", "status"), [(10, 200), (1_000_001, 413)])
def test_a_chunked_body_counts_too(api: APIClient, size: int, status: int) -> None:
    body = json.dumps({"user_id": "u1", "name": "seen", "properties": {"a": "x" * size}}).encode()
    response = api.generic(
        "POST",
        "/api/v1/events",
        content_type=JSON,
        **{
            "wsgi.input": BytesIO(body),
            "wsgi.input_terminated": True,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "CONTENT_LENGTH": "",
        },
    )
    assert response.status_code == status, response.content


@pytest.mark.parametrize("chunked", [True, False])
def test_the_connection_of_a_refused_body_can_go_on(api: APIClient, chunked: bool) -> None:
    body = BytesIO(b"x" * 3_000_000)
    how = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"} if chunked else {}
    length = "" if chunked else "3000000"
    response = api.generic(
        "POST", "/api/v1/events", content_type=JSON, **{"wsgi.input": body, "CONTENT_LENGTH": length, **how}
    )
    assert response.status_code == 413
    assert body.read() == b""


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_is_not_json_is_415(api: APIClient, content_type: str) -> None:
    response = api.post("/api/v1/journeys", b"a=b", content_type=content_type)
    assert response.status_code == 415
    assert response.json()["errors"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("put", "journeys"),
        ("delete", "journeys"),
        ("get", "journeys/trigger"),
        ("get", "events"),
        ("post", "users/u1"),
        ("patch", "users/u1"),
        ("options", "journeys"),
        ("trace", "journeys"),
        ("get", "auth/token"),
        ("post", "health"),
    ],
)
def test_a_wrong_method_is_405(api: APIClient, method: str, path: str) -> None:
    response = api.generic(method.upper(), f"/api/v1/{path}")
    assert response.status_code == 405
    assert response.json()["errors"]
    allowed = response.headers["Allow"].split(", ")
    assert method.upper() not in allowed and "OPTIONS" not in allowed


def test_faults_are_said_alike_in_bodies_and_in_configs(api: APIClient) -> None:
    steps = [{"name": "a", "action_type": "apply_tag", "action_config": {"colour": 1}, "colour": 1}]
    body = {"trigger_type": "signup", "trigger_config": {"colour": 1}, "steps": steps}
    faults = {fault["field"]: fault["message"] for fault in api.post("/api/v1/journeys", body).json()["errors"]}
    assert faults == {
        "name": "is required",
        "trigger_config.colour": "is unknown here",
        "steps[0].colour": "is unknown here",
    }
    del steps[0]["colour"]
    faults = {fault["field"]: fault["message"] for fault in api.post("/api/v1/journeys", body).json()["errors"]}
    assert faults["steps[0].action_config.colour"] == "is unknown here"
    assert faults["steps[0].action_config.tag"] == "is required"


@pytest.mark.parametrize("path", ["", "v1", "v1/", "v1/journeys/", "v1/nothing", "v2/journeys", "v1/health/"])
def test_other_paths_are_404_as_json_and_never_a_redirect(api: APIClient, path: str) -> None:
    for method in (api.get, api.post, api.delete):
        response = method(f"/api/{path}")
        assert response.status_code == 404
        assert response.json() == {"errors": [{"field": "", "message": "Not found."}]}
