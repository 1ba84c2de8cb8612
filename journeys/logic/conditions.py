"""The condition language: what is valid, what it means for one contact, and which paths it reads.

A condition is plain JSON: `{"field", "op", "value"}`, or a group `{"all": [...]}`, `{"any": [...]}` or
`{"not": {...}}`; None and `{}` always hold.
"""

from collections.abc import Callable, Iterator
from typing import Any

from journeys.logic.condition_values import CHECKS, ConditionError, fault_in_text
from journeys.logic.facts import MISSING, Facts, finder
from journeys.logic.operators import OPERATORS

__all__ = [
    "OPERATORS",
    "ConditionError",
    "Facts",
    "Predicate",
    "compile",
    "evaluate",
    "fields",
    "reads_tags",
    "validate",
]

Predicate = Callable[[Facts], bool]
Leaf = Callable[[dict[Any, Any], str], None]
"""Judges a leaf, which stands at that path: raises ConditionError."""

MAX_DEPTH = 10
MAX_NODES = 200
MAX_FIELD_LENGTH = 255
GROUPS = ("all", "any", "not")


def validate(condition: Any) -> None:
    """Raise ConditionError, with the path of the fault, unless `condition` is one; None and `{}` are."""
    validate_with(condition, validate_leaf)


def validate_with(condition: Any, leaf: Leaf, path: str = "") -> None:
    """The same for a condition at `path` with leaves of another kind, which `leaf` judges."""
    if condition is None or condition == {}:
        return
    _validate_node(condition, path, 0, [0], leaf)


def evaluate(condition: Any, facts: Facts) -> bool:
    """Whether the condition holds. Never raises: what is no condition does not hold."""
    return compile(condition)(facts)


def compile(condition: Any) -> Predicate:
    """The condition as a function. What `validate` refuses becomes one that never holds."""
    try:
        validate(condition)
    except ConditionError:
        return lambda facts: False
    return _compile_node(condition) if condition else lambda facts: True


def fields(condition: Any) -> list[str]:
    """The dotted paths that a valid condition reads, each once, in order."""
    return list(dict.fromkeys(leaf["field"] for leaf in _leaves(condition)))


def reads_tags(condition: Any) -> bool:
    """Whether a valid condition looks at the contact's tags."""
    return any(field.removeprefix("user.").split(".")[0] == "tags" for field in fields(condition))


def segments_in(value: Any) -> frozenset[str]:
    """The segments that conditions anywhere inside a definition name."""
    match value:
        case {"field": "segments", "op": _, "value": str() as name}:
            return frozenset({name})
        case dict():
            return frozenset().union(*map(segments_in, value.values()))
        case list():
            return frozenset().union(*map(segments_in, value))
    return frozenset()


def _leaves(condition: Any) -> Iterator[dict[str, Any]]:
    match condition:
        case {"all": parts} | {"any": parts}:
            for part in parts:
                yield from _leaves(part)
        case {"not": part}:
            yield from _leaves(part)
        case {"field": _}:
            yield condition


def _validate_node(node: Any, path: str, depth: int, count: list[int], leaf: Leaf) -> None:
    count[0] += 1
    if count[0] > MAX_NODES:
        raise ConditionError(path, f"the condition has more than {MAX_NODES} parts")
    if not isinstance(node, dict):
        raise ConditionError(path, "must be an object: a comparison or a group (all, any, not)")
    group = next((name for name in GROUPS if name in node), None)
    if group is None:
        leaf(node, path)
        return
    refuse_unknown_keys(node, {group}, path)
    if depth >= MAX_DEPTH:
        raise ConditionError(path, f"groups are nested more than {MAX_DEPTH} deep")
    at = _join(path, group)
    if group == "not":
        _validate_node(node["not"], at, depth + 1, count, leaf)
        return
    parts = node[group]
    if not isinstance(parts, list) or not parts:
        raise ConditionError(at, "must be a list of at least one condition")
    for index, part in enumerate(parts):
        _validate_node(part, f"{at}[{index}]", depth + 1, count, leaf)


def validate_leaf(leaf: dict[Any, Any], path: str) -> None:
    """Judge a comparison of a field."""
    if "did" in leaf:
        raise ConditionError(_join(path, "did"), "counts events, which only a segment can: make a segment of it")
    refuse_unknown_keys(leaf, {"field", "op", "value"}, path)
    for name in ("field", "op"):
        if name not in leaf:
            raise ConditionError(_join(path, name), "is missing")
    _validate_field(leaf["field"], _join(path, "field"))
    op = leaf["op"]
    if not isinstance(op, str) or op not in OPERATORS:
        raise ConditionError(_join(path, "op"), f"must be one of {', '.join(OPERATORS)}, not {op!r:.50}")
    if "value" not in leaf and op != "exists":
        raise ConditionError(_join(path, "value"), "is missing")
    CHECKS[OPERATORS[op].takes](leaf.get("value", True), _join(path, "value"))
    if leaf["field"] == "segments":
        if op not in ("contains", "not_contains"):
            raise ConditionError(_join(path, "op"), "must be contains or not_contains for segments")
        CHECKS["text"](leaf["value"], _join(path, "value"))


def _validate_field(field: Any, path: str) -> None:
    if not isinstance(field, str) or not field:
        raise ConditionError(path, "must be a dotted path such as plan, user.email or event.name")
    if len(field) > MAX_FIELD_LENGTH:
        raise ConditionError(path, f"is longer than {MAX_FIELD_LENGTH} characters")
    if fault := fault_in_text(field):
        raise ConditionError(path, fault)
    if "" in field.split("."):
        raise ConditionError(path, "has an empty part: check its dots")
    if field in ("user", "event"):
        raise ConditionError(path, f"must say what of the {field}, such as {field}.name")


def refuse_unknown_keys(node: dict[Any, Any], known: set[str], path: str) -> None:
    """Raise ConditionError for the first key that means nothing here."""
    for key in node:
        if key not in known:
            expected = ", ".join(sorted(known))
            raise ConditionError(_join(path, str(key)[:50]), f"is unknown here: expected {expected}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _compile_node(node: dict[str, Any]) -> Predicate:
    match node:
        case {"all": parts}:
            return _all_of([_compile_node(part) for part in parts])
        case {"any": parts}:
            return _any_of([_compile_node(part) for part in parts])
        case {"not": part}:
            inner = _compile_node(part)
            return lambda facts: not inner(facts)
    return _compile_leaf(node)


def _all_of(parts: list[Predicate]) -> Predicate:
    return lambda facts: all(part(facts) for part in parts)


def _any_of(parts: list[Predicate]) -> Predicate:
    return lambda facts: any(part(facts) for part in parts)


def _compile_leaf(leaf: dict[str, Any]) -> Predicate:
    find = finder(leaf["field"])
    value = leaf.get("value", True)
    if leaf["op"] == "exists":
        return lambda facts: (find(facts) is not MISSING) is value
    test = OPERATORS[leaf["op"]].build(value)

    def holds(facts: Facts) -> bool:
        found = find(facts)
        return found is not MISSING and test(found, facts.now)

    return holds
