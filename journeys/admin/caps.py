"""Frequency caps, entered and shown in words."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from journeys.admin.readonly import TolerantChangeList
from journeys.authoring.caps import CapDocument, CapTaken, create_cap, delete_cap, save_cap
from journeys.engine.clock import database_clock
from journeys.models import Channel, FrequencyCap
from journeys.models.caps import MAX_HOURS, MAX_MESSAGES

CHANNELS = [
    ("", "any channel, all together"),
    *((value, label) for value, label in Channel.choices if value != Channel.WEBHOOK),
]
UNITS = ((1, "hours"), (24, "days"))


class CapForm(forms.ModelForm):  # type: ignore[type-arg]  # Not generic at run time.
    channel = forms.ChoiceField(label="Messages by", choices=CHANNELS, required=False, widget=UnfoldAdminSelectWidget())
    at_most = forms.IntegerField(
        label="At most", min_value=1, max_value=MAX_MESSAGES, widget=UnfoldAdminIntegerFieldWidget()
    )
    number = forms.IntegerField(
        label="In any", min_value=1, max_value=MAX_HOURS, initial=1, widget=UnfoldAdminIntegerFieldWidget()
    )
    unit = forms.TypedChoiceField(
        label="Hours or days", choices=UNITS, coerce=int, initial=24, widget=UnfoldAdminSelectWidget()
    )

    class Meta:
        model = FrequencyCap
        fields = ("at_most", "channel")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if hours := self.instance.period_hours:
            unit = 1 if hours % 24 else 24
            self.initial.update({"number": hours // unit, "unit": unit})

    def clean(self) -> dict[str, Any]:
        entered = super().clean() or {}
        if entered.get("number") and entered.get("unit"):
            entered["period_hours"] = hours = entered["number"] * entered["unit"]
            if hours > MAX_HOURS:
                self.add_error("number", f"A period has at most {MAX_HOURS // 24} days.")
            others = FrequencyCap.objects.exclude(pk=self.instance.pk)
            if others.filter(channel=entered.get("channel", ""), period_hours=hours).exists():
                self.add_error("number", "There is already a cap of this channel for this period.")
        return entered

    def document(self) -> CapDocument:
        entered = self.cleaned_data
        return CapDocument(entered["channel"], entered["at_most"], entered["period_hours"])


@admin.register(FrequencyCap)
class FrequencyCapAdmin(ModelAdmin):
    form = CapForm
    fields = ("at_most", "channel", ("number", "unit"))
    list_display = ("in_words", "updated_at")
    list_display_links = ("in_words",)
    ordering = ("channel", "period_hours")
    show_full_result_count = False
    list_filter_submit = False
    change_list_template = "journeys/admin/list.html"
    empty_title = "No frequency caps"
    empty_text = (
        "A cap says how many messages a person gets at most in a period, over all journeys. "
        "Steps that are marked transactional go out all the same."
    )
    compressed_fields = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TolerantChangeList]:
        return TolerantChangeList

    @display(description="Each person gets")
    def in_words(self, cap: FrequencyCap) -> str:
        return str(cap)

    def save_model(self, request: HttpRequest, obj: FrequencyCap, form: Any, change: bool) -> None:
        now = database_clock()
        try:
            stored = save_cap(obj.pk, form.document(), now) if change else create_cap(form.document(), now)
        except CapTaken as error:  # Between the form's look and now.
            messages.error(request, f"It is not saved: {error}.")
            return
        obj.pk, obj.period_hours = stored.pk, stored.period_hours

    def delete_model(self, request: HttpRequest, obj: FrequencyCap) -> None:
        delete_cap(obj.pk, database_clock())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FrequencyCap]) -> None:
        for cap in queryset:
            delete_cap(cap.pk, database_clock())
