"""Dead letters: steps that failed for good, to be tried again or let go."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action, display

from journeys.admin.readonly import as_uuid
from journeys.admin.runs import ActionFilter, ExecutionColumns, StepsJourneyFilter, reason_of
from journeys.engine import letters, replay
from journeys.engine.clock import database_clock
from journeys.engine.wake import after_commit
from journeys.models import DeadLetter, StepExecution


@admin.register(DeadLetter)
class DeadLetterAdmin(ExecutionColumns):
    """Steps that failed for good. Replay tries again with the same key; Dismiss takes them off the list."""

    list_display = ("step_name", "person", "journey_name", "error", "retries", "dead_at")
    list_display_links = ("step_name",)
    ordering = ("-dead_at",)
    list_filter = ("dead_at", StepsJourneyFilter, ActionFilter)
    search_fields = ("user_journey__contact__user_id",)
    search_help_text = "Contact's id or e-mail, a run's id, or a part of the error"
    change_list_template = "journeys/admin/dead_letters.html"
    detail_template = "journeys/admin/execution.html"
    empty_title = "Nothing failed for good"
    empty_text = "A step that still fails after all its retries waits here, until you replay or dismiss it."
    actions = ("replay_letters", "dismiss_letters")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StepExecution]:
        dead: QuerySet[StepExecution] = super().get_queryset(request).filter(dead_at__isnull=False)
        return dead

    def search(self, term: str) -> Q:
        return super().search(term) | Q(error_message__icontains=term)

    def get_urls(self) -> list[URLPattern]:
        views = {what: self.admin_site.admin_view(partial(self.all_view, what=what)) for what in ("replay", "dismiss")}
        own = [path(f"all/{what}/", view, name=f"journeys_{what}_all") for what, view in views.items()]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may = {"may_decide": self.has_decide_permission(request)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def all_view(self, request: HttpRequest, what: str) -> HttpResponse:
        """Replay or dismiss all that the list finds with this address's filters: asked first, with their number."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        back = f"{reverse('admin:journeys_deadletter_changelist')}?{request.GET.urlencode()}"
        try:
            found = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:journeys_deadletter_changelist"))
        if request.method != "POST":
            return self._ask(request, what, {"number": found.order_by().count(), "back": back})
        decide = letters.replay_all if what == "replay" else letters.dismiss_all
        try:
            count = decide(found, as_number(request.POST.get("count", "")), database_clock())
        except letters.CountChanged as changed:
            messages.error(request, f"Nothing was done: {changed}.")
            return HttpResponseRedirect(back)
        return self._done(request, what, count)

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
            back = reverse("admin:journeys_deadletter_changelist")
            return self._ask(request, what, {"number": len(chosen), "chosen": chosen, "back": back})
        decide = replay.replay if what == "replay" else replay.dismiss
        return self._done(request, what, decide(chosen, database_clock()))

    def _ask(self, request: HttpRequest, what: str, about: dict[str, Any]) -> HttpResponse:
        number = about["number"]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{what.capitalize()} {number:,} dead letter{'s' if number != 1 else ''}?",
            "what": what,
            "checkbox_name": ACTION_CHECKBOX_NAME,
            **about,
        }
        return TemplateResponse(request, "journeys/admin/dead_letters_confirm.html", context)

    def _done(self, request: HttpRequest, what: str, count: int) -> HttpResponse:
        after_commit()
        done = "will be tried again" if what == "replay" else "dismissed"
        messages.success(request, f"{count:,} dead letter{'s' if count != 1 else ''} {done}.")
        return HttpResponseRedirect(reverse("admin:journeys_deadletter_changelist"))


def as_number(text: str) -> int:
    """What the page was asked to confirm; -1 for what no page of ours would send."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
