"""Who may do what: no token 401, a plain account 403, the right permission lets through."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import RefreshToken

from tests.factories import make_contact, make_journey, operator

pytestmark = pytest.mark.django_db

NOWHERE = "00000000-0000-7000-8000-000000000000"
MATRIX = [
    ("get", "journeys", ["view_journey"]),
    ("post", "journeys", ["add_journey"]),
    ("get", "journeys/{journey}", ["view_journey"]),
    ("patch", "journeys/{journey}", ["change_journey"]),
    ("delete", "journeys/{journey}", ["delete_journey"]),
    ("get", "journeys/users/u1/journeys", ["view_userjourney"]),
    ("post", "journeys/trigger", ["add_event"]),
    ("post", f"journeys/execute/{NOWHERE}", ["change_userjourney"]),
    ("post", "events", ["add_event"]),
    ("get", f"runs/{NOWHERE}", ["view_userjourney"]),
    ("get", "users/u1", ["view_contact"]),
    ("put", "users/u1", ["add_contact", "change_contact"]),
    ("delete", "users/u1", ["delete_contact"]),
    ("get", "users/u1/devices", ["view_contact"]),
    ("post", "users/u1/devices", ["change_contact"]),
    ("delete", f"users/u1/devices/{NOWHERE}", ["change_contact"]),
    ("get", "users/u1/tags", ["view_contact"]),
    ("put", "users/u1/tags/vip", ["change_contact"]),
    ("delete", "users/u1/tags/vip", ["change_contact"]),
    ("get", "dead-letters", ["view_deadletter"]),
    ("post", "dead-letters/replay", ["change_deadletter"]),
    ("post", "dead-letters/dismiss", ["change_deadletter"]),
    ("get", "frequency-caps", ["view_frequencycap"]),
    ("post", "frequency-caps", ["add_frequencycap"]),
    ("get", f"frequency-caps/{NOWHERE}", ["view_frequencycap"]),
    ("put", f"frequency-caps/{NOWHERE}", ["change_frequencycap"]),
    ("delete", f"frequency-caps/{NOWHERE}", ["delete_frequencycap"]),
    ("get", "breakers", ["view_breaker"]),
    ("delete", "breakers/example.com:443", ["delete_breaker"]),
]


@pytest.mark.parametrize(("method", "path", "needs"), MATRIX)
def test_each_endpoint_wants_its_own_permission(
    client_of: Callable[..., APIClient], method: str, path: str, needs: list[str]
) -> None:
    journey = make_journey("a", [])
    make_contact("u1")
    url = f"/api/v1/{path.format(journey=journey.id)}"
    others = sorted({name for _, _, names in MATRIX for name in names} - set(needs))
    assert getattr(APIClient(), method)(url, {}, format="json").status_code == 401
    for client in (
        client_of(username="plain"),
        client_of(*(f"journeys.{name}" for name in others), username="others"),
    ):
        response = getattr(client, method)(url, {}, format="json")
        assert response.status_code == 403
        assert response.json() == {"errors": [{"field": "", "message": "you lack the permission for this"}]}
    allowed = client_of(*(f"journeys.{name}" for name in needs), username="allowed")
    assert getattr(allowed, method)(url, {}, format="json").status_code in (200, 201, 204, 400, 404)


@pytest.mark.parametrize(
    ("group", "method", "path", "status"),
    [
        ("Marketer", "get", "journeys", 200),
        ("Marketer", "post", "journeys", 400),
        ("Marketer", "get", "users/u1", 404),
        ("Marketer", "put", "users/u1", 403),
        ("Marketer", "post", "events", 403),
        ("Service", "get", "journeys", 200),
        ("Service", "post", "journeys", 403),
        ("Service", "put", "users/u1", 201),
        ("Service", "post", "events", 400),
    ],
)
def test_the_groups_can_do_their_work(group: str, method: str, path: str, status: int) -> None:
    user = operator()
    user.groups.add(Group.objects.get(name=group))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {RefreshToken.for_user(user).access_token}")
    assert getattr(client, method)(f"/api/v1/{path}", {}, format="json").status_code == status


def test_health_schema_and_docs_need_no_login() -> None:
    client = APIClient()
    for path in ("v1/health", "schema", "docs"):
        assert client.get(f"/api/{path}").status_code == 200
    client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert client.get("/api/v1/health").json() == {"status": "ok"}
