"""The admin: the builder, and pages to see what happened. Thin: it parses, calls, and shows."""

from journeys.admin import (
    accounts,
    audience,
    breakers,
    caps,
    dead_letters,
    journeys,
    message_templates,
    runs,
    segments,
    sent,
)  # fmt: skip

__all__ = [
    "accounts", "audience", "breakers", "caps", "dead_letters", "journeys", "message_templates", "runs", "segments",
    "sent",
]  # fmt: skip
