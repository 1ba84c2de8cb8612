"""The journey page: a journey's form and one for each step, together.

They read what was entered into a document; journeys.authoring judges and stores it.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from journeys.actions.registry import ACTIONS
from journeys.admin.journey_forms import MAX_STEPS, NAME_TAKEN, NEW_STEP, JourneyForm, StepForm, StepFormSet, TypedForm
from journeys.admin.vocabulary import vocabulary
from journeys.authoring.document import DocumentError, parse
from journeys.authoring.faults import Fault
from journeys.authoring.publish import NameTaken, create_journey, save_journey
from journeys.engine.triggers import TRIGGERS
from journeys.models import Journey, JourneyStep

STEP = re.compile(r"steps\[(\d+)\]\.?(.*)")


class JourneyEditor:
    """One journey on its page: the two forms together, with what they may suggest."""

    def __init__(self, journey: Journey | None, data: Any = None) -> None:
        self.journey = journey
        self.words = vocabulary()
        self.form = JourneyForm(data, journey=journey, words=self.words)
        initial = [_step_initial(step) for step in _draft(journey)]
        options = {"words": self.words, "empty_permitted": False}
        self.steps = StepFormSet(data, initial=None if data else initial, prefix="steps", form_kwargs=options)

    def is_valid(self) -> bool:
        """Whether a document came of it that may be saved. If not, each error stands in its form."""
        is_whole = all([self.form.is_valid(), self.steps.is_valid()])
        if is_whole:
            try:
                parse(self.document())
            except DocumentError as error:
                self._place(error.faults)
                return False
        return is_whole

    def live_steps(self) -> list[StepForm]:
        """The steps that were not deleted, in the page's order."""
        kept = [form for form in self.steps.forms if not (self.steps.is_bound and form["DELETE"].value())]
        return sorted(kept, key=_order) if self.steps.is_bound else kept

    def shown_steps(self) -> list[StepForm]:
        """All steps, the deleted ones included, in the page's order: deleting is undone until it is saved."""
        return sorted(self.steps.forms, key=_order) if self.steps.is_bound else list(self.steps.forms)

    def document(self) -> dict[str, Any]:
        entered = self.form.cleaned_data
        names = ("name", "description", "trigger_type", "trigger_config", "is_active", "priority")
        return {name: entered[name] for name in names} | {"steps": [step.document() for step in self.live_steps()]}

    def save(self, by: User, now: datetime) -> Journey | None:
        """Store and publish it, or put the reason why that can't be into the forms and return None."""
        try:
            document = parse(self.document())
            if self.journey is None:
                return create_journey(document, by, now)
            return save_journey(self.journey.pk, document, by, now)
        except NameTaken:
            self.form.add_error("name", NAME_TAKEN)
        except DocumentError as error:
            self._place(error.faults)
        return None

    def error_count(self) -> int:
        forms_in_use = [self.form, *self.live_steps()] if self.form.is_bound else []
        return sum(len(faults) for form in forms_in_use for faults in form.errors.values())

    def trigger_forms(self) -> list[tuple[Any, JourneyForm]]:
        """Each trigger with an empty form of its own fields, for the browser to choose from."""
        return [(trigger, JourneyForm(journey=None, words=self.words, kind=kind)) for kind, trigger in TRIGGERS.items()]

    def action_forms(self) -> list[tuple[Any, StepForm]]:
        return [(action, self._blank({**NEW_STEP, "action_type": kind})) for kind, action in ACTIONS.items()]

    def blank_step(self) -> StepForm:
        return self._blank(NEW_STEP)

    def _blank(self, initial: dict[str, Any]) -> StepForm:
        form = StepForm(
            initial=dict(initial), prefix="steps-__prefix__", words=self.words, use_required_attribute=False
        )
        self.steps.add_fields(form, None)
        return form

    def _place(self, faults: Iterable[Fault]) -> None:
        steps = self.live_steps()
        for fault in faults:
            found = STEP.fullmatch(fault.path)
            form: TypedForm = steps[int(found[1])] if found and int(found[1]) < len(steps) else self.form
            form.place(_field_of(found[2] if found else fault.path), fault.message)


def _field_of(path: str) -> str | None:
    """The form's field that a path of the document is entered in."""
    first, _, rest = path.partition(".")
    inner = rest.partition(".")[0].partition("[")[0]
    match first.partition("[")[0]:
        case "trigger_config":
            return "condition" if inner == "condition" else f"trigger-{inner}" if inner else "trigger_type"
        case "action_config":
            return f"config-{inner}" if inner else "action_type"
        case "delay_minutes":
            return "delay"
        case other:
            return other or None


def _order(form: StepForm) -> int:
    raw = str(form["order"].value() or "")
    return int(raw) if raw.isdecimal() else MAX_STEPS


def _draft(journey: Journey | None) -> Iterable[JourneyStep]:
    return journey.steps.filter(archived_at=None).order_by("order", "id") if journey else ()


def _step_initial(step: JourneyStep) -> dict[str, Any]:
    names = ("key", "name", "action_type", "action_config", "condition", "on_failure", "is_active", "order")
    own = {name: getattr(step, name) for name in names}
    return own | {"delay": step.delay_minutes, "expires_after_minutes": step.expires_after_minutes}
