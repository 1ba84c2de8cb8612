"""Segments: the list, and a page that counts while somebody edits. Every change goes through journeys.authoring."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from journeys.admin.fields import ConditionField, comparison_choices, entered_condition, operator_choices, other_view
from journeys.admin.readonly import TolerantChangeList
from journeys.admin.vocabulary import vocabulary
from journeys.authoring.faults import Faulty
from journeys.authoring.publish import NameTaken
from journeys.authoring.segments import (
    FIELDS,
    SegmentInUse,
    change_segment,
    create_segment,
    delete_segment,
    journeys_using,
    parse_segment,
)
from journeys.engine.audience import TooSlow, audience, roomy, size
from journeys.engine.clock import database_clock
from journeys.logic.condition_words import describe
from journeys.models import Segment

SHOWN = 5


class SegmentForm(forms.Form):
    name = forms.CharField(
        max_length=100, widget=UnfoldAdminTextInputWidget(), help_text="Journeys choose it by this name."
    )
    description = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text="For your colleagues."
    )
    condition = ConditionField(label="Who is in it", counts=True)


@admin.register(Segment)
class SegmentAdmin(ModelAdmin):
    list_display = ("name", "who", "updated_at")
    list_display_links = ("name",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("name",)
    search_help_text = "Search by name"
    sortable_by = ()
    actions = None
    change_list_template = "journeys/admin/list.html"
    empty_title = "No segments yet"
    empty_text = "A segment is a group of people that follows what they have and what they did: “bought three times”."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TolerantChangeList]:
        return TolerantChangeList

    @display(description="Who is in it")
    def who(self, segment: Segment) -> str:
        words = describe(segment.condition) if segment.condition else "everybody"
        return words if len(words) <= 120 else f"{words[:119]}…"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("condition/", view(self.condition_view), name="journeys_segment_condition"),
            path("size/", view(self.size_view), name="journeys_segment_size"),
            *super().get_urls(),
        ]

    def condition_view(self, request: HttpRequest) -> JsonResponse:
        """The other view of a condition."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return JsonResponse(other_view(entered_condition(request.POST), ConditionField(counts=True)))

    def size_view(self, request: HttpRequest) -> JsonResponse:
        """How many people a condition means that is being entered."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            condition = ConditionField(counts=True).clean(entered_condition(request.POST))
            return JsonResponse(_size_in_words(condition))
        except forms.ValidationError as error:
            return JsonResponse({"error": error.messages[0]})
        except TooSlow as error:
            return JsonResponse({"error": f"Not counted: {error}. It can be saved and used all the same."})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        segment: Segment | None = self.get_object(request, unquote(object_id)) if object_id else None
        may_edit = self.has_change_permission(request, segment) if object_id else self.has_add_permission(request)
        if not may_edit and not (object_id and self.has_view_permission(request, segment)):
            raise PermissionDenied
        if object_id and segment is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method != "POST":
            initial = {field: getattr(segment, field) for field in FIELDS} if segment else {}
            return self._page(request, SegmentForm(initial=initial), segment, may_edit)
        if not may_edit:
            raise PermissionDenied
        form = SegmentForm(request.POST)
        saved = self._save(form, segment) if form.is_valid() else None
        if saved is None:
            return self._page(request, form, segment, may_edit)
        return self._saved(request, saved, is_new=segment is None)

    def _save(self, form: SegmentForm, segment: Segment | None) -> Segment | None:
        """Store it, or put the reason why that can't be into the form and return None."""
        now = database_clock()
        try:
            if segment is None:
                return create_segment(parse_segment(form.cleaned_data), now)
            return change_segment(segment.pk, form.cleaned_data, now)
        except NameTaken:
            form.add_error("name", "There is already a segment of this name.")
        except SegmentInUse as error:
            form.add_error("name", f"{str(error)[:1].upper()}{str(error)[1:]}.")
        except Faulty as error:
            for fault in error.faults:
                field = fault.path.partition(".")[0].partition("[")[0]
                form.add_error(field if field in form.fields else None, fault.message)
        return None

    def _saved(self, request: HttpRequest, segment: Segment, *, is_new: bool) -> HttpResponse:
        (self.log_addition if is_new else self.log_change)(request, segment, "Saved.")
        messages.success(request, f"“{segment.name}” is saved.")
        if "_continue" in request.POST:
            return HttpResponseRedirect(reverse("admin:journeys_segment_change", args=[segment.pk]))
        return HttpResponseRedirect(reverse("admin:journeys_segment_changelist"))

    def _page(self, request: HttpRequest, form: SegmentForm, segment: Segment | None, may_edit: bool) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": segment,
            "title": segment.name if segment else "New segment",
            "form": form,
            "words": vocabulary(),
            "users": list(journeys_using(segment.name)) if segment else [],
            "newest": _newest(segment) if segment else [],
            "may_edit": may_edit,
            "may_delete": segment is not None and self.has_delete_permission(request, segment),
            "operators": operator_choices(),
            "comparisons": comparison_choices(),
        }
        return TemplateResponse(request, "journeys/admin/segment.html", context)

    def delete_model(self, request: HttpRequest, obj: Segment) -> None:
        key: UUID = obj.pk
        delete_segment(key)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        gone, count, lacking, protected = super().get_deleted_objects(objs, request)
        for segment in objs:
            protected += [f"Journey “{journey.name}” uses it" for journey in journeys_using(segment.name)]
        return gone, count, lacking, protected


def _size_in_words(condition: Any) -> dict[str, str]:
    now = database_clock()
    people, everybody = size(condition, now), size(None, now)
    return {"words": f"{people:,} of {everybody:,} {'contact' if everybody == 1 else 'contacts'}"}


def _newest(segment: Segment) -> list[Any]:
    """Some who are in it; none where they can't be found quickly."""
    try:
        with roomy(1):
            return list(audience(segment.condition, database_clock()).order_by("-id")[:SHOWN])
    except TooSlow:
        return []
