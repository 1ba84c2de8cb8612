"""/api/v1/dead-letters: what failed for good, and trying it again or letting it go, many at once."""

from collections.abc import Callable
from datetime import datetime

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.actions.registry import ACTIONS
from journeys.api import reading, schema
from journeys.api.answers import DecidedOut
from journeys.api.base import ApiView, answer
from journeys.api.bodies import INSTANT, LettersBody, LettersFilter
from journeys.api.paging import page
from journeys.api.run_answers import DeadLetterList
from journeys.engine import wake
from journeys.engine.clock import database_clock
from journeys.engine.letters import Found, chosen, dismiss_all, replay_all

TAGS = ("dead letters",)
FILTERS = (
    OpenApiParameter("journey_id", OpenApiTypes.UUID),
    OpenApiParameter("step_id", OpenApiTypes.UUID),
    OpenApiParameter("action_type", str, enum=list(ACTIONS)),
    OpenApiParameter(
        "error",
        {"type": "string", "maxLength": 500, "pattern": r"^[^\x00]*$"},
        description="Part of the error, in any case.",
    ),
    *(
        OpenApiParameter(name, {"type": "string", "pattern": INSTANT}, description="When they died, ISO 8601.")
        for name in ("since", "until")
    ),
)


class DeadLettersView(ApiView):
    needs = {"GET": ("journeys.view_deadletter",)}

    @schema.operation(
        "List dead letters",
        answers={200: DeadLetterList},
        refuses=(400, 404),
        parameters=(*FILTERS, *schema.PAGE),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        """Those that died last come first."""
        names = tuple(LettersFilter.model_fields)
        given = {name: request.query_params[name] for name in names if name in request.query_params}
        letters = reading.parse(LettersFilter, given).letters()
        rows = chosen(letters).select_related("step__journey", "user_journey__contact")
        found, links = page(request, rows, ("-dead_at", "-id"), names)
        return answer(DeadLetterList.of(found), headers=links)


class _DecideView(ApiView):
    needs = {"POST": ("journeys.change_deadletter",)}

    def decide(self, request: Request, act: Callable[[Found, int, datetime], int]) -> Response:
        body = reading.parse(LettersBody, request.data)
        if body.count is None:
            return answer(DecidedOut(count=chosen(body.letters()).count(), done=False))
        done = act(chosen(body.letters()), body.count, database_clock())
        wake.after_commit()
        return answer(DecidedOut(count=done, done=True))


class ReplayView(_DecideView):
    @schema.operation("Replay dead letters", body=LettersBody, answers={200: DecidedOut}, refuses=(400, 409), tags=TAGS)
    def post(self, request: Request) -> Response:
        """Tries them again, with the keys and texts of the first time.

        Without `count` nothing is done, and the answer says how many it would be. Send that number as `count` to do
        it; where it is not right any more, nothing is done either.
        """
        return self.decide(request, replay_all)


class DismissView(_DecideView):
    @schema.operation(
        "Dismiss dead letters", body=LettersBody, answers={200: DecidedOut}, refuses=(400, 409), tags=TAGS
    )
    def post(self, request: Request) -> Response:
        """Takes them off the list; they stay failed. `count` as for replaying them."""
        return self.decide(request, dismiss_all)
