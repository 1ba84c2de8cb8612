"""The journey language in the schema: each action's and trigger's own fields, and conditions.

Made from the registries, so that a new action shows itself. What only a look at the whole can tell (a Liquid error, two
steps of one name) stays with the parser.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from journeys.actions.registry import ACTIONS
from journeys.engine.triggers import TRIGGERS
from journeys.logic.conditions import MAX_FIELD_LENGTH
from journeys.logic.event_counts import COMPARISONS, MAX_NAME_LENGTH, MAX_TIMES
from journeys.logic.instants import ISO_INSTANT
from journeys.logic.operators import OPERATORS

REF = "#/components/schemas/"
CONDITION = {"$ref": f"{REF}Condition"}
SEGMENT_CONDITION = {"$ref": f"{REF}SegmentCondition"}
TEXT = {"type": "string", "pattern": r"^[^\x00]*$"}
JSON: dict[str, Any] = {
    "title": "Json",
    "description": "Any JSON without a NUL character; ten levels deep at most.",
    "anyOf": [
        TEXT,
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "array", "items": {"$ref": f"{REF}Json"}},
        {
            "type": "object",
            "additionalProperties": {"$ref": f"{REF}Json"},
            "propertyNames": {"pattern": r"^[^\x00]*$"},
        },
    ],
}
SCALAR = {"anyOf": [TEXT, {"type": "number", "minimum": -1e300, "maximum": 1e300}, {"type": "boolean"}]}
VALUES: dict[str, dict[str, Any]] = {
    "scalar": SCALAR,
    "comparable": {
        "anyOf": [
            {"type": "number", "minimum": -1e300, "maximum": 1e300},
            {"type": "string", "pattern": f"^{ISO_INSTANT}$"},
        ]
    },
    "list": {"type": "array", "items": SCALAR, "minItems": 1, "maxItems": 1000},
    "text": {"type": "string", "pattern": r"^[^\x00]+$"},
    "flag": {"type": "boolean"},
    "days": {"type": "number", "exclusiveMinimum": 0, "maximum": 36_500},
}


def components() -> dict[str, dict[str, Any]]:
    """The schemas that the documents refer to, by name."""
    models = [*(action.config_class for action in ACTIONS.values()), *(t.config_class for t in TRIGGERS.values())]
    named: dict[str, dict[str, Any]] = {
        "Condition": _condition(),
        "SegmentCondition": _segment_condition(),
        "Json": JSON,
    }
    for model in models:
        named |= _parts(model)
    return named


def specify(name: str, schema: dict[str, Any]) -> None:
    """Make the generic schema of a step or a journey say what the registries know."""
    if name == "StepBody":
        schema["properties"]["condition"] = _or_nothing(schema["properties"]["condition"])
        _choose(schema, "action_type", "action_config", {kind: a.config_class for kind, a in ACTIONS.items()})
        for alternative in schema["anyOf"]:
            _limit_lanes(alternative)
    elif name in ("SegmentBody", "SegmentPatch"):
        schema["properties"]["condition"] = _or_nothing(schema["properties"]["condition"], SEGMENT_CONDITION)
    elif name == "LaneBody":
        schema["properties"]["condition"] = _or_nothing(schema["properties"]["condition"])
    elif name in ("JourneyBody", "JourneyPatch"):
        kinds = {kind: trigger.config_class for kind, trigger in TRIGGERS.items()}
        if name == "JourneyBody":
            _choose(schema, "trigger_type", "trigger_config", kinds)
        else:  # it may name either without the other
            schema["properties"]["trigger_type"]["enum"] = list(kinds)


def resolve(schema: Any) -> Any:
    """The schema with each `{"x-ref": name}` made a reference to that component."""
    if isinstance(schema, list):
        return [resolve(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {"$ref": REF + schema["x-ref"]} if "x-ref" in schema else {k: resolve(v) for k, v in schema.items()}


def _choose(schema: dict[str, Any], kind: str, config: str, models: Mapping[str, type[BaseModel]]) -> None:
    """One alternative for each config, each a whole object; `config` may be absent where nothing of it is required."""
    own = {name: schema.pop(name) for name in ("type", "properties", "required", "additionalProperties")}
    alternatives = []
    for model in dict.fromkeys(models.values()):
        kinds = [value for value, other in models.items() if other is model]
        field = {"type": "string", "enum": kinds, "title": own["properties"][kind].get("title", kind)}
        properties = {**own["properties"], kind: field, config: _config_or_condition(config, model)}
        demanded = [config] if any(field.is_required() for field in model.model_fields.values()) else []
        required = [*own["required"], *demanded]
        alternatives.append({**own, "title": ", ".join(kinds), "properties": properties, "required": required})
    schema["anyOf"] = alternatives


def _limit_lanes(alternative: dict[str, Any]) -> None:
    """How many lanes a step of these kinds has; what each needs stays with the parser."""
    action = ACTIONS[alternative["properties"]["action_type"]["enum"][0]]
    lanes = {**alternative["properties"]["lanes"], "minItems": action.least_lanes}
    if action.lane_has is None:
        lanes["maxItems"] = len(action.lane_names)
    alternative["properties"] = {**alternative["properties"], "lanes": lanes}
    if action.least_lanes:
        alternative["required"] = [*alternative["required"], "lanes"]


def _config_or_condition(config: str, model: type[BaseModel]) -> dict[str, Any]:
    own = {"$ref": f"{REF}{model.__name__}"}
    return {"anyOf": [own, CONDITION]} if config == "trigger_config" else own


def _or_nothing(field: dict[str, Any], condition: Mapping[str, Any] = CONDITION) -> dict[str, Any]:
    """A condition; null and `{}` are none."""
    nothing = [{"type": "object", "maxProperties": 0}, {"type": "null"}]
    return {"anyOf": [condition, *nothing], "default": None, "description": field.get("description", "")}


def _parts(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """The config's schema, and those of what is inside it, by name."""
    schema = model.model_json_schema(ref_template=f"{REF}{{model}}")
    inside: dict[str, dict[str, Any]] = schema.pop("$defs", {})
    return inside | {model.__name__: _config(model, schema)}


def _config(model: type[BaseModel], schema: dict[str, Any]) -> dict[str, Any]:
    schema["title"] = model.__name__
    for field in schema.get("properties", {}).values():
        for hint in ("widget", "channel", "only_when", "last"):
            field.pop(hint, None)
    if "condition" in schema.get("properties", {}):
        schema["properties"]["condition"] = _or_nothing(schema["properties"]["condition"])
    return schema


def _condition() -> dict[str, Any]:
    """A comparison, or a group of conditions; groups nest ten deep."""
    return {"title": "Condition", "anyOf": [*_leaves(r"(user|event)$"), *_groups(CONDITION)]}


def _segment_condition() -> dict[str, Any]:
    """The same over contacts, without an event, and with counts of events."""
    leaves = [*_leaves(r"user$|segments$|event(\.|$)"), _count()]
    return {"title": "SegmentCondition", "anyOf": [*leaves, *_groups(SEGMENT_CONDITION)]}


def _groups(inner: Mapping[str, Any]) -> list[dict[str, Any]]:
    many = {"type": "array", "items": inner, "minItems": 1}
    return [*(_closed({name: many}) for name in ("all", "any")), _closed({"not": inner})]


def _count() -> dict[str, Any]:
    """How often somebody did something. What is asked of the event nests no further here than a group."""
    leaves = _leaves(r"event$|(user|tags|segments)(\.|$)")
    many = {"type": "array", "items": {"anyOf": leaves}, "minItems": 1}
    count = _closed(
        {
            "did": {"type": "string", "pattern": r"^[^\x00]*[^\x00\s][^\x00]*$", "maxLength": MAX_NAME_LENGTH},
            "op": {"type": "string", "enum": list(COMPARISONS)},
            "value": {"type": "integer", "minimum": 0, "maximum": MAX_TIMES},
            "within_days": VALUES["days"],
            "where": {"anyOf": [*leaves, *(_closed({name: many}) for name in ("all", "any"))]},
        }
    )
    return {**count, "required": ["did", "op", "value"]}


def _leaves(but: str) -> list[dict[str, Any]]:
    return [_leaf(kind, but) for kind in VALUES]


def _leaf(kind: str, but: str) -> dict[str, Any]:
    """A comparison of a field whose path is none that begins as `but` says."""
    field = {
        "type": "string",
        "maxLength": MAX_FIELD_LENGTH,
        "pattern": rf"^(?!{but})[^\x00.]+(\.[^\x00.]+)*$",
        "description": "A dotted path: plan, user.email, event.name, tags.",
    }
    operators = [name for name, operator in OPERATORS.items() if operator.takes == kind]
    leaf = _closed({"field": field, "op": {"type": "string", "enum": operators}, "value": VALUES[kind]})
    if kind == "flag":
        leaf["required"] = ["field", "op"]
    return leaf


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
