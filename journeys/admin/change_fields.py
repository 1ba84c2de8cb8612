"""Changes of a contact's attributes as rows: what is done, to which attribute, with what value."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django import forms
from pydantic import ValidationError

from journeys.actions.base import faults_of
from journeys.actions.contact import AttributeChange
from journeys.admin.fields import INPUT

SET_TEXT, SET_NUMBER, SET_FLAG, INCREMENT, UNSET = "set_text", "set_number", "set_flag", "increment", "unset"
CHOICES = (
    (SET_TEXT, "Set to the text"),
    (SET_NUMBER, "Set to the number"),
    (SET_FLAG, "Set to yes or no"),
    (INCREMENT, "Add"),
    (UNSET, "Remove"),
)
FLAGS = {"yes": True, "true": True, "no": False, "false": False}
TAKES = {SET_NUMBER: "a number", SET_FLAG: "yes or no"}
NAMES = {"attribute": "the attribute's name", "value": "the value"}


class Row(NamedTuple):
    """A row as the browser has it."""

    what: str
    attribute: str
    value: str


class ChangesWidget(forms.Widget):
    """Rows whose inputs repeat three names, so that they need no numbering."""

    template_name = "journeys/admin/widgets/changes.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Row]:
        columns = (data.getlist(f"{name}_{column}") for column in Row._fields)
        return [Row(*entered) for entered in zip(*columns, strict=False)]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}_attribute" not in data

    def id_for_label(self, id_: str) -> str:
        return ""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        rows = [one if isinstance(one, Row) else as_row(one) for one in value or ()] or [Row(SET_TEXT, "", "")]
        blank = Row(SET_TEXT, "", "")
        context["widget"] |= {"rows": rows, "blank": blank, "choices": CHOICES, "input_class": INPUT}
        return context


class ChangesField(forms.Field):
    """Changes as a document holds them."""

    widget = ChangesWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "required": False})

    def clean(self, value: list[Row]) -> list[dict[str, Any]]:
        rows = [row for row in value if row.attribute.strip() or row.value.strip()]
        changes = [as_change(row) for row in rows]
        faults = [
            f"Row {number}: {fault}."
            for number, (row, change) in enumerate(zip(rows, changes, strict=True), 1)
            for fault in _faults(row, change)
        ]
        if faults:
            raise forms.ValidationError(faults)
        return changes


def as_row(change: Mapping[str, Any]) -> Row:
    """How a stored change is shown."""
    op, value = change.get("op", ""), change.get("value", "")
    if op == "set":
        op = SET_FLAG if isinstance(value, bool) else SET_TEXT if isinstance(value, str) else SET_NUMBER
    shown = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return Row(op, change.get("attribute", ""), shown)


def as_change(row: Row) -> dict[str, Any]:
    """What a row says, as a document has it; what is entered wrongly is left to the config's parser."""
    name = row.attribute.strip()
    match row.what:
        case "set_text":
            return {"op": "set", "attribute": name, "value": row.value}
        case "unset":
            return {"op": "unset", "attribute": name}
        case "set_flag":
            return {"op": "set", "attribute": name, "value": FLAGS.get(row.value.strip().lower())}
        case "set_number":
            return {"op": "set", "attribute": name, "value": _number(row.value)}
        case "increment":
            number = _number(row.value)
            return {"op": "increment", "attribute": name, "value": row.value if number is None else number}
    return {"op": row.what, "attribute": name}


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _faults(row: Row, change: Mapping[str, Any]) -> list[str]:
    try:
        AttributeChange.model_validate(change)
    except ValidationError as error:
        faults = faults_of(error)
        if row.what in TAKES and "value" in faults:
            faults["value"] = f"must be {TAKES[row.what]}"
        return [f"{NAMES.get(field, field)} {fault}" for field, fault in faults.items()]
    return []
