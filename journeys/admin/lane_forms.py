"""The lanes of flow steps on the journey page: a form each, and the tree that they make with the forms of the steps.

The page posts two flat lists. A lane names the step that it belongs to, and a step the lane that it stands in, each by
the number of its form, which stays the same while things are moved about.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from journeys.actions.registry import ACTIONS
from journeys.admin.fields import ConditionField
from journeys.admin.journey_forms import MAX_STEPS, PlacedForm, StepForm
from journeys.authoring.bodies import MAX_WEIGHT
from journeys.models import JourneyStep

MAX_LANES = 2 * MAX_STEPS


class LaneForm(PlacedForm):
    name = forms.CharField(label="Lane", max_length=100, widget=UnfoldAdminTextInputWidget())
    weight = forms.IntegerField(
        required=False, initial=50, min_value=0, max_value=MAX_WEIGHT, widget=UnfoldAdminIntegerFieldWidget()
    )
    condition = ConditionField(label="Who goes here")
    step = forms.IntegerField(required=False, widget=forms.HiddenInput)
    order = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def document(self, lane_has: str | None) -> dict[str, Any]:
        """The lane without its steps. What lanes of that kind don't have is left out, whatever stands in its field."""
        lane = {"name": self.cleaned_data["name"]}
        return lane | ({lane_has: self.cleaned_data[lane_has]} if lane_has else {})


LaneFormSet = forms.formset_factory(
    LaneForm, extra=0, can_delete=True, max_num=MAX_LANES, validate_max=True, absolute_max=MAX_LANES * 2
)


@dataclass(frozen=True, slots=True)
class Node:
    """A step's form with its lanes, or a lane's form with its steps."""

    form: Any
    inner: "list[Node]"

    def all_forms(self) -> list[Any]:
        return [self.form, *(form for node in self.inner for form in node.all_forms())]

    def step_document(self) -> dict[str, Any]:
        step: dict[str, Any] = self.form.document()
        action = ACTIONS.get(step["action_type"])
        lane_has = action.lane_has if action else None
        lanes = [
            lane.form.document(lane_has) | {"steps": [inner.step_document() for inner in lane.inner]}
            for lane in self.inner
        ]
        return step | {"lanes": lanes} if lanes else step


def tree(steps: Sequence[StepForm], lanes: Sequence[LaneForm], *, with_deleted: bool) -> list[Node]:
    """The forms as they stand on the page. What is inside something deleted is deleted with it."""

    def kept(forms_there: Iterable[Any]) -> list[Any]:
        return [form for form in forms_there if with_deleted or not _is_deleted(form)]

    lanes_of = _grouped(kept(lanes), "step")
    steps_of = _grouped(kept(steps), "lane")

    def below(place: int | None) -> list[Node]:
        # Each group is taken out: a page that puts a step into itself ends here, and what it lost is told as a fault.
        return [
            Node(step, [Node(lane, below(_number(lane))) for lane in lanes_of.pop(_number(step), [])])
            for step in steps_of.pop(place, [])
        ]

    return below(None)


def strays(steps: Sequence[StepForm], lanes: Sequence[LaneForm]) -> list[StepForm]:
    """Steps in lanes that are nowhere, which no page of ours posts: they must not get lost without a word."""
    shown = {id(form) for node in tree(steps, lanes, with_deleted=True) for form in node.all_forms()}
    return [form for form in steps if id(form) not in shown and not _is_deleted(form)]


def initial_forms(draft: Sequence[JourneyStep]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the forms of a draft's steps, as one reads them, and of their lanes begin with."""
    steps: list[dict[str, Any]] = []
    lanes: list[dict[str, Any]] = []
    numbers: dict[tuple[Any, str], int] = {}
    for number, step in enumerate(draft):
        steps.append(_step_initial(step) | {"lane": numbers.get((step.parent_id, step.lane))})
        for order, lane in enumerate(step.lanes):
            numbers[step.id, lane["name"]] = len(lanes)
            lanes.append({"weight": 1, **lane, "step": number, "order": order})  # 1 is what none means.
    return steps, lanes


def _step_initial(step: JourneyStep) -> dict[str, Any]:
    names = (
        "key", "name", "action_type", "action_config", "condition", "on_failure", "is_active", "order", "delay_from",
        "window", "expires_after_minutes",
    )  # fmt: skip
    return {name: getattr(step, name) for name in names} | {"delay": step.delay_minutes}


def _grouped(forms_there: Iterable[Any], by: str) -> dict[int | None, list[Any]]:
    """Forms by the number that their field `by` has, each group in the page's order."""
    groups: dict[int | None, list[Any]] = {}
    for form in sorted(forms_there, key=lambda form: _entered(form, "order", MAX_LANES)):
        groups.setdefault(_entered(form, by, None), []).append(form)
    return groups


def _entered(form: forms.Form, name: str, default: Any) -> Any:
    raw = str(form[name].value() if form[name].value() is not None else "")
    return int(raw) if raw.isdecimal() and len(raw) < 9 else default


def _number(form: forms.Form) -> int:
    return int(str(form.prefix).rpartition("-")[2])


def _is_deleted(form: forms.Form) -> bool:
    return form.is_bound and "DELETE" in form.fields and bool(form["DELETE"].value())
