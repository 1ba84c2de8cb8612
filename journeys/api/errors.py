"""Every error as one shape: `{"errors": [{"field": "steps[0].action_type", "message": "…"}]}`."""

from typing import Any

from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail
from rest_framework.response import Response
from rest_framework.views import exception_handler

from journeys.authoring.caps import CapTaken
from journeys.authoring.faults import Fault, Faulty
from journeys.authoring.publish import NameTaken
from journeys.authoring.segments import SegmentInUse
from journeys.authoring.starts import JourneyInUse
from journeys.engine.audience import TooSlow
from journeys.engine.letters import CountChanged
from journeys.engine.manual import AudienceChanged, CannotStart, KeyUsed


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "the body is larger than 1 MB"


class Gone(APIException):
    status_code = status.HTTP_410_GONE
    default_detail = "this contact was deleted"


def refuse(field: str, message: str) -> Faulty:
    """A single fault, to be raised."""
    return Faulty([Fault(field, message)])


def answer(exception: Exception, context: dict[str, Any]) -> Response | None:
    """The response to what a view raised; None for what nobody foresaw."""
    match exception:
        case Faulty():
            return Response(as_json(exception.faults), status=status.HTTP_400_BAD_REQUEST)
        case NameTaken():
            return Response(as_json([Fault("name", str(exception))]), status=status.HTTP_409_CONFLICT)
        case CapTaken():
            return Response(as_json([Fault("period_hours", str(exception))]), status=status.HTTP_409_CONFLICT)
        case JourneyInUse() | SegmentInUse():
            return Response(as_json([Fault("", str(exception))]), status=status.HTTP_409_CONFLICT)
        case CannotStart():
            return Response(as_json([Fault("", str(exception))]), status=status.HTTP_409_CONFLICT)
        case AudienceChanged() | KeyUsed():
            return Response(as_json([Fault("count", str(exception))]), status=status.HTTP_409_CONFLICT)
        case TooSlow():
            return Response(as_json([Fault("", str(exception))]), status=status.HTTP_503_SERVICE_UNAVAILABLE)
        case CountChanged():
            return Response(as_json([Fault("count", str(exception))]), status=status.HTTP_409_CONFLICT)
    response = exception_handler(exception, context)
    if response is not None:
        response.data = as_json([Fault("", message) for message in _messages(response.data)])
    return response


def as_json(faults: list[Fault]) -> dict[str, Any]:
    return {"errors": [{"field": fault.path, "message": fault.message} for fault in faults]}


def _messages(detail: Any) -> list[str]:
    """The sentences in whatever structure the framework made of an error."""
    match detail:
        case {"messages": [*_], "detail": inner} | {"detail": inner}:
            return _messages(inner)
        case dict():
            return [message for part in detail.values() for message in _messages(part)]
        case list():
            return [message for part in detail for message in _messages(part)]
        case ErrorDetail():
            return [str(detail)]
    return [str(detail)]
