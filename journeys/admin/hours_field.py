"""Hours of the day, on some weekdays or on all: boxes and two times, which a document holds as `{days, from, to}`."""

from typing import Any

from django import forms
from unfold.widgets import INPUT_CLASSES

from journeys.logic.timing import WEEKDAYS

INPUT = " ".join(INPUT_CLASSES)
DAYS = [(day, day.capitalize()) for day in WEEKDAYS]


class HoursWidget(forms.MultiWidget):
    template_name = "journeys/admin/widgets/hours.html"

    def __init__(self, *, with_days: bool) -> None:
        days = {"days": forms.CheckboxSelectMultiple(choices=DAYS)} if with_days else {}
        times = {
            name: forms.TextInput(attrs={"type": "time", "class": INPUT, "aria-label": name.capitalize()})
            for name in ("from", "to")
        }
        super().__init__({**days, **times})

    def decompress(self, value: dict[str, Any] | None) -> list[Any]:
        value = value or {}
        days = [value.get("days", [])] if len(self.widgets) > 2 else []
        return [*days, value.get("from", ""), value.get("to", "")]

    def id_for_label(self, id_: str) -> str:
        return ""  # A group of controls: the template labels it.


class HoursField(forms.MultiValueField):
    """What was entered, or None for nothing. Whether it makes sense, the document's parser judges."""

    def __init__(self, *, with_days: bool = True, **kwargs: Any) -> None:
        days = [forms.MultipleChoiceField(choices=DAYS, required=False)] if with_days else []
        self.names = ("days", "from", "to") if with_days else ("from", "to")
        super().__init__(
            (*days, forms.CharField(required=False), forms.CharField(required=False)),
            widget=HoursWidget(with_days=with_days),
            required=False,
            require_all_fields=False,
            **kwargs,
        )

    def compress(self, data_list: list[Any]) -> dict[str, Any] | None:
        entered = zip(self.names, data_list, strict=False)
        return {name: value for name, value in entered if value} or None
