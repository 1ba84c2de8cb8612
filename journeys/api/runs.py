"""Runs: where people are in their journeys, and the one way in which the web process moves them."""

from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from journeys.api import schema
from journeys.api.base import ApiView, answer
from journeys.api.errors import refuse
from journeys.api.paging import page
from journeys.api.run_answers import ExecuteAnswer, Executed, NotExecuted, RunDetail, RunList
from journeys.authoring.document import in_order
from journeys.engine.clock import database_clock
from journeys.engine.cycle import execute
from journeys.models import Contact, RunStatus, StepExecution, UserJourney

TAGS = ("runs",)


class UserRunsView(ApiView):
    needs = {"GET": ("journeys.view_userjourney",)}

    @schema.operation(
        "List a person's runs",
        answers={200: RunList},
        refuses=(400, 404),
        parameters=(
            schema.USER_ID,
            OpenApiParameter("status_filter", str, enum=list(RunStatus.values)),
            *schema.PAGE,
        ),
        tags=TAGS,
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Newest first."""
        status = request.query_params.get("status_filter")
        if status is not None and status not in RunStatus.values:
            raise refuse("status_filter", f"must be one of {', '.join(RunStatus.values)}")
        contact = Contact.objects.filter(user_id=user_id).first()
        if contact is None:
            raise Http404
        runs = UserJourney.objects.filter(contact=contact).select_related("journey", "contact")
        runs = runs.filter(status=status) if status else runs
        found, links = page(request, runs, ("-started_at", "-id"), ("status_filter",))
        return answer(RunList.of(found), headers=links)


class RunView(ApiView):
    needs = {"GET": ("journeys.view_userjourney",)}

    @schema.operation("Get a run with its executions", answers={200: RunDetail}, refuses=(404,), tags=TAGS)
    def get(self, request: Request, run_id: UUID) -> Response:
        run = _found(run_id)
        executions = StepExecution.objects.filter(user_journey=run).select_related("step")
        return answer(RunDetail.of(run, in_order(executions, run.journey)))


class ExecuteView(ApiView):
    needs = {"POST": ("journeys.change_userjourney",)}

    @schema.operation(
        "Execute what is due of a run", answers={200: ExecuteAnswer}, refuses=(400, 404, 413, 415), tags=TAGS
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        """Takes the run as far as it goes now. It needs no body."""
        run = _found(run_id)
        if run.status != RunStatus.ACTIVE or not run.journey.is_active:
            return answer(ExecuteAnswer(NotExecuted(reason="journey not active")))
        report = execute(run.id, database_clock)
        if report is None:
            return answer(ExecuteAnswer(NotExecuted(reason="being executed")))
        return answer(
            ExecuteAnswer(
                Executed(
                    executed=report.executed,
                    skipped=report.skipped,
                    failed=report.failed,
                    total_steps=_steps(run),
                )
            )
        )


def _found(run_id: UUID) -> UserJourney:
    runs = UserJourney.objects.select_related("journey__live_version", "contact")
    run = runs.filter(id=run_id).first()
    if run is None:
        raise Http404
    return run


def _steps(run: UserJourney) -> int:
    """How many steps the journey has that are switched on; people inside are on its live version."""
    version = run.journey.live_version
    return sum(step["is_active"] for step in version.definition["steps"]) if version is not None else 0
