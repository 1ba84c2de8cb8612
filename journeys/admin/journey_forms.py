"""The forms of a journey and of a step: a choice in each decides what further fields there are."""

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from journeys.actions.base import ConfigError
from journeys.actions.registry import ACTIONS, parse_config
from journeys.admin.config_form import config_fields, initial_config, raw_config
from journeys.admin.fields import ConditionField, DelayField, DelayWidget
from journeys.admin.hours_field import HoursField
from journeys.admin.rule_fields import RuleFields, rules_initial
from journeys.admin.vocabulary import Vocabulary
from journeys.engine.triggers import TRIGGERS, parse_trigger, unwrap
from journeys.logic.flow import JOURNEY_START, PREVIOUS_STEP
from journeys.models import Journey, OnFailure

MAX_STEPS = 200
ACTION_CHOICES = [("", "Choose what happens…"), *((kind, action.label) for kind, action in ACTIONS.items())]
FAILURE_CHOICES = [(value, label.capitalize()) for value, label in OnFailure.choices]
TRIGGER_CHOICES = [(kind, trigger.label) for kind, trigger in TRIGGERS.items()]


class PlacedForm(forms.Form):
    """A form that takes the document's faults beside its fields."""

    def place(self, field: str | None, fault: str) -> None:
        """Add a fault, once. Authoring says it as a predicate ("must be …"); beside a field it is a sentence."""
        if field not in self.fields:
            field = None
        sentence = as_sentence(fault)
        if sentence not in self.errors.get(field or "__all__", []):
            self.add_error(field, sentence)


class TypedForm(PlacedForm):
    """A form of which one choice decides what further fields there are, under `<group>-`."""

    group: str
    elsewhere: tuple[str, ...] = ()
    """Fields of the config that the form itself has."""

    def add_config(self, config_class: Any, words: Vocabulary, raw: Mapping[str, Any]) -> None:
        initial = initial_config(config_class, raw)
        for name, field in config_fields(config_class, words.choices, without=self.elsewhere).items():
            self.fields[f"{self.group}-{name}"] = field
            self.initial[f"{self.group}-{name}"] = initial.get(name)

    def entered(self) -> dict[str, Any]:
        start = f"{self.group}-"
        return {name.removeprefix(start): value for name, value in self.cleaned_data.items() if name.startswith(start)}

    def config_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(f"{self.group}-")]

    def refuse(self, errors: Mapping[str, str], whole: str) -> None:
        """Put each fault of a config beside its field; what is about none of them, beside the field `whole`."""
        for path, fault in errors.items():
            name = f"{self.group}-{path.partition('.')[0].partition('[')[0]}"
            self.place(name if name in self.fields else whole, fault)


NAME_TAKEN = "There is already a journey of this name."


class JourneyForm(RuleFields, TypedForm):
    group = "trigger"
    elsewhere = ("condition",)

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(max_length=255, widget=UnfoldAdminTextInputWidget())
    description = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text="For your colleagues."
    )
    is_active = forms.BooleanField(
        label="Active",
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="Switched off, it starts nobody, and people inside wait where they are.",
    )
    priority = forms.IntegerField(
        initial=0,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="When one event starts several journeys, the higher goes first.",
    )
    quiet_hours = HoursField(
        label="Quiet hours",
        with_days=False,
        help_text="E-mails, Telegram messages and pushes wait until they are over, by the person's own clock.",
    )
    trigger_type = forms.ChoiceField(label="Starts when", choices=TRIGGER_CHOICES, widget=UnfoldAdminSelectWidget())
    condition = ConditionField(label="Only if")

    def __init__(self, data: Any = None, *, journey: Journey | None, words: Vocabulary, kind: str = "") -> None:
        super().__init__(data, initial=_journey_initial(journey), use_required_attribute=False)
        self.journey = journey
        chosen = (self.data.get("trigger_type") if self.is_bound else kind or self.initial["trigger_type"]) or ""
        if chosen in TRIGGERS:
            raw = unwrap(journey.trigger_config) if journey and journey.trigger_type == chosen else {}
            self.add_config(TRIGGERS[chosen].config_class, words, raw)

    def clean_name(self) -> str:
        """The name, unless it is taken now; the constraint looks again when it is stored."""
        name = str(self.cleaned_data["name"])
        others = Journey.objects.exclude(pk=self.journey.pk) if self.journey else Journey.objects
        if others.filter(name=name).exists():
            raise forms.ValidationError(NAME_TAKEN)
        return name

    def clean(self) -> dict[str, Any]:
        if self.journey and self.cleaned_data.get("seen") != str(self.journey.live_version_id):
            self.add_error(None, "Somebody else saved this journey while you were editing it. Reload to see theirs.")
        if not self.errors:
            kind = self.cleaned_data["trigger_type"]
            raw = raw_config(TRIGGERS[kind].config_class, self.entered())
            if condition := self.cleaned_data["condition"]:
                raw["condition"] = condition
            self.cleaned_data["trigger_config"] = raw
            try:
                parse_trigger(kind, raw)
            except ConfigError as error:
                self.refuse(error.errors, "trigger_type")
        return self.cleaned_data


class StepForm(TypedForm):
    group = "config"

    key = forms.CharField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(
        label="Name", max_length=255, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Welcome e-mail"})
    )
    action_type = forms.ChoiceField(label="Action", choices=ACTION_CHOICES, widget=UnfoldAdminSelectWidget())
    delay = DelayField(label="Wait before it")
    delay_from = forms.ChoiceField(
        label="Counted from",
        choices=[(PREVIOUS_STEP, "The end of the step before"), (JOURNEY_START, "The start of the journey")],
        widget=UnfoldAdminSelectWidget(),
        required=False,
    )
    window = HoursField(
        label="Only at these hours",
        help_text="By the person's own clock; at other hours it waits. An end before the start is on the next day.",
    )
    condition = ConditionField(label="Only if")
    on_failure = forms.ChoiceField(
        label="If it finally fails", choices=FAILURE_CHOICES, widget=UnfoldAdminSelectWidget()
    )
    expires_after_minutes = DelayField(
        label="Skip it when it is late by",
        help_text="After an outage or a pause. Empty: it is never too late.",
        widget=DelayWidget("Expires after", least=1),
    )
    is_active = forms.BooleanField(label="Switched on", required=False, widget=UnfoldBooleanSwitchWidget())
    # Last, and hidden: where on the page the step stands. The lane is the number of its form.
    lane = forms.IntegerField(required=False, widget=forms.HiddenInput)
    order = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, words: Vocabulary, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = self.data.get(self.add_prefix("action_type")) if self.is_bound else self.initial.get("action_type")
        chosen = str(given or "")
        if chosen in ACTIONS:
            self.add_config(ACTIONS[chosen].config_class, words, self.initial.get("action_config", {}))

    def clean(self) -> dict[str, Any]:
        kind = str(self.cleaned_data.get("action_type") or "")
        if kind and not any(name.startswith("config-") for name in self.errors):
            raw = raw_config(ACTIONS[kind].config_class, self.entered())
            self.cleaned_data["action_config"] = raw
            try:
                parse_config(kind, raw)
            except ConfigError as error:
                self.refuse(error.errors, "action_type")
        return self.cleaned_data

    def document(self) -> dict[str, Any]:
        entered = self.cleaned_data
        step = {
            "name": entered["name"],
            "action_type": entered["action_type"],
            "action_config": entered["action_config"],
            "delay_minutes": entered["delay"] or 0,
            "delay_from": entered["delay_from"] or PREVIOUS_STEP,
            "window": entered["window"],
            "condition": entered["condition"],
            "on_failure": entered["on_failure"],
            "expires_after_minutes": entered["expires_after_minutes"],
            "is_active": entered["is_active"],
        }
        return {"key": entered["key"], **step} if entered["key"] else step


StepFormSet = forms.formset_factory(
    StepForm, extra=0, can_delete=True, max_num=MAX_STEPS, validate_max=True, absolute_max=MAX_STEPS * 2
)
NEW_STEP = {"is_active": True, "on_failure": OnFailure.CONTINUE, "delay": 0, "delay_from": PREVIOUS_STEP}


def _journey_initial(journey: Journey | None) -> dict[str, Any]:
    if journey is None:
        return {"is_active": False, "priority": 0, "trigger_type": "signup", **rules_initial(None)}
    names = ("name", "description", "is_active", "priority", "trigger_type", "quiet_hours")
    own = {name: getattr(journey, name) for name in names}
    condition = unwrap(journey.trigger_config).get("condition")
    return own | {"condition": condition, "seen": str(journey.live_version_id)} | rules_initial(journey)


def as_sentence(fault: str) -> str:
    is_predicate = fault.split(" ", 1)[0] in ("is", "must", "has", "names", "contains")
    return f"This {fault}." if is_predicate else f"{fault[:1].upper()}{fault[1:]}"
