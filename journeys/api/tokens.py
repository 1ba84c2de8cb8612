"""Tokens for operators: a short access token, and a refresh token that can be used once."""

import hashlib
from typing import Any, ClassVar

from django.contrib.auth import authenticate, get_user_model
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken

from journeys.api import schema
from journeys.api.answers import Tokens
from journeys.api.base import PublicView, answer, plain_request
from journeys.api.bodies import RefreshBody, TokenBody
from journeys.api.reading import parse

TAGS = ("auth",)


class TokenThrottle(SimpleRateThrottle):
    """Its rate is the project's DEFAULT_THROTTLE_RATES for the scope, or `usual_rate`."""

    usual_rate: ClassVar[str]

    def get_rate(self) -> str | None:
        return self.THROTTLE_RATES.get(self.scope or "", self.usual_rate)


class PerAddress(TokenThrottle):
    """All token requests from one address."""

    scope = "token_address"
    usual_rate = "60/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return f"{self.scope}:{self.get_ident(request)}"


class PerAccount(TokenThrottle):
    """Those for one account from one address: somebody else's attempts don't lock the account's owner out."""

    scope = "token_account"
    usual_rate = "20/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        account = request.data.get("username") if isinstance(request.data, dict) else None
        if not isinstance(account, str):
            return None
        digest = hashlib.sha256(account.casefold().encode()).hexdigest()
        return f"{self.scope}:{digest}:{self.get_ident(request)}"


class TokenView(PublicView):
    throttle_classes = (PerAddress, PerAccount)

    @schema.operation(
        "Get tokens",
        body=TokenBody,
        answers={200: Tokens},
        refuses=(401, 429),
        login=False,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        body = parse(TokenBody, request.data)
        django_request = plain_request(request)
        user = authenticate(django_request, username=body.username, password=body.password)
        if getattr(django_request, "axes_locked_out", False):
            django_request.axes_locked_out = False  # type: ignore[attr-defined]  # else axes answers, in HTML
            raise Throttled(detail="too many failed logins: try again later")
        if user is None:
            raise AuthenticationFailed("no active account has these credentials")
        return answer(_tokens(RefreshToken.for_user(user)))


class RefreshView(PublicView):
    throttle_classes = (PerAddress,)

    @schema.operation(
        "Get new tokens for a refresh token",
        body=RefreshBody,
        answers={200: Tokens},
        refuses=(401, 429),
        login=False,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """The refresh token is used up by it."""
        body = parse(RefreshBody, request.data)
        try:
            old = RefreshToken(body.refresh)  # type: ignore[arg-type]  # it takes the text of one
        except TokenError as error:
            raise AuthenticationFailed("the refresh token is not valid, has expired or was used already") from error
        user = get_user_model().objects.filter(pk=old.get("user_id")).first()
        if user is None or not user.is_active:
            raise AuthenticationFailed("the account is not active any more")
        blacklisted: Any = old.blacklist()  # what get_or_create returns
        if not blacklisted[1]:  # Another request used it between our look and this line.
            raise AuthenticationFailed("the refresh token is not valid, has expired or was used already")
        return answer(_tokens(RefreshToken.for_user(user)))


def _tokens(refresh: RefreshToken) -> Tokens:
    return Tokens(access=str(refresh.access_token), refresh=str(refresh))
