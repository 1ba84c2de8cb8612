"""The schema is valid, its docs work under the Content-Security-Policy, and it is true to what is served."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, settings
from rest_framework_simplejwt.tokens import RefreshToken
from schemathesis.config import SchemathesisConfig

from journeys.api import urls
from tests.factories import make_contact, make_journey, operator


@pytest.mark.django_db
def test_the_schema_is_valid_and_names_every_path(capsys: pytest.CaptureFixture[str]) -> None:
    schema = Client().get("/api/schema?format=json").json()
    validate_schema(schema)
    assert capsys.readouterr().err == ""  # where the generator puts its warnings
    served = {re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern)) for pattern in urls.urlpatterns}
    assert {path.removeprefix("/api/") for path in schema["paths"]} == served - {"schema", "docs", ""}


@pytest.mark.django_db
def test_an_operation_says_what_it_does_and_not_how_its_code_is_made() -> None:
    for path in Client().get("/api/schema?format=json").json()["paths"].values():
        for operation in path.values():
            assert operation["summary"] and operation["description"]
            assert "`needs`" not in operation["description"] and "A view" not in operation["description"]


@pytest.mark.django_db
def test_the_docs_load_only_from_here() -> None:
    response = Client().get("/api/docs")
    page = response.content.decode()
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page), "an inline script would be blocked"
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)
    script = Client().get("/api/docs?script=")
    assert script.status_code == 200
    assert "javascript" in script.headers["Content-Type"]


application = get_wsgi_application()


def behind_a_server(environ: dict[str, Any], start_response: Any) -> Any:
    """The application behind what any server does first: a Content-Length that is no number never gets through."""
    length = environ.get("CONTENT_LENGTH", "")
    if length and not (length.isascii() and length.isdigit()):
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [b'{"errors": [{"field": "", "message": "the Content-Length is no number"}]}']
    return application(environ, start_response)


served = schemathesis.openapi.from_wsgi(
    "/api/schema?format=json",
    behind_a_server,
    config=SchemathesisConfig.from_path(Path(__file__).parents[2] / "schemathesis.toml"),
)
served.config.phases.coverage.enabled = False  # hundreds of requests for each operation with a journey in it


@pytest.fixture
def headers(db: None) -> Iterator[dict[str, str]]:
    """Those of an operator who may do everything. The application shares the test's own connection."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    make_contact("u1")
    make_journey("a", [{"name": "Tag", "action_type": "apply_tag", "action_config": {"tag": "t"}}])
    user = operator(superuser=True, username="root")
    yield {"Authorization": f"Bearer {RefreshToken.for_user(user).access_token}"}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@served.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_schemathesis_finds_no_violation(case: schemathesis.Case, headers: dict[str, str]) -> None:
    cache.clear()
    case.call_and_validate(headers=headers)
