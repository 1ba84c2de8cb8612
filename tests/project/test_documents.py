"""What the documents say is held against the code."""

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings

from journeys import defaults
from journeys.actions.registry import ACTIONS
from journeys.api.bodies import ContactBody, EventBody, TriggerBody
from journeys.api.urls import urlpatterns
from journeys.authoring.document import parse
from journeys.models import Journey, JourneyStep, StepExecution, UserJourney

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
READERS = ("journeys_project/settings.py", "journeys_project/run.py", "gunicorn.conf.py")


def variables() -> Iterator[str]:
    """The environment variables that are read: the first argument of each call of the environment's readers."""
    for name in READERS:
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="env" | "environment"), attr=reader),
                    args=[ast.Constant(value=str(variable)), *_],
                ) if reader != "refuse":
                    yield variable
                case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(variable)), *_]) if (
                    ast.unparse(node.func) == "os.environ.get"
                ):
                    yield variable


def test_operations_lists_every_environment_variable_and_no_other():
    environment = (DOCS / "operations.md").read_text().split("## Environment")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([A-Z_*]+)` \|", environment, re.MULTILINE)
    assert sorted(listed) == sorted({*variables(), "ANYMAIL_*"})


@pytest.mark.parametrize("name", defaults.__all__)
def test_what_a_host_project_imports_is_what_the_service_has_by_default(name: str):
    assert hasattr(settings, name)
    if name not in ("UNFOLD", "Q_CLUSTER", "JOURNEYS"):  # The first is more here; of the second, tests set the workers.
        assert getattr(settings, name) == getattr(defaults, name)
    if name == "Q_CLUSTER":
        assert settings.Q_CLUSTER | {"workers": 4} == defaults.Q_CLUSTER
    if name == "JOURNEYS":  # Tests lift the limits.
        assert settings.JOURNEYS | {"RATES": defaults.JOURNEYS["RATES"]} == defaults.JOURNEYS


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = (DOCS / document).read_text().split(f"## {heading}")[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]


def test_every_action_is_in_the_table_with_its_module_and_fields():
    documented = {
        kind.strip("`| "): (module.strip("`"), set(re.findall(r"`(\w+)`", fields)))
        for kind, module, fields, *_ in rows("adding-an-action.md", "The actions that there are")
    }
    real = {
        kind: (type(action).__module__.rpartition(".")[2] + ".py", set(action.config_class.model_fields))
        for kind, action in ACTIONS.items()
    }
    assert documented == real


def test_the_worked_example_is_an_action_that_works(monkeypatch: pytest.MonkeyPatch):
    source = (DOCS / "adding-an-action.md").read_text()
    module, tests = re.findall(r"```python\n(.*?)```", source, re.DOTALL)
    sms, its_tests = ModuleType("journeys.actions.sms"), ModuleType("test_sms")
    monkeypatch.setitem(sys.modules, sms.__name__, sms)
    exec(module, sms.__dict__)  # noqa: S102
    exec(tests, its_tests.__dict__)  # noqa: S102
    found = [value for name, value in vars(its_tests).items() if name.startswith("test_")]
    assert len(found) == 3
    for test in found:
        test()


def test_the_api_document_names_every_path():
    text = (DOCS / "api.md").read_text()
    listed = set(re.findall(r"^\| `[A-Z, ]+` `(/api/\S+)`", text, re.MULTILINE))
    served = {
        "/api/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        for pattern in urlpatterns
        if pattern.name is None and str(pattern.pattern)
    }
    assert listed == served


def bodies() -> Iterator[Any]:
    """The JSON that the documents' curl examples send."""
    for document in (ROOT / "README.md", DOCS / "api.md"):
        for text in re.findall(r"-d '([\[{][^']*)'", document.read_text()):
            yield json.loads(text)


def test_the_examples_are_taken_by_the_api():
    taken: Counter[str] = Counter()
    for body in bodies():
        match body:
            case {"steps": _}:
                parse(body)
                taken["journey"] += 1
            case list():
                taken["event"] += len([EventBody.model_validate(event) for event in body])
            case {"trigger_type": _}:
                TriggerBody.model_validate(body)
                taken["trigger"] += 1
            case {"attributes": _}:
                ContactBody.model_validate(body)
                taken["contact"] += 1
    assert taken == {"journey": 3, "event": 2, "trigger": 1, "contact": 2}


def test_architecture_names_every_module_of_the_house():
    text = (DOCS / "architecture.md").read_text()
    modules = {path.name for path in (ROOT / "journeys" / "engine").glob("*.py")} - {"__init__.py"}
    assert {name for name in modules if name not in text} == set()


@pytest.mark.parametrize("model", [Journey, JourneyStep, UserJourney, StepExecution])
def test_architecture_names_every_index_of_the_hot_tables(model):
    text = (DOCS / "architecture.md").read_text()
    names = {index.name for index in model._meta.indexes}
    names |= {constraint.name for constraint in model._meta.constraints}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_links_between_documents_lead_somewhere():
    for document in (ROOT / "README.md", *DOCS.glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
