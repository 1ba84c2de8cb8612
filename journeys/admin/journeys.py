"""The builder: the list of journeys, and the page of one. Every change goes through journeys.authoring."""

from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display

from journeys.actions.registry import ACTIONS
from journeys.admin.builder import JourneyEditor
from journeys.admin.fields import ConditionField, entered_condition, operator_choices, other_view
from journeys.admin.icons import icon_of
from journeys.admin.readonly import TolerantChangeList, as_uuid
from journeys.admin.starting import start_page
from journeys.analytics import Numbers, journey_numbers
from journeys.authoring.publish import delete_journey, set_active
from journeys.authoring.starts import JourneyInUse
from journeys.engine.clock import database_clock
from journeys.engine.triggers import TRIGGERS
from journeys.engine.wake import after_commit
from journeys.models import Journey


class TriggerFilter(admin.SimpleListFilter):
    title = "starts when"
    parameter_name = "trigger_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, trigger.label) for kind, trigger in TRIGGERS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Journey]) -> QuerySet[Journey]:
        return queryset.filter(trigger_type=self.value()) if self.value() else queryset


@admin.register(Journey)
class JourneyAdmin(ModelAdmin):
    list_display = ("title", "starts_when", "switch", "inside", "started", "completed", "priority")
    list_display_links = ("title",)
    list_filter = ("is_active", TriggerFilter)
    list_filter_submit = False
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("name",)
    search_help_text = "Search by name"
    sortable_by = ()
    actions = None
    change_list_template = "journeys/admin/journey_list.html"
    empty_title = "No journeys yet"
    empty_text = (
        "A journey starts when something happens to a contact, and then takes its steps: an e-mail now, "
        "a Telegram message in five minutes, a tag tomorrow."
    )

    # --- The list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TolerantChangeList]:
        return TolerantChangeList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        numbers = journey_numbers(journey.pk for journey in page.result_list)
        may_switch = self.has_change_permission(request)
        for journey in page.result_list:
            journey.numbers, journey.may_switch = numbers[journey.pk], may_switch
        return page

    @display(description="Journey")
    def title(self, journey: Journey) -> str:
        return journey.name

    @display(description="Starts when")
    def starts_when(self, journey: Journey) -> str:
        trigger = TRIGGERS.get(journey.trigger_type)
        named = journey.trigger_config.get("event") or journey.trigger_config.get("segment") or ""
        return f"{trigger.label if trigger else journey.trigger_type}{': ' if named else ''}{named}"

    @display(description="Active")
    def switch(self, journey: Any) -> str:
        return render_to_string("journeys/admin/switch.html", {"journey": journey})

    @display(description="In it now")
    def inside(self, journey: Any) -> str:
        return f"{_numbers(journey).inside:,}"

    @display(description="Started")
    def started(self, journey: Any) -> str:
        return f"{_numbers(journey).started:,}"

    @display(description="Completed")
    def completed(self, journey: Any) -> str:
        return f"{_numbers(journey).completed:,}"

    # --- Further addresses

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("toggle/", view(self.toggle_view), name="journeys_journey_toggle"),
            path("<path:object_id>/start/", view(self.start_view), name="journeys_journey_start"),
            path("condition/", view(self.condition_view), name="journeys_journey_condition"),
            *super().get_urls(),
        ]

    def toggle_view(self, request: HttpRequest) -> HttpResponse:
        """Switch one journey on or off from the list."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        wanted, _, state = request.POST.get("journey", "").partition(":")
        key = as_uuid(wanted)
        journey = Journey.objects.filter(pk=key).first() if key else None
        if journey is None or state not in ("on", "off"):
            raise Http404("There is no such journey.")
        set_active(journey.pk, state == "on", _operator(request), database_clock())
        after_commit()
        self.log_change(request, journey, f"Switched {state}.")
        said = "is on: it starts people again" if state == "on" else "is off: it starts nobody, and people inside wait"
        messages.success(request, f"“{journey.name}” {said}.")
        return HttpResponseRedirect(reverse("admin:journeys_journey_changelist"))

    def start_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Start the journey for people whom somebody chooses. It tells whom we know, as the API's call does."""
        journey: Journey | None = self.get_object(request, unquote(object_id))
        if not (self.has_change_permission(request, journey) and request.user.has_perm("journeys.view_contact")):
            raise PermissionDenied
        if journey is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return start_page(request, journey, {**self.admin_site.each_context(request), "opts": self.opts})

    def condition_view(self, request: HttpRequest) -> JsonResponse:
        """The other view of a condition."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return JsonResponse(other_view(entered_condition(request.POST), ConditionField()))

    # --- One journey

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        journey = self.get_object(request, unquote(object_id)) if object_id else None
        may_edit = self.has_change_permission(request, journey) if object_id else self.has_add_permission(request)
        if not may_edit and not (object_id and self.has_view_permission(request, journey)):
            raise PermissionDenied
        if object_id and journey is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method != "POST":
            return self._page(request, JourneyEditor(journey), journey, may_edit)
        if not may_edit:
            raise PermissionDenied
        editor = JourneyEditor(journey, request.POST)
        saved = editor.save(_operator(request), database_clock()) if editor.is_valid() else None
        if saved is None:
            return self._page(request, editor, journey, may_edit)
        after_commit()
        return self._saved(request, saved, is_new=journey is None)

    def _saved(self, request: HttpRequest, journey: Journey, *, is_new: bool) -> HttpResponse:
        if is_new:
            self.log_addition(request, journey, "Made.")
        else:
            self.log_change(request, journey, "Saved and published.")
        state = "is live" if journey.is_active else "is saved, and switched off"
        messages.success(request, f"“{journey.name}” {state}.")
        if "_continue" in request.POST:
            return HttpResponseRedirect(reverse("admin:journeys_journey_change", args=[journey.pk]))
        return HttpResponseRedirect(reverse("admin:journeys_journey_changelist"))

    def _page(
        self, request: HttpRequest, editor: JourneyEditor, journey: Journey | None, may_edit: bool
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": journey,
            "title": journey.name if journey else "New journey",
            "editor": editor,
            "numbers": journey_numbers([journey.pk])[journey.pk] if journey else None,
            "may_edit": may_edit,
            "may_delete": journey is not None and self.has_delete_permission(request, journey),
            "operators": operator_choices(),
            "icons": {kind: icon_of(kind) for kind in ACTIONS},
            "lane_kinds": {
                kind: {"has": action.lane_has or "", "names": action.lane_names}
                for kind, action in ACTIONS.items()
                if action.lane_has or action.lane_names
            },
        }
        return TemplateResponse(request, "journeys/admin/journey.html", context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Django's own page would load every run to list it.
        journey: Journey | None = self.get_object(request, unquote(object_id))
        if not self.has_delete_permission(request, journey):
            raise PermissionDenied
        if journey is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method == "POST":
            return self._delete(request, journey)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": journey,
            "title": f"Delete “{journey.name}”?",
            "runs": journey.runs.count(),
            "numbers": journey_numbers([journey.pk])[journey.pk],
        }
        return TemplateResponse(request, "journeys/admin/journey_delete.html", context)

    def _delete(self, request: HttpRequest, journey: Journey) -> HttpResponse:
        key: UUID = journey.pk
        try:
            runs = delete_journey(key)
        except JourneyInUse as error:
            messages.error(request, f"“{journey.name}” {error}.")
            return HttpResponseRedirect(reverse("admin:journeys_journey_change", args=[key]))
        self.log_deletions(request, [journey])
        messages.success(request, f"“{journey.name}” and its {runs:,} runs are deleted.")
        return HttpResponseRedirect(reverse("admin:journeys_journey_changelist"))


def _numbers(journey: Any) -> Numbers:
    numbers: Numbers = journey.numbers
    return numbers


def _operator(request: HttpRequest) -> User:
    return cast(User, request.user)  # admin_view lets nobody else in
