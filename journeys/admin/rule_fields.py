"""The fields of the journey page that say who enters, and when they leave."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from journeys.authoring.bodies import MAX_DAYS
from journeys.authoring.rules import DEFAULTS, rules_of
from journeys.models import Journey, Reentry

REENTRY_CHOICES = [(value, label.capitalize()) for value, label in Reentry.choices]


class RuleFields(forms.Form):
    """A part of the journey's form."""

    reentry = forms.ChoiceField(
        label="Enters again",
        choices=REENTRY_CHOICES,
        widget=UnfoldAdminSelectWidget(),
        help_text="Nobody is in it twice at a time; what would start it meanwhile is let pass.",
    )
    reentry_days = forms.IntegerField(
        label="How many days after",
        required=False,
        min_value=1,
        max_value=MAX_DAYS,
        widget=UnfoldAdminIntegerFieldWidget(),
    )

    def rules(self) -> dict[str, Any]:
        """What was entered, as a document has it. What a choice has no use for is left out."""
        entered = self.cleaned_data
        by_days = entered["reentry"] == Reentry.AFTER_DAYS
        return {"reentry": entered["reentry"], "reentry_days": entered["reentry_days"] if by_days else None}


def rules_initial(journey: Journey | None) -> dict[str, Any]:
    """What the fields begin with."""
    return rules_of(journey) if journey else dict(DEFAULTS)
