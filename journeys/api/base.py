"""What all views of the API share."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from pydantic import BaseModel
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication

from journeys.api import errors, reading


class MayDoThis(BasePermission):
    """The operator has the Django permissions that the view names for the method."""

    message = "you lack the permission for this"

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        if not user or not user.is_authenticated:
            return False
        needs: tuple[str, ...] = getattr(view, "needs", {}).get(request.method or "", ())
        return user.has_perms(needs)


class ApiView(APIView):
    """Parses, makes one call, formats. `needs` names each method's permissions.

    What REST framework's settings are in a project of somebody else's does not matter to it.
    """

    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    authentication_classes: Any = (JWTAuthentication,)
    permission_classes: Any = (MayDoThis,)
    renderer_classes: Any = (JSONRenderer,)
    parser_classes: Any = (reading.StrictJSONParser,)
    http_method_names: Any = ("get", "post", "put", "patch", "delete", "head")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        reading.limit_body(request._request)
        super().initial(request, *args, **kwargs)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return errors.answer


class PublicView(ApiView):
    """A view that needs no login; a wrong token does not matter to it."""

    permission_classes: Any = ()
    authentication_classes: Any = ()

    def get_authenticate_header(self, request: Request) -> str:
        """Every 401 carries a challenge (RFC 9110 §11.6.1), also where a body holds the credentials."""
        return 'Bearer realm="api"'


def by(request: Request) -> User:
    """The operator who asks."""
    user: User | AnonymousUser | None = request.user  # In a project with a user model of its own: one of those.
    if user is None or isinstance(user, AnonymousUser):
        raise TypeError("the view requires a login")
    return user


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A typed answer as JSON."""
    return Response(model.model_dump(mode="json"), status=status, headers=headers)


class UuidConverter:
    """Any spelling that is no UUID is no such resource: 404."""

    regex = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"

    def to_python(self, value: str) -> UUID:
        return UUID(value)

    def to_url(self, value: UUID) -> str:
        return str(value)


class UserIdConverter:
    """What can't be a user_id is no such resource: 404."""

    regex = r"[^/\x00-\x1f\x7f]{1,190}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class TagConverter(UserIdConverter):
    regex = r"[^/\x00-\x1f\x7f]{1,100}"


class DestinationConverter(UserIdConverter):
    regex = r"[^/\x00-\x1f\x7f]{1,300}"


def plain_request(request: Request) -> HttpRequest:
    """The request as Django's own parts know it."""
    return request._request
