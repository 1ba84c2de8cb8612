"""Imports point one way (docs/architecture.md, "The house"). Held by reading them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "journeys"

# What each room may import of journeys, besides itself.
LOGIC = {"logic"}
MODELS = LOGIC | {"models"}
ACTIONS = MODELS | {"actions"}
ENGINE = ACTIONS | {"engine"}
AUTHORING = ENGINE | {"authoring"}
READERS = {"analytics", "metrics", "checks"}
ALLOWED = {
    "logic": LOGIC,
    "models": MODELS,
    "actions": ACTIONS,
    "engine": ENGINE,
    "authoring": AUTHORING,
    "analytics": MODELS,
    "metrics": MODELS,
    "checks": ACTIONS,
    "permissions": MODELS,
    "tasks": AUTHORING,
    "demo": AUTHORING,
    "bench": AUTHORING,
    "api": AUTHORING | READERS,
    "admin": AUTHORING | READERS | {"templatetags"},
    "templatetags": set(),
    "management": AUTHORING | READERS | {"tasks", "demo", "bench"},
    "apps": {"checks", "tasks", "permissions"},
    "defaults": set(),
    "__init__": {"engine"},
    "migrations": MODELS,
}


def rooms() -> Iterator[tuple[Path, str]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path, path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            if node.module == "journeys":
                yield from (f"journeys.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("path", "room"), list(rooms()), ids=lambda value: str(value).rsplit("journeys/", 1)[-1])
def test_a_room_imports_only_what_it_may(path: Path, room: str):
    assert room in ALLOWED, f"{room} is no room of the house"
    for name in imports(path):
        package, _, rest = name.partition(".")
        if package == "journeys" and rest:
            assert rest.split(".")[0] in ALLOWED[room] | {room}, f"{path} imports {name}"


def test_logic_is_pure():
    import sys

    for path in sorted((ROOT / "logic").rglob("*.py")):
        for name in imports(path):
            package = name.split(".")[0]
            assert package == "journeys" or package in sys.stdlib_module_names, f"{path} imports {name}"
