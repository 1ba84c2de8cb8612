"""Contacts and runs for a bench, by the hundred thousand."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from journeys.authoring.document import parse
from journeys.authoring.publish import create_journey
from journeys.models import Contact, Journey

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
PREMIUM = {"field": "plan", "op": "eq", "value": "premium"}

# A UUIDv7 of the moment `at`, as journeys/logic/ids.py makes it.
_ID = (
    "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || "
    "substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid"
)


def journey(name: str, steps: Sequence[Mapping[str, Any]], trigger_type: str = "signup") -> Journey:
    document = {"name": name, "trigger_type": trigger_type, "steps": [dict(step) for step in steps]}
    return create_journey(parse(document), by=None, now=START - 30 * DAY)


def tag_steps(count: int, name: str) -> list[dict[str, Any]]:
    """A step a day: a condition that looks at the contact, and a tag of its own."""
    return [
        {
            "name": f"Step {number}",
            "action_type": "apply_tag",
            "action_config": {"tag": f"{name}-{number}"},
            "delay_minutes": 24 * 60,
            "condition": PREMIUM,
        }
        for number in range(count)
    ]


def contacts(count: int, prefix: str) -> None:
    """Contacts who came over the last month."""
    _execute(
        "INSERT INTO contacts (id, user_id, email, telegram_chat_id, timezone, locale, attributes, is_test, "
        f"created_at, updated_at) SELECT {_ID}, %(prefix)s || n, %(prefix)s || n || '@example.com', '', "
        """'Europe/Berlin', 'en', '{"plan": "premium", "first_name": "Ada", "balance": 120}', """
        "false, at, at FROM (SELECT n, %(start)s + n * %(month)s / %(count)s AS at "
        "FROM generate_series(1, %(count)s) AS n) AS made",
        {"prefix": prefix, "count": count, "start": START - 31 * DAY, "month": 30 * DAY},
    )


def events(count: int, names: Sequence[str], since: timedelta) -> None:
    """Events of those names, of any of the contacts, over that time until the start."""
    _execute(
        "INSERT INTO events (id, contact_id, name, properties, message_id, source, occurred_at, received_at) "
        f"SELECT {_ID}, c.id, (%(names)s::text[])[1 + n %% %(kinds)s], jsonb_build_object('amount', n %% 200), "
        "'m' || n, 'api', at, at FROM (SELECT n, %(start)s - random() * %(since)s AS at, "
        "1 + floor(random() * people)::bigint AS whose FROM generate_series(1, %(count)s) AS n, "
        "(SELECT count(*) AS people FROM contacts) AS all_people) AS made "
        "JOIN (SELECT id, row_number() OVER (ORDER BY id) AS number FROM contacts) AS c ON c.number = made.whose",
        {"names": list(names), "kinds": len(names), "count": count, "start": START, "since": since},
    )


def runs(of: Journey, prefix: str, first_due: datetime, spread: timedelta = timedelta(0)) -> None:
    """A run for each of those contacts, waiting for the first step, due from `first_due` on over `spread`.

    Who came first is not due first: after a while, delays have mixed them.
    """
    first = of.steps.order_by("order").values_list("id", flat=True)[0]
    _execute(
        "INSERT INTO user_journeys (id, contact_id, journey_id, version_id, status, current_step_id, entry_key, "
        "event, metadata, started_at, failure_reason, exit_reason, due_at, step_due_at, previous_ended_at, attempts, "
        f"deaths, moved, created_at, updated_at) SELECT {_ID}, contact_id, %(journey)s, %(version)s, 'active', "
        """%(step)s, '', '{"name": "signup", "message_id": "m"}', jsonb_build_object('source', 'shop', 'due', due), """
        "at, '', '', due, due, at, 0, 0, false, at, at FROM (SELECT id AS contact_id, created_at AS at, "
        "%(due)s + random() * %(spread)s AS due FROM contacts WHERE user_id LIKE %(prefix)s || '%%' "
        "ORDER BY id) AS made",
        {
            "journey": of.id, "version": of.live_version_id, "step": first, "due": first_due, "spread": spread,
            "prefix": prefix,
        },
    )  # fmt: skip


def let_wait(event: str) -> None:
    """Let all runs wait for that event, since an hour."""
    _execute(
        "UPDATE user_journeys SET awaits_event = %(event)s, listens_from = %(since)s",
        {"event": event, "since": START - timedelta(hours=1)},
    )


def user_ids(prefix: str) -> list[str]:
    """Those contacts, in no order."""
    return list(Contact.objects.filter(user_id__startswith=prefix).order_by("?").values_list("user_id", flat=True))


def _execute(statement: str, parameters: Mapping[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
