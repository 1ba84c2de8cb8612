"""Breakers: destinations that fail, or want nothing for a while; closing one by hand."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action, display

from journeys.admin.readonly import ReadOnlyAdmin
from journeys.engine import breakers
from journeys.models import Breaker, BreakerState

STATE_COLOURS = {"open": "danger", "busy": "warning", "closed": "success"}


@admin.register(Breaker)
class BreakerAdmin(ReadOnlyAdmin):
    """Destinations that failed lately. Nothing is sent to one that is open, but one message a minute to probe it."""

    list_display = ("destination", "channel", "state", "failures", "last_error", "opened_at", "next_at")
    list_display_links = None
    list_filter = ("channel",)
    ordering = (F("opened_at").desc(nulls_last=True), "destination")
    search_fields = ("destination",)
    search_help_text = "The beginning of a host's name"
    empty_title = "No destination fails"
    empty_text = "A host that fails again and again is left alone and probed once a minute; until then it stands here."
    actions = ("close_breakers",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Breaker]:
        found: QuerySet[Breaker] = super().get_queryset(request)
        return found

    def search(self, term: str) -> Q:
        return Q(destination__startswith=term.lower())

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        return None  # The list shows all there is to see.

    @display(description="State", label=STATE_COLOURS)
    def state(self, breaker: Breaker) -> tuple[str, str]:
        state = breaker.state(timezone.now())
        return state.value, state.label

    @display(description="Next try")
    def next_at(self, breaker: Breaker) -> datetime | None:
        state = breaker.state(timezone.now())
        return {BreakerState.OPEN: breaker.probe_at, BreakerState.BUSY: breaker.busy_until}.get(state)

    def has_close_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("journeys.delete_breaker"))

    @action(description="Close: send there again", permissions=["close"])
    def close_breakers(self, request: HttpRequest, queryset: QuerySet[Breaker]) -> HttpResponse:
        closed = sum(breakers.forget(destination) for destination in queryset.values_list("destination", flat=True))
        messages.success(request, f"{closed:,} breaker{'s' if closed != 1 else ''} closed. What waits comes by and by.")
        return HttpResponseRedirect(reverse("admin:journeys_breaker_changelist"))
