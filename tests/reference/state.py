"""What the reference remembers: journeys, contacts, runs with their executions, and messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.reference.documents import Version
from tests.reference.script import Document

Name = tuple[str, str]
"""A run is known by its contact and its journey."""


@dataclass
class Journey:
    name: str
    trigger: str
    condition: Document | None
    priority: int
    version: Version
    on: bool
    rules: Document
    config: Document
    changed_at: datetime


@dataclass
class Contact:
    created_at: datetime
    columns: dict[str, str] = field(default_factory=lambda: {"telegram_chat_id": "", "timezone": ""})
    attributes: dict[str, Any] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    segments: list[str] = field(default_factory=list)  # As workers found them when they took the last batch.
    chat_is_dead: bool = False


@dataclass
class Execution:
    status: str
    at: datetime
    tries: int
    note: str = ""
    message: "Message | None" = None


@dataclass
class Message:
    to: str
    text: str
    created_at: datetime
    counts: bool = False  # For frequency caps.
    status: str = "pending"
    sent_at: datetime | None = None


@dataclass(frozen=True)
class Came:
    """An event, and from when on it counts for who waits for one."""

    event: str
    properties: Mapping[str, Any]
    received_at: datetime


@dataclass
class Run:
    name: Name
    version: Version
    properties: Mapping[str, Any]
    started_at: datetime
    at: str | None
    meant_for: datetime
    due: datetime | None
    previous_ended_at: datetime
    parked: datetime | None = None
    status: str = "active"
    ended_at: datetime | None = None
    why: str = ""
    last: str | None = None  # The step that it was at last.
    tries: int = 0
    deaths: int = 0
    taken: bool = False  # A worker took it, and has not said what became of it.
    put_off: bool = False  # What it has to send waits for its hours.
    held: bool = False  # And may still say so.
    began_with: Came | None = None
    goal_at: datetime | None = None
    leaves: str | None = None  # Why it ends when a worker next has it.
    listens: tuple[str, datetime] | None = None  # It waits for that event; which counts from then on.
    capped: datetime | None = None  # Frequency caps hold its message back until then.
    executions: dict[str, Execution] = field(default_factory=dict)

    @property
    def sending(self) -> Message | None:
        execution = self.executions.get(self.at or "")
        return execution.message if execution and execution.status == "pending" else None
