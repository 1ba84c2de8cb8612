"""Runs and their executions."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from journeys.actions.registry import ACTIONS, is_message
from journeys.admin.icons import icon_of
from journeys.admin.readonly import ReadOnlyAdmin, as_uuid, matching_contacts
from journeys.authoring.document import in_order
from journeys.logic.hours import Span
from journeys.models import Journey, Message, RunStatus, StepExecution, UserJourney

RUN_COLOURS = {"active": "info", "completed": "success", "failed": "danger", "paused": "warning"}
EXECUTION_COLOURS = {"success": "success", "failed": "danger", "pending": "info"}


class JourneyFilter(admin.SimpleListFilter):
    title = "journey"
    parameter_name = "journey"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), name) for pk, name in Journey.objects.order_by("name").values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(journey_id=as_uuid(self.value() or "")) if self.value() else queryset


class StepsJourneyFilter(JourneyFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(step__journey_id=as_uuid(self.value() or "")) if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    title = "action"
    parameter_name = "action_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, action.label) for kind, action in ACTIONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(step__action_type=self.value()) if self.value() else queryset


@admin.register(UserJourney)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("person", "journey_name", "state", "at_step", "next_at", "started_at")
    list_display_links = ("person",)
    list_filter = ("status", JourneyFilter, "started_at")
    list_select_related = ("contact", "journey", "current_step")
    detail_select_related = ("contact", "journey", "current_step", "version")
    ordering = ("-started_at",)
    search_fields = ("contact__user_id",)
    search_help_text = "Contact's id or e-mail"
    detail_template = "journeys/admin/run.html"
    empty_title = "No runs"
    empty_text = "A run appears as soon as an event starts an active journey for a contact."

    def search(self, term: str) -> Q:
        key = as_uuid(term)
        return Q(pk=key) | Q(journey_id=key) if key else super().search(term)

    @display(description="Contact")
    def person(self, run: UserJourney) -> str:
        return run.contact.user_id

    @display(description="Journey")
    def journey_name(self, run: UserJourney) -> str:
        return run.journey.name

    @display(description="Status", label=RUN_COLOURS)
    def state(self, run: UserJourney) -> tuple[str, str]:
        return run.status, run.get_status_display()

    @display(description="At step")
    def at_step(self, run: UserJourney) -> str | None:
        return run.current_step.name if run.current_step else None

    @display(description="Next due")
    def next_at(self, run: UserJourney) -> Any:
        return "parked: the journey is off" if run.parked_due_at else run.due_at

    def detail(self, request: HttpRequest, obj: UserJourney) -> dict[str, Any]:
        executions = in_order(obj.executions.select_related("step"), obj.journey)
        sent = set(Message.objects.filter(pk__in=[each.pk for each in executions]).values_list("pk", flat=True))
        return {
            "title": f"{obj.contact.user_id} in {obj.journey.name}",
            "timeline": [_line(execution, execution.pk in sent) for execution in executions],
            "colour": RUN_COLOURS.get(obj.status, "default"),
            "hours": _hours(obj),
            "step_waits": obj.status == RunStatus.ACTIVE and obj.current_step_id not in {e.step_id for e in executions},
        }


def _hours(run: UserJourney) -> list[str]:
    """What says at which hours the step that the run waits for is taken."""
    step = run.current_step
    if step is None or run.status != RunStatus.ACTIVE:
        return []
    window = Span.of(step.window)
    quiet = Span.of(run.journey.quiet_hours) if is_message(step.action_type) else None
    said = ([f"only {window}"] if window else []) + ([f"not in the quiet hours {quiet}"] if quiet else [])
    return [*said, f"by the clock of {run.contact.timezone or settings.TIME_ZONE}"] if said else []


def _line(execution: StepExecution, has_message: bool) -> dict[str, Any]:
    return {
        "execution": execution,
        "icon": icon_of(execution.step.action_type),
        "colour": EXECUTION_COLOURS.get(execution.status, "default"),
        "reason": reason_of(execution),
        "has_message": has_message,
    }


def reason_of(execution: StepExecution) -> str:
    """Why it ended as it did: the error, the lane, the reason for skipping, or the outcome's own word."""
    result = execution.result
    if lane := result.get("lane"):
        return f"went into “{lane}”"
    return execution.error_message or str(result.get("reason") or result.get("status") or "")


class ExecutionColumns(ReadOnlyAdmin):
    list_select_related = ("user_journey__contact", "user_journey__journey", "step")

    @display(description="Step")
    def step_name(self, execution: StepExecution) -> str:
        return execution.step.name

    @display(description="Contact")
    def person(self, execution: StepExecution) -> str:
        return execution.user_journey.contact.user_id

    @display(description="Journey")
    def journey_name(self, execution: StepExecution) -> str:
        return execution.user_journey.journey.name

    @display(description="Outcome", label=EXECUTION_COLOURS)
    def outcome(self, execution: StepExecution) -> tuple[str, str]:
        return execution.status, execution.get_status_display()

    @display(description="Reason or error")
    def reason(self, execution: StepExecution) -> str:
        return reason_of(execution)[:160]

    def search(self, term: str) -> Q:
        key = as_uuid(term)
        if key:
            return Q(pk=key) | Q(user_journey_id=key)
        return Q(user_journey__contact_id__in=matching_contacts(term))

    def detail(self, request: HttpRequest, obj: StepExecution) -> dict[str, Any]:
        action_kind = ACTIONS.get(obj.step.action_type)
        return {
            "title": obj.step.name,
            "line": _line(obj, Message.objects.filter(pk=obj.pk).exists()),
            "action": action_kind.label if action_kind else obj.step.action_type,
        }


@admin.register(StepExecution)
class ExecutionAdmin(ExecutionColumns):
    list_display = ("step_name", "person", "journey_name", "outcome", "reason", "executed_at")
    list_display_links = ("step_name",)
    list_filter = ("status", "executed_at")
    ordering = ("-executed_at",)
    search_fields = ("user_journey__contact__user_id",)
    search_help_text = "Contact's id or e-mail, or a run's id"
    detail_template = "journeys/admin/execution.html"
    empty_title = "No executions"
    empty_text = "Each step that a run takes stands here, with its outcome and the reason for it."
