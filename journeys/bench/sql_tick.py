"""The referee of inside steps: what somebody who knows PostgreSQL would write by hand for this one journey.

One statement a batch takes due runs and writes the same rows as the engine: executions, tags, counts, the runs
themselves. It knows the condition by heart and has nothing to decide, retry or fail.
"""

from datetime import datetime

from django.db import connection, transaction

TICK = """
WITH due AS MATERIALIZED (
    SELECT r.id, r.contact_id, r.journey_id, r.current_step_id
    FROM user_journeys r
    WHERE r.status = 'active' AND r.due_at <= %(now)s AND (r.lease_until IS NULL OR r.lease_until < clock_timestamp())
    ORDER BY r.due_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
), taken AS MATERIALIZED (
    SELECT due.*, c.attributes ->> 'plan' = 'premium' AS holds, s.action_config ->> 'tag' AS tag, next.id AS next_id,
        %(now)s::timestamptz + next.delay_minutes * interval '1 minute' AS next_due_at,
        (substr(due.id::text, 1, 14) || '8' || substr(hash, 1, 3) || '-8' || substr(hash, 4, 15))::uuid AS execution_id
    FROM due
    JOIN contacts c ON c.id = due.contact_id
    JOIN journey_steps s ON s.id = due.current_step_id
    JOIN journey_steps next ON next.journey_id = s.journey_id AND next."order" = s."order" + 1
    CROSS JOIN LATERAL (SELECT md5(due.id::text || s.id::text)) AS hashed (hash)
), executed AS (
    INSERT INTO step_executions (id, user_journey_id, step_id, status, executed_at, completed_at, result,
        error_message, retry_count, created_at)
    SELECT execution_id, id, current_step_id, CASE WHEN holds THEN 'success' ELSE 'skipped' END, %(now)s, %(now)s,
        jsonb_build_object('status', 'applied', 'tag', tag), '', 0, %(now)s
    FROM taken
), tagged AS (
    INSERT INTO contact_tags (contact_id, tag_id, execution_id, applied_at)
    SELECT taken.contact_id, tags.id, taken.execution_id, %(now)s
    FROM taken JOIN tags ON tags.name = taken.tag WHERE taken.holds
    ON CONFLICT DO NOTHING
), counted AS (
    INSERT INTO tallies (journey_id, step_id, what, count, at)
    SELECT journey_id, current_step_id, CASE WHEN holds THEN 'success' ELSE 'skipped' END, count(*), %(now)s
    FROM taken GROUP BY 1, 2, 3
)
UPDATE user_journeys r SET current_step_id = taken.next_id, step_due_at = taken.next_due_at, due_at = taken.next_due_at,
    previous_ended_at = %(now)s, attempts = 0, updated_at = %(now)s
FROM taken WHERE r.id = taken.id
"""


def tick(now: datetime, limit: int) -> int:
    """One batch, in a transaction of its own; how many steps were taken."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TICK, {"now": now, "limit": limit})
        return int(cursor.rowcount)
