"""The minute job costs what there is to do, not what waits."""

from datetime import timedelta

import pytest
from django.db import connection

from journeys.authoring.publish import set_active
from journeys.bench import population
from journeys.bench.population import DAY, START
from journeys.engine.housekeeping import ASTRAY, _astray, minute
from journeys.engine.parking import park
from journeys.engine.sql import query
from journeys.models import Journey, UserJourney


@pytest.mark.django_db
def test_no_run_that_is_where_its_switch_says_is_looked_at():
    for name in ("on", "off"):
        journey = population.journey(name, population.tag_steps(2, name))
        population.contacts(3_000, f"{name}-")
        population.runs(journey, f"{name}-", START + DAY, timedelta(days=30))
        if name == "off":
            set_active(journey.id, False, None, START)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE user_journeys, journeys")
    assert _astray() == []
    plan = [line for (line,) in query(f"EXPLAIN {ASTRAY}")]
    assert any("runs_journey_parked" in line for line in plan)
    assert any("Index Cond" in line and "(due_at IS NULL) = j.is_active" in line for line in plan)


@pytest.mark.django_db
def test_runs_that_stayed_parked_although_their_journey_is_on_come_back():
    journey = population.journey("on", population.tag_steps(2, "on"))
    population.contacts(10, "on-")
    population.runs(journey, "on-", START + DAY)
    Journey.objects.update(is_active=False)
    assert park(journey.id) == 10
    Journey.objects.update(is_active=True)
    minute(START)
    assert UserJourney.objects.filter(due_at=START + DAY, parked_due_at=None).count() == 10
