"""What machines ask: is the process alive, is the service ready, and how is it doing. None needs a login."""

import hmac
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from journeys.checks import unconfigured_channels
from journeys.engine.clock import database_clock
from journeys.metrics import registry
from journeys.models import Heartbeat

SILENCE = timedelta(seconds=60)
"""Without a tick for so long, nobody works off what is due."""


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Database, migrations and the last tick; 503 when one of them is not well. Warnings don't make it unready."""
    try:
        checks, warnings = _checks(), _warnings()
    except OperationalError:  # The text may hold the address and the account, which are not for everyone.
        return JsonResponse({"status": "unavailable", "database": "cannot be reached"}, status=503)
    ready = all(value == "ok" for value in checks.values())
    body = {"status": "ok" if ready else "unavailable", **checks, "warnings": warnings}
    return JsonResponse(body, status=200 if ready else 503)


def _checks() -> dict[str, Any]:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        return {"database": "ok", "migrations": f"{len(pending)} not applied"}
    tick = Heartbeat.objects.filter(name="tick").first()
    if tick is None:
        last = "never: no worker has run yet"
    else:
        age = database_clock() - tick.at
        last = "ok" if age < SILENCE else f"{int(age.total_seconds())} s ago: is the worker running?"
    return {"database": "ok", "migrations": "ok", "last_tick": last}


def _warnings() -> list[str]:
    return [
        f"{missing} is not set, but {kind} is used by {', '.join(j)}" for kind, missing, j in unconfigured_channels()
    ]


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus's text: the journeys' numbers from the database, and this process's own."""
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return HttpResponse(
            "METRICS_TOKEN: a bearer token is needed\n", status=401, headers={"WWW-Authenticate": "Bearer"}
        )
    text = generate_latest(registry(database_clock())) + generate_latest(REGISTRY)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)
