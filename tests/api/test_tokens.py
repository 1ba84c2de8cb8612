"""Tokens: who gets one, how long it is good for, how often one may try."""

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.factories import operator

pytestmark = pytest.mark.django_db
GOOD = {"username": "operator", "password": "a long password"}


@pytest.fixture
def anybody() -> APIClient:
    operator("journeys.view_journey")
    return APIClient()


def test_a_token_opens_the_api(anybody: APIClient) -> None:
    response = anybody.post("/api/v1/auth/token", GOOD)
    assert response.status_code == 200
    assert set(response.json()) == {"access", "refresh"}
    anybody.credentials(HTTP_AUTHORIZATION=f"Bearer {response.json()['access']}")
    assert anybody.get("/api/v1/journeys").status_code == 200


def test_a_refresh_token_works_once(anybody: APIClient) -> None:
    first = anybody.post("/api/v1/auth/token", GOOD).json()
    second = anybody.post("/api/v1/auth/refresh", {"refresh": first["refresh"]})
    assert second.status_code == 200
    assert second.json()["refresh"] != first["refresh"]
    again = anybody.post("/api/v1/auth/refresh", {"refresh": first["refresh"]})
    assert again.status_code == 401
    assert "used already" in again.json()["errors"][0]["message"]


def test_an_account_that_was_switched_off_gets_nothing(anybody: APIClient) -> None:
    tokens = anybody.post("/api/v1/auth/token", GOOD).json()
    User.objects.update(is_active=False)
    assert anybody.post("/api/v1/auth/token", GOOD).status_code == 401
    assert anybody.post("/api/v1/auth/refresh", {"refresh": tokens["refresh"]}).status_code == 401
    anybody.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    assert anybody.get("/api/v1/journeys").status_code == 401


def test_a_refresh_token_is_no_access_token(anybody: APIClient) -> None:
    tokens = anybody.post("/api/v1/auth/token", GOOD).json()
    anybody.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['refresh']}")
    assert anybody.get("/api/v1/journeys").status_code == 401
    anybody.credentials()
    assert anybody.post("/api/v1/auth/refresh", {"refresh": tokens["access"]}).status_code == 401


@pytest.mark.parametrize("algorithm", ["HS512", "none"])
def test_the_algorithm_is_pinned(anybody: APIClient, algorithm: str) -> None:
    token = anybody.post("/api/v1/auth/token", GOOD).json()["access"]
    claims = jwt.decode(token, options={"verify_signature": False})
    key = "" if algorithm == "none" else settings.SECRET_KEY + "x" * 64
    forged = jwt.encode(claims, key, algorithm)
    anybody.credentials(HTTP_AUTHORIZATION=f"Bearer {forged}")
    assert anybody.get("/api/v1/journeys").status_code == 401


def test_no_token_and_a_wrong_one_are_401_with_a_challenge(anybody: APIClient) -> None:
    for header in ("", "Bearer", "Bearer nonsense", "Bearer a.b.c", "Basic b3A6cHc="):
        anybody.credentials(**({"HTTP_AUTHORIZATION": header} if header else {}))
        response = anybody.get("/api/v1/journeys")
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "operator"}, "password"),
        ({"username": 1, "password": "x"}, "username"),
        ({"username": "a\x00", "password": "x"}, "username"),
        ({**GOOD, "otp": "1"}, "otp"),
    ],
)
def test_a_malformed_request_names_its_field(anybody: APIClient, body: dict[str, object], field: str) -> None:
    response = anybody.post("/api/v1/auth/token", body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_a_wrong_password_is_401(anybody: APIClient) -> None:
    response = anybody.post("/api/v1/auth/token", {**GOOD, "password": "wrong"})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_guessing_is_stopped_per_account_and_address(anybody: APIClient) -> None:
    operator(username="other")
    wrong = {**GOOD, "password": "wrong"}
    codes = [anybody.post("/api/v1/auth/token", wrong).status_code for _ in range(25)]
    assert codes[0] == 401 and codes[-1] == 429
    response = anybody.post("/api/v1/auth/token", GOOD)
    assert response.status_code == 429
    assert response.json()["errors"][0]["message"]
    assert anybody.post("/api/v1/auth/token", {**GOOD, "username": "other"}).status_code == 200
    elsewhere = APIClient(REMOTE_ADDR="198.51.100.7")
    assert elsewhere.post("/api/v1/auth/token", GOOD).status_code == 200


def test_an_address_is_limited_whatever_the_account_and_whatever_it_claims(anybody: APIClient) -> None:
    codes = [
        anybody.post(
            "/api/v1/auth/token",
            {"username": f"u{number}", "password": "x"},
            HTTP_X_FORWARDED_FOR=f"198.51.100.{number}",
        ).status_code
        for number in range(61)
    ]
    assert codes[-1] == 429


def test_calls_with_a_token_are_not_limited(anybody: APIClient) -> None:
    access = anybody.post("/api/v1/auth/token", GOOD).json()["access"]
    anybody.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    assert {anybody.get("/api/v1/journeys").status_code for _ in range(100)} == {200}
