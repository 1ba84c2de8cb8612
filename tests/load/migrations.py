"""`make migrations-under-load`: apply every migration after the first to a million rows while others write.

Makes a database of its own at 0001, fills it, and lets writers and a reader go on, with the statements of an engine
that was not restarted yet, while `migrate` runs. Prints one JSON object; ends with 1 where anybody was blocked for over
two seconds, or anything failed or was lost.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import django
import psycopg
from psycopg import sql

DATABASE = f"journeys_migrations_{os.getpid()}"
MOST_SECONDS = 2.0
WRITERS = 3
BATCH = 20
NOW = datetime(2026, 3, 1, tzinfo=UTC)

# Ids as the engine makes them: a moment in the first 48 bits. The rows lie in the year before NOW.
ID = (
    "(lpad(to_hex({milliseconds}), 12, '0') || '7' || substr(md5({salt} || n::text), 1, 3) || '8' || "
    "substr(md5({salt} || n::text), 4, 15))::uuid"
)
FILL = (
    "INSERT INTO contacts (id, user_id, email, telegram_chat_id, timezone, locale, attributes, is_test, created_at, "
    "updated_at) SELECT {contact}, 'u' || n, '', '', '', '', '{{}}', false, now(), now() "
    "FROM generate_series(0, {rows} / 10 - 1) n",
    "INSERT INTO journeys (id, name, description, trigger_type, trigger_config, is_active, priority, created_at, "
    "updated_at) SELECT md5('j' || n)::uuid, 'j' || n, '', 't', '{{}}', true, 0, now(), now() "
    "FROM generate_series(0, 9) n",
    'INSERT INTO journey_steps (id, journey_id, key, name, "order", action_type, action_config, delay_minutes, '
    "on_failure, is_active, created_at, updated_at) SELECT md5('s' || n)::uuid, md5('j' || n)::uuid, 's', 's', 0, "
    "'apply_tag', '{{}}', 0, 'continue', true, now(), now() FROM generate_series(0, 9) n",
    "INSERT INTO journey_versions (id, journey_id, number, trigger_type, definition, created_at) "
    "SELECT md5('v' || n)::uuid, md5('j' || n)::uuid, 1, 't', '{{}}', now() FROM generate_series(0, 9) n",
    "INSERT INTO user_journeys (id, contact_id, journey_id, version_id, status, entry_key, event, metadata, "
    "started_at, failure_reason, exit_reason, due_at, previous_ended_at, attempts, deaths, moved, created_at, "
    "updated_at) SELECT {run}, {its_contact}, md5('j' || n % 10)::uuid, md5('v' || n % 10)::uuid, 'active', '', "
    "'{{}}', '{{}}', {at}, '', '', now() + interval '1 year', {at}, 0, 0, false, {at}, {at} "
    "FROM generate_series(0, {rows} - 1) n",
    "INSERT INTO step_executions (id, user_journey_id, step_id, status, executed_at, result, error_message, "
    "retry_count, created_at) SELECT {execution}, {run}, md5('s' || n % 10)::uuid, 'success', {at}, "
    "'{{\"tag\": \"t\"}}', '', 0, {at} FROM generate_series(0, {rows} - 1) n",
    "INSERT INTO events (id, contact_id, name, properties, message_id, source, occurred_at, received_at) "
    "SELECT {event}, {its_contact}, 'signup', '{{\"plan\": \"free\"}}', n, 'api', {at}, {at} "
    "FROM generate_series(0, {rows} - 1) n",
    'INSERT INTO messages (id, contact_id, journey_id, step_id, channel, "to", subject, html, text, payload, status, '
    "error, created_at) SELECT {execution}, {its_contact}, md5('j' || n % 10)::uuid, md5('s' || n % 10)::uuid, "
    "'email', 'a@example.com', 'Hello', '', 'Hello', '{{}}', 'sent', '', {at} FROM generate_series(0, {rows} - 1) n",
)
# What a worker writes, in its order, with the columns of the first migration.
WRITE = (
    "SELECT 1 FROM journeys WHERE id = (SELECT journey_id FROM user_journeys WHERE id = %(run)s) FOR SHARE",
    "SELECT 1 FROM contacts WHERE id = (SELECT contact_id FROM user_journeys WHERE id = %(run)s) FOR NO KEY UPDATE",
    "INSERT INTO step_executions (id, user_journey_id, step_id, status, executed_at, result, error_message, "
    "retry_count, created_at) SELECT unnest(%(ids)s::uuid[]), %(run)s, md5('s1')::uuid, 'success', now(), '{}', '', 0, "
    "now() ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status WHERE step_executions.status = 'pending'",
    "UPDATE user_journeys SET updated_at = now(), attempts = 1 - attempts WHERE id = %(run)s",
)
INGEST = (
    "UPDATE contacts SET last_event_at = now() WHERE id = (SELECT contact_id FROM user_journeys WHERE id = %(run)s)",
    "INSERT INTO events (id, contact_id, name, properties, message_id, source, occurred_at, received_at) "
    "SELECT unnest(%(ids)s::uuid[]), contact_id, 'login', '{}', 'm', 'api', now(), now() FROM user_journeys "
    "WHERE id = %(run)s",
)
READ = (
    "SELECT e.id FROM step_executions e WHERE user_journey_id = %(run)s",
    "SELECT id FROM step_executions ORDER BY executed_at DESC LIMIT 50",
    "SELECT id FROM events ORDER BY id DESC LIMIT 50",
)


@dataclass
class Watch:
    """What the writers and the reader met."""

    transactions: int = 0
    longest: float = 0.0
    written: int = 0
    errors: list[str] = field(default_factory=list)

    def note(self, seconds: float) -> None:
        self.transactions += 1
        self.longest = max(self.longest, seconds)


def expressions(rows: int) -> dict[str, Any]:
    start = int(NOW.timestamp() * 1000) - 365 * 86_400_000
    moment = f"{start} + (n * {365 * 86_400_000 // rows}::bigint)"
    contact = "md5('c' || {})::uuid"
    return {
        "rows": rows,
        "contact": contact.format("n"),
        "its_contact": contact.format("n / 10"),
        "at": f"to_timestamp(({moment}) / 1000.0)",
        "run": ID.format(milliseconds=moment, salt="'r'"),
        "execution": ID.format(milliseconds=moment, salt="'x'"),
        "event": ID.format(milliseconds=moment, salt="'e'"),
    }


def fill(url: str, rows: int) -> list[uuid.UUID]:
    """Fill the database; a few of its runs."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for statement in FILL:
            connection.execute(statement.format(**expressions(rows)).encode())
        connection.execute("VACUUM ANALYZE")
        return [row[0] for row in connection.execute("SELECT id FROM user_journeys ORDER BY id LIMIT 1000")]


@contextmanager
def load(url: str, runs: list[uuid.UUID], watch: Watch) -> Iterator[None]:
    """Writers and a reader, in threads of their own, until the end of the block."""
    stop = threading.Event()

    def work(number: int, statements: tuple[str, ...], rows: int) -> None:
        try:
            with psycopg.connect(url) as connection:
                turn = number
                while not stop.is_set():
                    begun = time.monotonic()
                    parameters = {"run": runs[turn % len(runs)], "ids": [fresh_id() for _ in range(BATCH)]}
                    for statement in statements:
                        connection.execute(statement.encode(), parameters)
                    connection.commit()
                    watch.note(time.monotonic() - begun)
                    watch.written += rows
                    turn += WRITERS
                    stop.wait(0.01)
        except psycopg.Error as error:
            watch.errors.append(str(error))

    kinds: list[tuple[tuple[str, ...], int]] = [(WRITE, BATCH)] * WRITERS + [(INGEST, BATCH), (READ, 0)]
    threads = [threading.Thread(target=work, args=(number, *kind)) for number, kind in enumerate(kinds)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def fresh_id() -> uuid.UUID:
    return uuid.UUID(int=int(time.time() * 1000) << 80 | uuid.uuid4().int & (1 << 80) - 1)


def measure(url: str, rows: int, migrate: Callable[[], None]) -> dict[str, Any]:
    runs = fill(url, rows)
    before, during = Watch(), Watch()
    with load(url, runs, before):
        time.sleep(5)
    begun = time.monotonic()
    with load(url, runs, during):
        time.sleep(1)
        migrate()
        seconds = time.monotonic() - begun
        time.sleep(1)
    with psycopg.connect(url) as connection:
        counted = connection.execute(
            "SELECT (SELECT count(*) FROM step_executions) + (SELECT count(*) FROM events)"
        ).fetchone()
    assert counted is not None
    return {
        "rows": rows,
        "migrate_seconds": round(seconds, 1),
        "transactions": during.transactions,
        "longest_block_seconds": round(during.longest, 3),
        "longest_before_seconds": round(before.longest, 3),
        "lost": 2 * rows + before.written + during.written - counted[0],
        "errors": before.errors + during.errors,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="in each of the tables that grow")
    rows = parser.parse_args().rows
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from django.db import connection

    parameters = connection.get_connection_params()
    parameters = {name: parameters[name] for name in ("host", "port", "user", "password") if name in parameters}
    server = psycopg.conninfo.make_conninfo("", **parameters, dbname="postgres")
    own = psycopg.conninfo.make_conninfo("", **parameters, dbname=DATABASE)
    name = sql.Identifier(DATABASE)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            begin()
            report = measure(own, rows, lambda: migrate({**parameters, "dbname": DATABASE}))
        finally:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
    sys.stdout.write(json.dumps(report) + "\n")
    sys.exit(bool(report["errors"] or report["lost"] or report["longest_block_seconds"] > MOST_SECONDS))


def begin() -> None:
    """The first migration of ours, and all of others; without the signals, whose receivers want the tables of today."""
    from django.db import connections
    from django.db.migrations.executor import MigrationExecutor

    connections.databases["load"] = {**connections.databases["default"], "NAME": DATABASE}
    executor = MigrationExecutor(connections["load"])
    others = [node for node in executor.loader.graph.leaf_nodes() if node[0] != "journeys"]
    executor.migrate([*others, ("journeys", "0001_initial")])
    connections["load"].close()


def migrate(parameters: dict[str, Any]) -> None:
    """`manage.py migrate` in a process of its own."""
    from tests.workers import url_of

    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v", "0"],
        check=True,
        env={**os.environ, "DATABASE_URL": url_of(parameters)},
    )


if __name__ == "__main__":
    main()
