"""The OpenAPI document: bodies and answers from their types, and what every operation may refuse."""

from collections.abc import Callable
from http import HTTPStatus
from inspect import getdoc
from typing import Any, Literal, TypeVar

from django.utils.text import slugify
from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction, OpenApiParameter, OpenApiResponse, extend_schema
from pydantic import BaseModel

from journeys.api import language
from journeys.api.answers import Errors

F = TypeVar("F", bound=Callable[..., Any])

REASONS = {
    400: "The request is wrong: each field and its fault.",
    401: "No token, or one that is not valid.",
    403: "The permission is missing.",
    404: "There is no such thing.",
    409: "The name is taken, the count is not right any more, or something else needs it.",
    410: "The contact was deleted.",
    413: "The body is larger than 1 MB.",
    415: "The body is not JSON.",
    429: "Too many token requests.",
    503: "The database does not answer, or not in time.",
}

USER_ID = OpenApiParameter(
    "user_id",
    {"type": "string", "minLength": 1, "maxLength": 190, "pattern": r"^[^/\x00-\x1f\x7f]+$"},
    OpenApiParameter.PATH,
    description="The calling system's own id for the person.",
)
TAG = OpenApiParameter(
    "tag",
    {"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"^[^/\x00-\x1f\x7f]+$"},
    OpenApiParameter.PATH,
)
PAGE = (
    OpenApiParameter(
        "page_size", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}, OpenApiParameter.QUERY
    ),
    OpenApiParameter("cursor", str, OpenApiParameter.QUERY, description="Where a page begins: follow the Link header."),
)


def operation(
    summary: str,
    *,
    answers: dict[int, type[BaseModel] | None],
    refuses: tuple[int, ...] = (),
    body: Any = None,
    parameters: tuple[OpenApiParameter, ...] = (),
    login: bool = True,
    tags: tuple[str, ...],
) -> Callable[[F], F]:
    """Describe an operation. `refuses` names the errors it has besides those of its login and its body."""
    codes = {*refuses, *((401, 403) if login else ()), *((400, 413, 415) if body is not None else ())}
    refusals = {code: OpenApiResponse(Errors, REASONS[code]) for code in sorted(codes)}
    good = {code: OpenApiResponse(model, HTTPStatus(code).phrase) for code, model in answers.items()}
    extra: dict[str, Any] = {} if login else {"auth": []}

    def describe(method: F) -> F:
        described: F = extend_schema(
            operation_id=slugify(summary).replace("-", "_"),
            summary=summary,
            # Else the generator takes the class's docstring, which is for who works on this code.
            description=getdoc(method) or f"{summary}.",
            request=body,
            responses={**good, **refusals},
            parameters=list(parameters),
            tags=list(tags),
            **extra,
        )(method)
        return described

    return describe


def demand_bodies(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Say that a body must be there, but for those that may be empty: the generator sees only plain objects' needs."""
    for path in result["paths"].values():
        for method, described in path.items():
            if "requestBody" in described and method == "post":
                described["requestBody"]["required"] = True
    return result


class TypedBodies(PydanticExtension):  # type: ignore[no-untyped-call]
    """Bodies as they are checked (what has a default may be absent), answers as they are sent."""

    target_class = "pydantic.BaseModel"
    match_subclasses = True
    priority = 1

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        mode: Literal["validation", "serialization"] = "validation" if direction == "request" else "serialization"
        schema: dict[str, Any] = self.target.model_json_schema(ref_template=f"{language.REF}{{model}}", mode=mode)
        parts = schema.pop("$defs", {}) | (language.components() if direction == "request" else {})
        for name, part in [*parts.items(), (self.target.__name__, schema)]:
            language.specify(name, part)
        schema, parts = language.resolve(schema), language.resolve(parts)
        for name, part in parts.items():
            kind = ResolvedComponent.SCHEMA
            component = ResolvedComponent(name=name, type=kind, object=name, schema=part)  # type: ignore[no-untyped-call]
            auto_schema.registry.register_on_missing(component)
        return schema
