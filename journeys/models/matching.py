"""Conditions over sets: the same language as journeys.logic.conditions, answered by PostgreSQL.

A set has no run, so there is no metadata and no event: a bare name is the contact's attribute, and `event.*` is
missing. It can count events, though (journeys.logic.event_counts). Every part is true or false, never NULL, so that
`not` means the same as in Python.
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import DateTimeField, Exists, F, JSONField, OuterRef, Q, Value

from journeys.logic.condition_values import canonical
from journeys.logic.conditions import ConditionError
from journeys.logic.event_counts import validate_counting
from journeys.logic.facts import CONTACT_COLUMNS
from journeys.logic.instants import parse_instant
from journeys.models.audience import ContactTag
from journeys.models.event_counts import did
from journeys.models.sql_values import (
    Sql,
    has_element_at,
    instant,
    instant_column,
    json_value,
    member,
    question,
    text_column,
    text_value,
)

NEVER = Q(pk__in=[])
ALWAYS = ~NEVER  # an empty Q() would vanish from an `any`
INSTANT_COLUMNS = ("created_at", "last_event_at")
SYMBOLS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def matches(condition: Any, now: datetime, among: Collection[UUID] | None = None) -> Q:
    """The contacts for whom `condition` holds at `now`, for `Contact.objects.filter`. Garbage matches nobody.

    `among` says of which few contacts it is asked: only their events are counted.
    """
    try:
        validate_counting(condition)
    except ConditionError:
        return NEVER
    return (
        _node(condition, now, _of_contact, ALWAYS if among is None else Q(contact_id__in=among))
        if condition
        else ALWAYS
    )


def _node(node: dict[str, Any], now: datetime, leaf: "Leaf", whose: Q = ALWAYS) -> Q:
    match node:
        case {"all": parts}:
            return Q(*(_node(part, now, leaf, whose) for part in parts), _connector=Q.AND)
        case {"any": parts}:
            return Q(*(_node(part, now, leaf, whose) for part in parts), _connector=Q.OR)
        case {"not": part}:
            return ~_node(part, now, leaf, whose)
        case {"did": name, "op": op, "value": times}:
            where = _node(node["where"], now, _of_event) if node.get("where") else ALWAYS
            since = _shift(now, -node["within_days"]) if "within_days" in node else None
            return did(name, op, int(times), since, where & whose)
    return leaf(node["field"], node["op"], node.get("value", True), now)


Leaf = Callable[[str, str, Any, datetime], Q]


def _of_contact(field: str, op: str, value: Any, now: datetime) -> Q:
    match tuple(field.split(".")):
        case ("tags",) | ("user", "tags"):
            return _Tags().answer(op, value, now)
        case ("user", name) if name in INSTANT_COLUMNS:
            return _InstantColumn(name).answer(op, value, now)
        case ("user", name) if name in CONTACT_COLUMNS:
            return _TextColumn(name).answer(op, value, now)
        case ("event" | "tags", *_) | ("user", "tags", *_) | ("segments",):
            return _missing(op, value)
        case ("user", name, *_) if name in CONTACT_COLUMNS:
            return _missing(op, value)
        case ("user", "attributes", *path) | ("user", *path) | path:
            return _Attribute(path).answer(op, value, now)


def _of_event(field: str, op: str, value: Any, now: datetime) -> Q:
    """As journeys.logic.facts.event_mapping has it: the event's own columns, then its properties."""
    match tuple(field.removeprefix("event.").split(".")):
        case ("occurred_at",) if field != "occurred_at":
            return _InstantColumn("occurred_at").answer(op, value, now)
        case ("name" | "message_id" as name,) if field != name:
            return _TextColumn(name).answer(op, value, now)
        case ("name" | "message_id" | "occurred_at", *_) if field.startswith("event."):
            return _missing(op, value)
        case ("properties", *path) if field.startswith("event."):
            return _Attribute(path, "properties").answer(op, value, now)
        case path:
            return _Attribute(path, "properties").answer(op, value, now)


def _missing(op: str, value: Any) -> Q:
    return ALWAYS if op == "exists" and value is False else NEVER


class _Place:
    """Where a path leads, as JSON, and the answer of each operator there."""

    def __init__(self, json: Any) -> None:
        self.json = json

    def answer(self, op: str, value: Any, now: datetime) -> Q:
        if op in SYMBOLS:
            return self.is_ordered(SYMBOLS[op], value)
        if op == "within_days":
            return self.is_within(value, now)
        answers: dict[str, Callable[[Any], Q]] = {
            "eq": self.equals,
            "ne": lambda value: self.is_present() & ~self.equals(value),
            "in": self.is_one_of,
            "not_in": lambda value: self.is_present() & ~self.is_one_of(value),
            "contains": self.contains,
            "not_contains": lambda value: self.can_contain(value) & ~self.contains(value),
            "starts_with": lambda value: self.says("starts_with($1 #>> '{}', $2)", value),
            "ends_with": lambda value: self.says("right($1 #>> '{}', char_length($2)) = $2", value),
            "exists": lambda value: self.is_present() if value else ~self.is_present(),
        }
        return answers[op](value)

    def instant(self) -> Sql | F:
        return instant(self.json)

    def is_present(self) -> Q:
        return Q(question("jsonb_typeof($1) <> 'null'", self.json))

    def equals(self, value: Any) -> Q:
        if isinstance(moment := canonical(value), datetime):
            return Q(question("$1 = $2", self.instant(), _moment(moment)))
        return self.equals_plain(value)

    def equals_plain(self, value: Any) -> Q:
        return Q(question("$1 = $2", self.json, json_value(value)))

    def is_one_of(self, values: list[Any]) -> Q:
        moments = [moment for value in values if isinstance(moment := canonical(value), datetime)]
        plain = [value for value in values if not isinstance(canonical(value), datetime)]
        found = self.is_one_of_plain(plain) if plain else NEVER
        return found | Q(_is_among(self.instant(), [_moment(moment) for moment in moments])) if moments else found

    def is_one_of_plain(self, values: list[Any]) -> Q:
        return Q(_is_among(self.json, [json_value(value) for value in values]))

    def contains(self, value: Any) -> Q:
        listed = self.lists(value)
        return listed | self.says("strpos($1 #>> '{}', $2) > 0", value) if isinstance(value, str) else listed

    def lists(self, value: Any) -> Q:
        if isinstance(moment := canonical(value), datetime):
            return Q(has_element_at(self.json, _moment(moment)))
        return Q(question("jsonb_typeof($1) = 'array' AND $1 @> $2", self.json, json_value([value])))

    def can_contain(self, value: Any) -> Q:
        types = "('array', 'string')" if isinstance(value, str) else "('array')"
        return Q(question(f"jsonb_typeof($1) IN {types}", self.json))

    def says(self, sql: str, text: str) -> Q:
        return Q(question(f"jsonb_typeof($1) = 'string' AND {sql}", self.json, text_value(text)))

    def is_ordered(self, symbol: str, value: Any) -> Q:
        if isinstance(value, str) and (moment := parse_instant(value)):
            return Q(question(f"$1 {symbol} $2", self.instant(), _moment(moment)))
        return Q(question(f"jsonb_typeof($1) = 'number' AND $1 {symbol} $2", self.json, json_value(value)))

    def is_within(self, days: float, now: datetime) -> Q:
        first, last = _moment(_shift(now, -days)), _moment(_shift(now, days))
        return Q(question("$1 <@ tstzrange($2, $3, '[]')", self.instant(), first, last))


class _Attribute(_Place):
    def __init__(self, path: list[str] | tuple[str, ...], column: str = "attributes") -> None:
        self.path, self.column = path, column
        json: Any = F(column)
        for segment in path:
            json = member(json, segment)
        super().__init__(json)

    def equals_plain(self, value: Any) -> Q:
        # Containment is what an index over the attributes can answer.
        for segment in reversed(self.path):
            value = {segment: value}
        return Q(**{f"{self.column}__contains": value}) if self.path else NEVER


class _TextColumn(_Place):
    def __init__(self, name: str) -> None:
        super().__init__(text_column(name))
        self.name = name

    def equals_plain(self, value: Any) -> Q:
        return self.is_one_of_plain([value])

    def is_one_of_plain(self, values: list[Any]) -> Q:
        # The bare column, for its index; an empty text is a missing one.
        return Q(**{f"{self.name}__in": [value for value in values if isinstance(value, str) and value]})


class _InstantColumn(_Place):
    def __init__(self, name: str) -> None:
        super().__init__(instant_column(name))
        self.name = name

    def instant(self) -> F:
        return F(self.name)


class _Tags(_Place):
    def __init__(self) -> None:
        self.own = ContactTag.objects.filter(contact=OuterRef("pk"))
        names = ArraySubquery(self.own.values("tag__name"))
        super().__init__(Sql("to_jsonb($1)", names, output_field=JSONField()))

    def lists(self, value: Any) -> Q:
        if isinstance(value, str) and isinstance(canonical(value), str):
            return Q(Exists(self.own.filter(tag__name=value)))
        return super().lists(value)


def _is_among(found: Any, values: list[Value]) -> Sql:
    holes = ", ".join(f"${number}" for number in range(2, len(values) + 2))
    return question(f"$1 IN ({holes})", found, *values)


def _moment(moment: datetime) -> Value:
    return Value(moment, output_field=DateTimeField())


def _shift(now: datetime, days: float) -> datetime:
    try:
        return now + timedelta(days=days)
    except OverflowError:  # past the calendar's end: every date is on the near side of it
        return (datetime.max if days > 0 else datetime.min).replace(tzinfo=UTC)
