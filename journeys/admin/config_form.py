"""Form fields made from a typed config: what pydantic knows of a field decides its widget.

The config's own parser stays the only judge of what is valid; these fields only read the browser's text into the
JSON that it expects.
"""

import types
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from django import forms
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from journeys.admin.change_fields import ChangesField
from journeys.admin.fields import ConditionField, DelayField, PairsField

WORDS = {"mon": "Mon", "tue": "Tue", "wed": "Wed", "thu": "Thu", "fri": "Fri", "sat": "Sat", "sun": "Sun"}
Choices = Callable[[str], list[tuple[str, str]]]


def config_fields(
    config_class: type[BaseModel], choices: Choices, without: Collection[str] = ()
) -> dict[str, forms.Field]:
    """A form field for each field of the config. `choices(what)` lists what there is to choose from: the message
    templates of a channel, or journeys."""
    # What every message has comes last, however its class is made.
    fields = dict(sorted(config_class.model_fields.items(), key=lambda field: "last" in _extra(field[1])))
    return {name: _shown(_field(name, info, choices), info) for name, info in fields.items() if name not in without}


def _shown(field: forms.Field, info: FieldInfo) -> forms.Field:
    """The field, which the browser shows only when another one has one of these values, if its config says so."""
    if only_when := _extra(info).get("only_when"):
        field.widget.attrs["data-only-when"] = only_when
    return field


def raw_config(config_class: type[BaseModel], entered: Mapping[str, Any]) -> dict[str, Any]:
    """The config as a document holds it. What was left empty is left out: the config's default stands for it."""
    raw: dict[str, Any] = {}
    for name, info in config_class.model_fields.items():
        value = entered.get(name)
        if isinstance(value, Decimal):
            value = str(value)
        if not _applies(info, entered) or value is None or value == "" or value == [] or value == {}:
            continue
        if value != info.default or info.is_required():
            raw[name] = value
    return raw


def _applies(info: FieldInfo, entered: Mapping[str, Any]) -> bool:
    """Whether the browser shows the field: what was entered in one that went away is not meant any more."""
    name, _, values = str(_extra(info).get("only_when", "")).partition("=")
    return not name or str(entered.get(name)) in values.split()


def initial_config(config_class: type[BaseModel], raw: Mapping[str, Any]) -> dict[str, Any]:
    """What the form shows for a stored config; defaults stand where it says nothing."""
    return {
        name: raw[name] if name in raw else info.get_default(call_default_factory=True)
        for name, info in config_class.model_fields.items()
        if name in raw or not info.is_required()
    }


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _field(name: str, info: FieldInfo, choices: Choices) -> forms.Field:
    extra = _extra(info)
    hint = extra.get("widget")
    label = info.title or name.replace("_", " ").capitalize()
    options: dict[str, Any] = {"label": label, "help_text": info.description or "", "required": False}
    match hint:
        case "textarea" | "html":
            rows = 10 if hint == "html" else 4
            return forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": rows}), strip=False, **options)
        case "template":
            offered = [("", "No template"), *choices(str(extra.get("channel", "")))]
            return forms.ChoiceField(choices=offered, widget=UnfoldAdminSelectWidget(), **options)
        case "journey":
            offered = [("", "Choose a journey…"), *choices("journey")]
            return forms.ChoiceField(choices=offered, widget=UnfoldAdminSelectWidget(), **options)
        case "segment":
            offered = [("", "Choose a segment…" if info.is_required() else "Everybody"), *choices("segment")]
            return forms.ChoiceField(choices=offered, widget=UnfoldAdminSelectWidget(), **options)
        case "pairs":
            return PairsField(**options)
        case "changes":
            return ChangesField(**options)
        case "tag":
            attrs = {"list": "known-tags", "autocomplete": "off"}
            return forms.CharField(widget=UnfoldAdminTextInputWidget(attrs=attrs), **options)
        case "event" | "attribute":
            attrs = {"list": f"known-{hint}s", "autocomplete": "off"}
            return forms.CharField(widget=UnfoldAdminTextInputWidget(attrs=attrs), **options)
        case "condition":
            return ConditionField(label=label, help_text=info.description or "")
        case "time":
            attrs = {"type": "time"}
            return forms.CharField(widget=UnfoldAdminTextInputWidget(attrs=attrs), **options)
    kind = _kind(info.annotation)
    return DelayField(**options) if kind is int and name.endswith("_minutes") else _by_type(kind, info, options)


def _by_type(kind: Any, info: FieldInfo, options: dict[str, Any]) -> forms.Field:
    if get_origin(kind) is Literal:
        choices = [(value, _word(value)) for value in get_args(kind)]
        if info.is_required() is False and info.default is None:
            choices.insert(0, ("", "—"))
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget(), **options)
    if get_origin(kind) in (list, tuple, set, frozenset):
        return _several(kind, options)
    if get_origin(kind) is dict or kind is dict:
        return PairsField(**options)
    if kind is bool:
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget(), **options)
    if kind is int:
        return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget(), **options)
    if kind in (float, Decimal):
        field = forms.FloatField if kind is float else forms.DecimalField
        return field(widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}), **options)
    return forms.CharField(widget=UnfoldAdminTextInputWidget(), **options)


def _several(kind: Any, options: dict[str, Any]) -> forms.Field:
    inner = _kind(get_args(kind)[0])
    if get_origin(inner) is not Literal:
        raise TypeError(f"no widget for a list of {inner}")
    choices = [(value, _word(value)) for value in get_args(inner)]
    return forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple(), **options)


def _kind(annotation: Any) -> Any:
    """The type without what surrounds it: Annotated, `| None`; of several, the richest that a form can enter."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [_kind(part) for part in get_args(annotation) if part is not type(None)]
        return Decimal if Decimal in parts else parts[0]
    return annotation


def _word(value: str) -> str:
    return WORDS.get(value, value if value.isupper() else value.replace("_", " ").capitalize())
