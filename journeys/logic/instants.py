"""Which strings are dates, and the instant each one means.

JSON has no dates, so an ISO 8601 string is one. SQL must agree to the letter with Python about which strings
count (journeys.models.matching uses the same pattern), hence a pattern narrower than either parser: no hour
24, no second 60, no offset past 14:59, no word such as `now`.
"""

import re
from datetime import UTC, datetime

ISO_INSTANT = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])?)?"
)
_ISO_INSTANT = re.compile(ISO_INSTANT)


def parse_instant(text: str) -> datetime | None:
    """The instant that `text` names, or None. A date is its midnight, and what names no zone is in UTC."""
    # The pattern costs more than this look, and most strings are no dates.
    if len(text) < 10 or text[4] != "-" or not _ISO_INSTANT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # the 30th of February
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def iso(moment: datetime) -> str:
    """How facts spell an instant: UTC, always with microseconds, so that equal instants are equal strings."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
