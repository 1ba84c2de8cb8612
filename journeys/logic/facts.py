"""What conditions and templates look at: the contact, the event that started the run, metadata and tags."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from journeys.logic.instants import iso

CONTACT_COLUMNS = (
    "user_id",
    "email",
    "telegram_chat_id",
    "timezone",
    "locale",
    "created_at",
    "last_event_at",
)
"""Names that mean a column of the contact in `user.*`, whatever its attributes hold."""
_COLUMNS = frozenset(CONTACT_COLUMNS)


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING


class Lazy(Mapping[str, Any]):
    """A mapping that is made when somebody first looks into it: most runs never ask for their event."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make = make
        self._made: Mapping[str, Any] | None = None

    @property
    def _content(self) -> Mapping[str, Any]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, name: str) -> Any:
        return self._content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


class ContactFacts(Mapping[str, Any]):
    """The contact as `Facts.user`: attributes, over them the columns, and `attributes` on their own.

    Columns are CONTACT_COLUMNS by name; an instant becomes text, and an empty text is a missing value. Most conditions
    ask for one thing, so nothing is copied, and what is there is made when it is asked for.
    """

    __slots__ = ("_attributes", "_columns")

    def __init__(self, attributes: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
        self._attributes, self._columns = attributes, columns

    def with_attributes(self, attributes: Mapping[str, Any]) -> "ContactFacts":
        """The same contact with these attributes."""
        return ContactFacts(attributes, self._columns)

    def __getitem__(self, name: str) -> Any:
        if name == "attributes":
            return self._attributes
        if name not in _COLUMNS:
            return self._attributes[name]
        value = self._columns.get(name)
        return iso(value) if isinstance(value, datetime) else value or None

    def __iter__(self) -> Iterator[str]:
        return iter({**self._attributes, **dict.fromkeys(CONTACT_COLUMNS), "attributes": None})

    def __len__(self) -> int:
        return len({*self._attributes, *CONTACT_COLUMNS, "attributes"})


@dataclass(slots=True, eq=False)  # Not frozen, which takes three times as long to make; nobody changes one.
class Facts:
    """One contact at one moment. Build `user` with `ContactFacts` and `event` with `event_mapping`."""

    user: Mapping[str, Any]
    event: Mapping[str, Any]
    metadata: Mapping[str, Any]
    tags: frozenset[str]
    now: datetime
    segments: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise ValueError("now: must be an instant with a time zone")

    def look_up(self, path: str) -> Any:
        """What a dotted path names, or MISSING. A JSON null is missing too.

        `user.*` is the contact, `event.*` the event, `tags` (or `user.tags`) the sorted list of tags, `segments` those
        segments that the journey asks for and the contact is in; any
        other path is looked for in the metadata, then in the contact's attributes.
        """
        return finder(path)(self)


def finder(path: str) -> Callable[[Facts], Any]:
    """`look_up` of that path, as a function: for who looks it up in the facts of many."""
    segments = path.split(".")
    match segments:
        case ["tags"] | ["user", "tags"]:
            return lambda facts: sorted(facts.tags)
        case ["segments"]:
            return lambda facts: sorted(facts.segments)
        case ["tags", *_] | ["user", "tags", *_]:
            return lambda facts: MISSING
        case ["user", *rest]:
            return lambda facts: _descend(facts.user, rest)
        case ["event", *rest]:
            return lambda facts: _descend(facts.event, rest)

    def find(facts: Facts) -> Any:
        found = _descend(facts.metadata, segments)
        return found if found is not MISSING else _descend(facts.user.get("attributes"), segments)

    return find


def event_mapping(name: str, message_id: str, occurred_at: datetime, properties: Mapping[str, Any]) -> dict[str, Any]:
    """An event as `Facts.event`: `event.plan` finds the property, `event.name` always the event's name."""
    own = {"name": name, "message_id": message_id, "occurred_at": iso(occurred_at)}
    return {**properties, **own, "properties": properties}


def _descend(value: Any, segments: Sequence[str]) -> Any:
    for segment in segments:
        if type(value) is not dict and not isinstance(value, Mapping):
            return MISSING
        value = value.get(segment)
    return MISSING if value is None else value
