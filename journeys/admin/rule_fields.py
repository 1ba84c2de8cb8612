"""The fields of the journey page that say who enters, when they leave, and what the journey is for."""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from journeys.admin.fields import ConditionField
from journeys.authoring.bodies import MAX_DAYS, MAX_EXITS, MAX_HOLDOUT
from journeys.authoring.rules import DEFAULTS, rules_of
from journeys.models import Journey, Reentry

REENTRY_CHOICES = [(value, label.capitalize()) for value, label in Reentry.choices]
DEFAULT_DAYS = 14


def event_field(**options: Any) -> forms.CharField:
    """The name of an event, with those that came lately to choose from."""
    widget = UnfoldAdminTextInputWidget(attrs={"list": "known-events", "autocomplete": "off"})
    return forms.CharField(max_length=200, widget=widget, **options)


def days_field(**options: Any) -> forms.IntegerField:
    """So many days, or nothing."""
    widget = UnfoldAdminIntegerFieldWidget()
    return forms.IntegerField(required=False, min_value=1, max_value=MAX_DAYS, widget=widget, **options)


class RuleFields(forms.Form):
    """A part of the journey's form. Its names are those of a document; a goal's begin with `goal_`."""

    reentry = forms.ChoiceField(
        label="Enters again",
        choices=REENTRY_CHOICES,
        widget=UnfoldAdminSelectWidget(),
        help_text="Nobody is in it twice at a time; what would start it meanwhile is let pass.",
    )
    reentry_days = days_field(label="How many days after")
    holdout_percent = forms.IntegerField(
        label="Held out, in %",
        required=False,
        min_value=0,
        max_value=MAX_HOLDOUT,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="So many of those who would enter get nothing, always the same people: to compare the goal with.",
    )
    exit_condition = ConditionField(
        label="Leaves when", none="Never.", help_text="Looked at before each step, and before each try."
    )
    goal_event = event_field(
        label="Event", required=False, help_text="What the journey is for: order_placed. Empty: it has no goal."
    )
    goal_within_days = days_field(
        label="Within days", help_text="Counted from when somebody enters, also after they are through."
    )
    goal_condition = ConditionField(label="Only an event of which", help_text="event.… is what the event brought.")
    goal_exit_on_goal = forms.BooleanField(
        label="Who reaches it leaves", required=False, widget=UnfoldBooleanSwitchWidget()
    )

    def rules(self) -> dict[str, Any]:
        """What was entered, as a document has it, without `exit_on`. What a choice has no use for is left out."""
        entered = self.cleaned_data
        by_days = entered["reentry"] == Reentry.AFTER_DAYS
        return {
            "reentry": entered["reentry"],
            "reentry_days": entered["reentry_days"] if by_days else None,
            "holdout_percent": entered["holdout_percent"] or 0,
            "exit_condition": entered["exit_condition"],
            "goal": self._goal() if entered["goal_event"] else None,
        }

    def _goal(self) -> dict[str, Any]:
        goal = {name: self.cleaned_data[f"goal_{name}"] for name in ("event", "condition", "exit_on_goal")}
        return goal | {"within_days": self.cleaned_data["goal_within_days"] or DEFAULT_DAYS}


class ExitForm(forms.Form):
    """One event by which people leave."""

    event = event_field(label="Event")
    condition = ConditionField(label="Only an event of which")

    def place(self, field: str | None, fault: str) -> None:
        self.add_error(field if field in self.fields else None, fault)

    def document(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("event", "condition")}


ExitFormSet = forms.formset_factory(
    ExitForm, extra=0, can_delete=True, max_num=MAX_EXITS, validate_max=True, absolute_max=MAX_EXITS * 2
)


def rules_initial(journey: Journey | None) -> dict[str, Any]:
    """What the fields begin with."""
    rules = rules_of(journey) if journey else dict(DEFAULTS)
    goal = rules.pop("goal") or {"exit_on_goal": True, "within_days": DEFAULT_DAYS}
    return rules | {f"goal_{name}": value for name, value in goal.items()}
