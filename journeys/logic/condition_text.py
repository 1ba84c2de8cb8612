"""Conditions as text for experts, both ways: `plan in ["premium", "gold"] and not user.country = "US"`.

    condition  = all { "or" all }         all   = part { "and" part }
    part       = "not" part | "(" condition ")" | comparison
    comparison = field ( "=" | "!=" | ">" | ">=" | "<" | "<=" ) value
               | field [ "not" ] "in" "[" value { "," value } "]"
               | field [ "not" ] "contains" value  | field ( "starts" | "ends" ) "with" value
               | field ( "exists" | "missing" )    | field "within" number "days"

In segments, a part may also count events:

    count      = "did" text ( "=" | "!=" | ">" | ">=" | "<" | "<=" ) number "times" [ "within" number "days" ]
                 [ "where" part ]

Values are JSON. A field that is no plain word stands in backticks, a backtick in it twice.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from journeys.logic.conditions import OPERATORS, ConditionError, validate

SYMBOLS = {"=": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
PHRASES = {
    ("in",): "in",
    ("not", "in"): "not_in",
    ("contains",): "contains",
    ("not", "contains"): "not_contains",
    ("starts", "with"): "starts_with",
    ("ends", "with"): "ends_with",
}
_WORDS_OF = {op: " ".join(words) for words, op in PHRASES.items()} | {op: symbol for symbol, op in SYMBOLS.items()}
_RESERVED = {"and", "or", "not", "true", "false", "null"}
_PLAIN_FIELD = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+)*")
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<field>`(?:[^`]|``)+`)|(?P<text>\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>-?\d[\w.+-]*)|(?P<word>[^\W\d][\w-]*(?:\.[\w-]+)*)|(?P<mark>!=|>=|<=|[=<>()\[\],])",
    re.DOTALL,
)
# Beyond what `validate` lets through, and far below what Python's stack bears.
_MAX_NESTING = 50


class ConditionTextError(ValueError):
    """`line` and `column` count from 1 and point at the fault."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.message = message
        self.line = line
        self.column = column


def to_text(condition: Any) -> str:
    """A valid condition as text; `from_text` reads it back as `simplify(condition)`."""
    simple = simplify(condition)
    return _write(simple) if simple else ""


def from_text(text: str, validate: Callable[[Any], None] = validate) -> dict[str, Any] | None:
    """The condition that `text` says and `validate` takes, None for a blank one. Raises ConditionTextError."""
    parser = _Parser(text, validate)
    if parser.current.kind == "end":
        return None
    condition = parser.condition(0)
    if parser.current.kind != "end":
        raise parser.fault(f"expected and, or or the end, not {parser.current.text}")
    parser.check(condition, parser.tokens[0])
    return condition


def simplify(condition: Any) -> Any:
    """The same condition without groups of one part and with the value of `exists` spelled out."""
    match condition:
        case {"all": [only]} | {"any": [only]}:
            return simplify(only)
        case {"all": parts}:
            return {"all": [simplify(part) for part in parts]}
        case {"any": parts}:
            return {"any": [simplify(part) for part in parts]}
        case {"not": part}:
            return {"not": simplify(part)}
        case {"did": _}:
            where = simplify(condition.get("where"))
            return {**condition, "where": where} if where else {k: v for k, v in condition.items() if k != "where"}
        case {"op": "exists"}:
            return {"value": True, **condition}
    return condition or None


def _write(condition: dict[str, Any]) -> str:
    match condition:
        case {"all": parts}:
            return " and ".join(map(_write_part, parts))
        case {"any": parts}:
            return " or ".join(map(_write_part, parts))
        case {"not": part}:
            return f"not {_write_part(part)}"
        case {"did": _}:
            return _write_count(condition)
    return _write_comparison(condition["field"], condition["op"], condition["value"])


def _write_part(part: dict[str, Any]) -> str:
    return f"({_write(part)})" if "all" in part or "any" in part else _write(part)


def _write_count(count: dict[str, Any]) -> str:
    name = json.dumps(count["did"], ensure_ascii=False)
    lately = f" within {json.dumps(count['within_days'])} days" if "within_days" in count else ""
    where = f" where {_write_part(count['where'])}" if "where" in count else ""
    return f"did {name} {_WORDS_OF[count['op']]} {json.dumps(count['value'])} times{lately}{where}"


def _write_comparison(field: str, op: str, value: Any) -> str:
    plain = _PLAIN_FIELD.fullmatch(field) and field.lower() not in _RESERVED
    name = field if plain else f"`{field.replace('`', '``')}`"
    if op == "exists":
        return f"{name} exists" if value else f"{name} missing"
    written = json.dumps(value, ensure_ascii=False)
    return f"{name} within {written} days" if op == "within_days" else f"{name} {_WORDS_OF[op]} {written}"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


class _Parser:
    def __init__(self, text: str, validate: Callable[[Any], None]) -> None:
        self.text, self.validate = text, validate
        self.tokens = self._split()
        self.position = 0

    @property
    def current(self) -> _Token:
        return self.tokens[self.position]

    def condition(self, depth: int) -> dict[str, Any]:
        if depth > _MAX_NESTING:
            raise self.fault("is nested too deep")
        return self._series("any", "or", depth)

    def fault(self, message: str, token: _Token | None = None) -> ConditionTextError:
        return self._fault_at(message, (token or self.current).start)

    def check(self, condition: dict[str, Any], token: _Token) -> None:
        try:
            self.validate(condition)
        except ConditionError as error:
            raise self.fault(error.message, token) from error

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        while at < len(self.text):
            found = _TOKEN.match(self.text, at)
            if found is None:
                raise self._fault_at(self._unreadable(self.text[at]), at)
            if found.lastgroup != "space":
                tokens.append(_Token(str(found.lastgroup), found.group(), at))
            at = found.end()
        return [*tokens, _Token("end", "the end", len(self.text.rstrip()))]

    def _unreadable(self, character: str) -> str:
        if character in '"`':
            return f"this {character} is never closed"
        if character == "'":
            return "texts stand in double quotes"
        return f"{character} has no meaning here"

    def _fault_at(self, message: str, at: int) -> ConditionTextError:
        before = self.text[:at]
        return ConditionTextError(message, before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1)

    def _series(self, group: str, word: str, depth: int) -> dict[str, Any]:
        parts = [self._part_of(group, depth)]
        while self._take(word):
            parts.append(self._part_of(group, depth))
        return parts[0] if len(parts) == 1 else {group: parts}

    def _part_of(self, group: str, depth: int) -> dict[str, Any]:
        return self._series("all", "and", depth) if group == "any" else self._part(depth)

    def _part(self, depth: int) -> dict[str, Any]:
        if depth > _MAX_NESTING:
            raise self.fault("is nested too deep")
        if self._take("not"):
            return {"not": self._part(depth + 1)}
        if self._take("("):
            inner = self.condition(depth + 1)
            self._expect(")")
            return inner
        following = self.tokens[self.position + 1] if self.current.text.lower() == "did" else None
        return self._count(depth) if following is not None and following.kind == "text" else self._comparison()

    def _count(self, depth: int) -> dict[str, Any]:
        at = self.current
        self._expect("did")
        count = {"did": self._value(), "op": self._symbol(), "value": self._value()}
        self._expect("times")
        if self._take("within"):
            count["within_days"] = self._value()
            self._expect("days")
        if self._take("where"):
            count["where"] = self._part(depth + 1)
        self.check(count, at)
        return count

    def _symbol(self) -> str:
        token = self.current
        if token.text not in SYMBOLS:
            raise self.fault(f"expected one of {' '.join(SYMBOLS)}, not {token.text}")
        self.position += 1
        return SYMBOLS[token.text]

    def _comparison(self) -> dict[str, Any]:
        field = self._field()
        op, after_op = self._operator(), self.current
        if op in ("exists", "missing"):
            leaf = {"field": field.text, "op": "exists", "value": op == "exists"}
        elif op == "within_days":
            leaf = {"field": field.text, "op": op, "value": self._value()}
            self._expect("days")
        else:
            leaf = {
                "field": field.text,
                "op": op,
                "value": self._list() if OPERATORS[op].takes == "list" else self._value(),
            }
        try:
            validate(leaf)
        except ConditionError as error:
            at = field if error.path == "field" else after_op
            raise self.fault(error.message, at) from error
        return leaf

    def _field(self) -> _Token:
        token = self.current
        if token.kind == "field":
            self.position += 1
            return _Token("field", token.text[1:-1].replace("``", "`"), token.start)
        if token.kind != "word" or token.text.lower() in _RESERVED:
            raise self.fault(f"expected a field such as plan or user.email, not {token.text}")
        self.position += 1
        return token

    def _operator(self) -> str:
        token = self.current
        if token.text in SYMBOLS:
            self.position += 1
            return SYMBOLS[token.text]
        for words, op in PHRASES.items():
            if self._take(*words):
                return op
        if self._take("within"):
            return "within_days"
        if self._take("exists") or self._take("missing"):
            return token.text.lower()
        raise self.fault(f"expected a comparison such as =, in, contains or exists, not {token.text}")

    def _list(self) -> list[Any]:
        self._expect("[")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect("]")
        return values

    def _value(self) -> Any:
        token = self.current
        if token.kind in ("text", "number") or token.text in ("true", "false"):
            try:
                value = json.loads(token.text, strict=False)
            except ValueError as error:
                raise self.fault(f"{token.text} can't be read as JSON") from error
            self.position += 1
            return value
        raise self.fault(f"expected a text in double quotes, a number, true or false, not {token.text}")

    def _take(self, *words: str) -> bool:
        following = self.tokens[self.position : self.position + len(words)]
        if tuple(token.text.lower() for token in following if token.kind in ("word", "mark")) != words:
            return False
        self.position += len(words)
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self.fault(f"expected {word}, not {self.current.text}")
