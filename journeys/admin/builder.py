"""The journey page: a journey's form, one for each step and one for each lane, together.

They read what was entered into a document; journeys.authoring judges and stores it.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from journeys.actions.registry import ACTIONS
from journeys.admin.journey_forms import (
    NAME_TAKEN,
    NEW_STEP,
    JourneyForm,
    PlacedForm,
    StepForm,
    StepFormSet,
    as_sentence,
)
from journeys.admin.lane_forms import LaneForm, LaneFormSet, Node, initial_forms, strays, tree
from journeys.admin.rule_fields import ExitForm, ExitFormSet
from journeys.admin.vocabulary import vocabulary
from journeys.authoring.document import DocumentError, draft_steps, parse
from journeys.authoring.faults import Fault
from journeys.authoring.publish import NameTaken, create_journey, save_journey
from journeys.authoring.rules import DEFAULTS, rules_of
from journeys.engine.triggers import TRIGGERS
from journeys.models import Journey

EXIT = re.compile(r"exit_on\[(\d+)\]\.?")
OLD_PAGE = {"missing_management_form": "This page is of an earlier release: reload it, and enter your changes again."}
INNER = re.compile(r"(?:steps|lanes)\[(\d+)\]\.?")


class JourneyEditor:
    """One journey on its page: all its forms together, with what they may suggest."""

    def __init__(self, journey: Journey | None, data: Any = None) -> None:
        self.journey = journey
        self.words = vocabulary()
        self.form = JourneyForm(data, journey=journey, words=self.words)
        steps, lanes = initial_forms(draft_steps(journey)) if journey and not data else ([], [])
        options = {"words": self.words, "empty_permitted": False}
        self.steps = StepFormSet(data, initial=steps, prefix="steps", form_kwargs=options, error_messages=OLD_PAGE)
        exits = [dict(exit) for exit in journey.exit_on] if journey and not data else []
        self.exits = ExitFormSet(
            data, initial=exits, prefix="exits", form_kwargs={"empty_permitted": False}, error_messages=OLD_PAGE
        )
        self.lanes = LaneFormSet(
            data, initial=lanes, prefix="lanes", form_kwargs={"empty_permitted": False}, error_messages=OLD_PAGE
        )

    def is_valid(self) -> bool:
        """Whether a document came of it that may be saved. If not, each error stands in its form."""
        is_whole = all([self.form.is_valid(), self.steps.is_valid(), self.lanes.is_valid(), self.exits.is_valid()])
        for stray in strays(self.steps.forms, self.lanes.forms):
            stray.place(None, "its lane is not there any more: choose where it stands")
            is_whole = False
        if is_whole:
            try:
                parse(self.document())
            except DocumentError as error:
                self._place(error.faults)
                return False
        return is_whole

    def live_steps(self) -> list[Node]:
        """The steps that were not deleted, as they stand on the page."""
        return tree(self.steps.forms, self.lanes.forms, with_deleted=False)

    @property
    def has_rules(self) -> bool:
        """Whether there is anything to be seen among the rules of who enters and who leaves."""
        return bool(self.form.is_bound or (self.journey and rules_of(self.journey) != DEFAULTS))

    def live_exits(self) -> list[ExitForm]:
        return [form for form in self.exits.forms if form not in self.exits.deleted_forms]

    def shown_steps(self) -> list[Node]:
        """All steps, the deleted ones included: deleting is undone until it is saved. Strays come last."""
        lost = [Node(form, []) for form in strays(self.steps.forms, self.lanes.forms)]
        return tree(self.steps.forms, self.lanes.forms, with_deleted=True) + lost

    def document(self) -> dict[str, Any]:
        entered = self.form.cleaned_data
        names = ("name", "description", "trigger_type", "trigger_config", "is_active", "priority", "quiet_hours")
        steps = [step.step_document() for step in self.live_steps()]
        exits = [exit.document() for exit in self.live_exits()]
        return {name: entered[name] for name in names} | self.form.rules() | {"exit_on": exits, "steps": steps}

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
        if not self.form.is_bound:
            return 0
        in_use = [*Node(self.form, self.live_steps()).all_forms(), *self.exits.forms]
        in_use += strays(self.steps.forms, self.lanes.forms)
        return sum(len(faults) for form in in_use for faults in form.errors.values())

    def trigger_forms(self) -> list[tuple[Any, JourneyForm]]:
        """Each trigger with an empty form of its own fields, for the browser to choose from."""
        return [(trigger, JourneyForm(journey=None, words=self.words, kind=kind)) for kind, trigger in TRIGGERS.items()]

    def action_forms(self) -> list[tuple[Any, StepForm]]:
        return [(action, self._blank({**NEW_STEP, "action_type": kind})) for kind, action in ACTIONS.items()]

    def blank_step(self) -> Node:
        return Node(self._blank(NEW_STEP), [])

    def blank_lane(self) -> Node:
        form = LaneForm(prefix="lanes-__prefix__", use_required_attribute=False)
        self.lanes.add_fields(form, None)
        return Node(form, [])

    def blank_exit(self) -> ExitForm:
        form: ExitForm = self.exits.empty_form
        return form

    def _blank(self, initial: dict[str, Any]) -> StepForm:
        form = StepForm(
            initial=dict(initial), prefix="steps-__prefix__", words=self.words, use_required_attribute=False
        )
        self.steps.add_fields(form, None)
        return form

    def _place(self, faults: Iterable[Fault]) -> None:
        whole = Node(self.form, self.live_steps())
        for fault in faults:
            node, rest = whole, fault.path
            while (found := INNER.match(rest)) and int(found[1]) < len(node.inner):
                node, rest = node.inner[int(found[1])], rest[found.end() :]
            exits = self.live_exits()
            if (found := EXIT.match(rest)) and int(found[1]) < len(exits):
                field = rest[found.end() :].partition(".")[0]
                exits[int(found[1])].place(field, as_sentence(fault.message))
                continue
            form: PlacedForm = node.form
            form.place(_field_of(rest), fault.message)


def _field_of(path: str) -> str | None:
    """The form's field that a path of the document is entered in."""
    first, _, rest = path.partition(".")
    inner = rest.partition(".")[0].partition("[")[0]
    match first.partition("[")[0]:
        case "trigger_config":
            return "condition" if inner == "condition" else f"trigger-{inner}" if inner else "trigger_type"
        case "action_config":
            return f"config-{inner}" if inner else "action_type"
        case "exit_condition":
            return "exit_condition"
        case "goal":
            return f"goal_{inner or 'event'}"
        case "delay_minutes":
            return "delay"
        case "lanes":
            return "action_type"
        case other:
            return other or None
