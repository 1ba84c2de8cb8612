"""The page “Start for…”: who is chosen, how many those are, and the confirmation."""

from typing import Any, cast
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from journeys.engine import manual, wake
from journeys.engine.audience import TooSlow
from journeys.engine.clock import database_clock
from journeys.models import Journey, Segment

MAX_IDS = 10_000
LATEST = 10


class StartForm(forms.Form):
    """`count` and `key` come with the confirmation."""

    segment = forms.ChoiceField(label="A segment", required=False, widget=UnfoldAdminSelectWidget())
    user_ids = forms.CharField(
        label="Or these people",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text=f"Their ids, one a line, up to {MAX_IDS:,}.",
    )
    count = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    key = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Segment.objects.values_list("name", flat=True)
        choice = cast(forms.ChoiceField, self.fields["segment"])
        choice.choices = [("", "—"), *((name, name) for name in names)]

    def clean_user_ids(self) -> list[str]:
        ids = list(dict.fromkeys(filter(None, map(str.strip, self.cleaned_data["user_ids"].splitlines()))))
        if len(ids) > MAX_IDS:
            raise forms.ValidationError(f"These are {len(ids):,}: for more than {MAX_IDS:,}, make a segment.")
        return ids

    def clean(self) -> dict[str, Any]:
        entered = self.cleaned_data
        if not self.errors and bool(entered["segment"]) == bool(entered["user_ids"]):
            raise forms.ValidationError("Choose a segment, or write down people's ids.")
        return entered

    @property
    def choice(self) -> manual.Choice:
        return manual.Choice(tuple(self.cleaned_data["user_ids"]), self.cleaned_data["segment"])


def start_page(request: HttpRequest, journey: Journey, context: dict[str, Any]) -> HttpResponse:
    """Choose, confirm, start: three times the same address."""
    form = StartForm(request.POST if request.method == "POST" else None)
    counted: int | None = None
    if request.method == "POST" and form.is_valid():
        try:
            now = database_clock()
            if form.cleaned_data["count"] is not None and "_start" in request.POST:
                return _started(request, journey, _start(journey, form))
            counted = manual.how_many(journey.pk, form.choice, now)
        except (manual.CannotStart, manual.AudienceChanged, TooSlow, Segment.DoesNotExist) as error:
            form.add_error(None, f"{str(error)[:1].upper()}{str(error)[1:]}.")
    more = {
        "title": f"Start “{journey.name}” for…",
        "original": journey,
        "form": form,
        "counted": counted,
        "key": str(uuid4()),
        "intakes": journey.intakes.order_by("-created_at", "-id")[:LATEST],
    }
    return TemplateResponse(request, "journeys/admin/start.html", context | more)


def _start(journey: Journey, form: StartForm) -> int:
    asked = manual.Request(form.choice, form.cleaned_data["count"], form.cleaned_data["key"])
    count = manual.start(journey.pk, asked, database_clock())
    wake.take_in_after_commit()
    return count


def _started(request: HttpRequest, journey: Journey, count: int) -> HttpResponse:
    people = "1 person starts" if count == 1 else f"{count:,} people start"
    messages.success(request, f"{people} “{journey.name}” within the next minutes, as far as they may enter it.")
    return HttpResponseRedirect(reverse("admin:journeys_journey_start", args=[journey.pk]))
