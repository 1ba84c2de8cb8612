"""Form fields for what an operator says in words and a document says in JSON: delays, conditions, pairs."""

import json
from dataclasses import dataclass
from typing import Any

from django import forms
from unfold.widgets import INPUT_CLASSES, TEXTAREA_CLASSES, UnfoldAdminSelectWidget

from journeys.logic.condition_text import ConditionTextError, from_text, to_text
from journeys.logic.condition_words import describe
from journeys.logic.conditions import OPERATORS, ConditionError, validate
from journeys.logic.event_counts import COMPARISONS, validate_segment
from journeys.logic.timing import MAX_DELAY_MINUTES

INPUT, TEXTAREA = " ".join(INPUT_CLASSES), " ".join(TEXTAREA_CLASSES)
EXACT_IN_BROWSERS = 2**53
UNITS = ((1, "minutes"), (60, "hours"), (60 * 24, "days"), (60 * 24 * 7, "weeks"))


def largest_unit(minutes: int) -> int:
    """The longest unit, in minutes, that names this delay with a whole number."""
    return max((size for size, _ in UNITS if minutes and minutes % size == 0), default=1)


def delay_in_words(minutes: int) -> str:
    """ "2 days"; nothing for no delay."""
    if not minutes:
        return ""
    size = largest_unit(minutes)
    number, name = minutes // size, dict(UNITS)[size]
    return f"{number} {name if number != 1 else name.removesuffix('s')}"


class DelayWidget(forms.MultiWidget):
    template_name = "journeys/admin/widgets/delay.html"

    def __init__(self, what: str = "Wait", least: int = 0) -> None:
        number = forms.NumberInput(attrs={"class": INPUT, "min": least, "step": 1, "aria-label": f"{what}: how many"})
        unit = UnfoldAdminSelectWidget(choices=UNITS, attrs={"aria-label": f"{what}: unit"})
        super().__init__({"number": number, "unit": unit})

    def decompress(self, value: int | None) -> list[Any]:
        size = largest_unit(value or 0)
        return ["" if value is None else value // size, size]

    def id_for_label(self, id_: str) -> str:
        return f"{id_}_0" if id_ else ""


class DelayField(forms.MultiValueField):
    """Minutes, entered as a number and a unit."""

    widget = DelayWidget

    def __init__(self, **kwargs: Any) -> None:
        number = forms.IntegerField(min_value=0, required=False)
        unit = forms.TypedChoiceField(choices=UNITS, coerce=int, required=False)
        super().__init__((number, unit), **{**kwargs, "require_all_fields": False, "required": False})

    def compress(self, data_list: list[int]) -> int | None:
        number, unit = [*data_list, None, None][:2]
        if number is None:
            return None
        minutes = number * (unit or 1)
        if minutes > MAX_DELAY_MINUTES:
            raise forms.ValidationError("A wait may be ten years long at most.")
        return minutes


@dataclass(frozen=True, slots=True)
class ConditionInput:
    """What was entered: rows as the browser wrote them, or the experts' text."""

    mode: str
    rows: str
    text: str


class ConditionWidget(forms.Widget):
    """Rows of field, operator and value (static/journeys/condition.js), or one text."""

    template_name = "journeys/admin/widgets/condition.html"
    counts = False
    none = ""
    """Whether its rows may count events."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> ConditionInput:
        mode = "text" if data.get(f"{name}_mode") == "text" else "rows"
        return ConditionInput(mode, data.get(f"{name}_rows", ""), data.get(f"{name}_text", ""))

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}_mode" not in data

    def id_for_label(self, id_: str) -> str:
        return ""  # A group of controls: the template labels it.

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        entered = value if isinstance(value, ConditionInput) else as_input(value)
        context["widget"] |= {"entered": entered, "textarea_class": TEXTAREA}
        context["widget"] |= {"counts": self.counts, "none": self.none}
        return context


class ConditionField(forms.Field):
    """A condition as a document holds it, or None. One that `counts` is a segment's; `none` says what none means."""

    widget = ConditionWidget

    def __init__(self, *, counts: bool = False, none: str = "", **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.widget.counts, self.widget.none = counts, none
        self.validate_condition = validate_segment if counts else validate

    def clean(self, value: ConditionInput) -> dict[str, Any] | None:
        try:
            is_text = value.mode == "text"
            condition = from_text(value.text, self.validate_condition) if is_text else _from_rows(value.rows)
            self.validate_condition(condition)
        except ConditionTextError as error:
            raise forms.ValidationError(str(error)) from error
        except ConditionError as error:
            raise forms.ValidationError(in_rows(error)) from error
        return condition or None


def as_input(condition: Any) -> ConditionInput:
    """How a stored condition is shown: as rows where rows can say it, else as text."""
    text = to_text(condition) if condition else ""
    mode = "rows" if rows_can_say(condition) else "text"
    return ConditionInput(mode, json.dumps(condition) if condition else "", text)


def rows_can_say(condition: Any) -> bool:
    """Whether it is one comparison, or one group of comparisons whose lists hold values of one type."""
    if not condition:
        return True
    leaves = condition.get("all") or condition.get("any") or [condition]
    return all(_one_row(leaf) for leaf in leaves)


def _one_row(leaf: dict[str, Any]) -> bool:
    return "where" not in leaf if "did" in leaf else "field" in leaf and _one_type(leaf.get("value"))


def in_rows(error: ConditionError) -> str:
    """The fault in the words of someone who sees rows, not paths."""
    where, _, part = error.path.rpartition("]")
    part = part.strip(".") or ("" if where else error.path)
    number = where.rpartition("[")[2]
    row = f"Row {int(number) + 1}" if where in (f"all[{number}", f"any[{number}") else ""
    names = {"field": "the field", "op": "the operator", "value": "the value", "did": "the event"}
    names["within_days"] = "the days"
    subject = ", ".join(filter(None, [row, names.get(part.partition("[")[0], part)]))
    return f"{subject[:1].upper()}{subject[1:]}: {error.message}" if subject else error.message


def _one_type(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    numbers = [each for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    if any(abs(number) > EXACT_IN_BROWSERS for number in numbers):
        return False
    return not isinstance(value, list) or len(numbers) == len(value) or all(isinstance(each, str) for each in value)


def _from_rows(rows: str) -> Any:
    try:
        return json.loads(rows) if rows else None
    except (ValueError, RecursionError) as error:
        raise ConditionError("", "could not be read: reload the page and enter it again") from error


def operator_choices() -> list[dict[str, str]]:
    """What the browser needs to know of the operators."""
    return [{"op": op, "label": operator.label, "takes": operator.takes} for op, operator in OPERATORS.items()]


def comparison_choices() -> list[tuple[str, str]]:
    """How counts of events are compared."""
    return list(COMPARISONS.items())


def other_view(entered: ConditionInput, field: ConditionField) -> dict[str, str]:
    """The other view of a condition, for the browser: rows as text, or text as rows, and both in words."""
    try:
        condition = field.clean(entered)
    except forms.ValidationError as error:
        return {"error": error.messages[0]}
    shown = as_input(condition)
    words = describe(condition) if condition else ""
    return {"rows": shown.rows, "text": shown.text, "mode": shown.mode, "words": words}


def entered_condition(data: Any) -> ConditionInput:
    """What the browser asks about."""
    return ConditionInput(**{name: data.get(name, "") for name in ("mode", "rows", "text")})


class PairsWidget(forms.Widget):
    """Rows of name and value; their inputs repeat two names, so the rows need no numbering."""

    template_name = "journeys/admin/widgets/pairs.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[tuple[str, str]]:
        return list(zip(data.getlist(f"{name}_name"), data.getlist(f"{name}_value"), strict=False))

    def id_for_label(self, id_: str) -> str:
        return ""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        rows = list(value.items()) if isinstance(value, dict) else list(value or [])
        context["widget"] |= {"rows": rows, "input_class": INPUT}
        return context


class PairsField(forms.Field):
    """A mapping of texts."""

    widget = PairsWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "required": False})

    def clean(self, value: list[tuple[str, str]]) -> dict[str, str]:
        rows = [(name.strip(), text) for name, text in value if name.strip() or text]
        names = [name for name, _ in rows]
        if "" in names:
            raise forms.ValidationError(f"Row {names.index('') + 1}: the name is missing.")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise forms.ValidationError(f"“{twice}” is there twice.")
        return dict(rows)
