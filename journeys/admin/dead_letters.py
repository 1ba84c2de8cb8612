"""Dead letters: steps that failed for good, to be tried again or let go."""

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action, display

from journeys.admin.readonly import as_uuid
from journeys.admin.runs import ExecutionColumns, reason_of
from journeys.engine import replay
from journeys.engine.clock import database_clock
from journeys.engine.wake import after_commit
from journeys.models import DeadLetter, StepExecution


@admin.register(DeadLetter)
class DeadLetterAdmin(ExecutionColumns):
    """Steps that failed for good. Replay tries again with the same key; Dismiss takes them off the list."""

    list_display = ("step_name", "person", "journey_name", "error", "retries", "dead_at")
    list_display_links = ("step_name",)
    ordering = ("-dead_at",)
    list_filter = ("dead_at",)
    search_fields = ("user_journey__contact__user_id",)
    search_help_text = "Contact's id or e-mail, or a run's id"
    detail_template = "journeys/admin/execution.html"
    empty_title = "Nothing failed for good"
    empty_text = "A step that still fails after all its retries waits here, until you replay or dismiss it."
    actions = ("replay_letters", "dismiss_letters")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StepExecution]:
        dead: QuerySet[StepExecution] = super().get_queryset(request).filter(dead_at__isnull=False)
        return dead

    @display(description="Error")
    def error(self, execution: StepExecution) -> str:
        return reason_of(execution)[:200]

    @display(description="Retries")
    def retries(self, execution: StepExecution) -> int:
        return execution.retry_count

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("journeys.change_deadletter"))

    @action(description="Replay: try again", permissions=["decide"])
    def replay_letters(self, request: HttpRequest, queryset: QuerySet[StepExecution]) -> HttpResponse | None:
        return self._decide(request, queryset, "replay")

    @action(description="Dismiss: leave them failed", permissions=["decide"])
    def dismiss_letters(self, request: HttpRequest, queryset: QuerySet[StepExecution]) -> HttpResponse | None:
        return self._decide(request, queryset, "dismiss")

    def _decide(self, request: HttpRequest, queryset: QuerySet[StepExecution], what: str) -> HttpResponse | None:
        chosen = [key for key in map(as_uuid, request.POST.getlist(ACTION_CHECKBOX_NAME)) if key]
        if not self.has_decide_permission(request):
            raise PermissionDenied
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"{what.capitalize()} {len(chosen):,} dead letter{'s' if len(chosen) != 1 else ''}?",
                "what": what,
                "chosen": chosen,
                "checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "journeys/admin/dead_letters_confirm.html", context)
        decide = replay.replay if what == "replay" else replay.dismiss
        count = decide(chosen, database_clock())
        after_commit()
        done = "will be tried again" if what == "replay" else "dismissed"
        messages.success(request, f"{count:,} dead letter{'s' if count != 1 else ''} {done}.")
        return HttpResponseRedirect(reverse("admin:journeys_deadletter_changelist"))
