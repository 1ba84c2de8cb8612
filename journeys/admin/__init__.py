"""The admin: the builder, and pages to see what happened. Thin: it parses, calls, and shows."""

from journeys.admin import accounts, audience, breakers, dead_letters, journeys, message_templates, runs, segments, sent

__all__ = [
    "accounts", "audience", "breakers", "dead_letters", "journeys", "message_templates", "runs", "segments", "sent",
]  # fmt: skip
