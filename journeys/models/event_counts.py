"""How often contacts did something, as a condition on a set of contacts."""

from datetime import datetime

from django.db.models import BooleanField, Count, Exists, F, OuterRef, Q, QuerySet, Subquery

from journeys.logic.ids import EPOCH, earliest_id
from journeys.models.runtime import Event
from journeys.models.sql_values import Sql

OPPOSITES = {"eq": "ne", "ne": "eq", "gt": "lte", "lte": "gt", "gte": "lt", "lt": "gte"}
AT_ALL = {("gte", 1), ("gt", 0), ("ne", 0)}


def did(name: str, op: str, times: int, since: datetime | None, where: Q) -> Q:
    """The contacts with so many events of that name since then of which `where` holds.

    What holds for those without any event is told by the others: nobody is listed who did nothing.
    """
    events = Event.objects.filter(where, name=name)
    if since is not None:
        since = max(since, EPOCH)  # Nothing occurs before 1970.
        # Nothing is received before it occurred, nor has a smaller id: the one is for the index, the other for months.
        events = events.filter(occurred_at__gte=since, received_at__gte=since, id__gte=earliest_id(since))
    if _holds_for_none(op, times):
        return ~_doers(OPPOSITES[op], times, events)
    return _doers(op, times, events)


def _holds_for_none(op: str, times: int) -> bool:
    return {"eq": times == 0, "ne": times != 0, "gt": False, "gte": times == 0, "lt": times > 0, "lte": True}[op]


def _doers(op: str, times: int, events: QuerySet[Event]) -> Q:
    """Those who did it, and so often: grouped inside EXISTS, which PostgreSQL joins as a whole or for one contact."""
    if (op, times) in AT_ALL:
        return Q(Exists(events.filter(contact=OuterRef("pk"))))
    counted = events.order_by().values("contact_id").annotate(times=Count("id"))
    so_often = Q(**{"times" if op in ("eq", "ne") else f"times__{op}": times})
    doers = Subquery(counted.filter(~so_often if op == "ne" else so_often).values("contact_id"))
    sql = "EXISTS (SELECT FROM $2 AS doers WHERE doers.contact_id = $1)"
    return Q(Sql(sql, F("pk"), doers, output_field=BooleanField()))
