"""Journeys that steps start: names become ids, circles without a wait are refused, and what is started stays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from journeys.actions.starting import id_in
from journeys.authoring.faults import Fault
from journeys.engine.starting import lock_starts
from journeys.logic.circles import circle, started_at_once
from journeys.models import Journey, JourneyStep

KIND = "start_journey"


def ids_of(named: Iterable[str]) -> dict[str, UUID]:
    """The ids of journeys by what a document calls them: their id, or their name. Those that there are."""
    wanted = set(named)
    if not wanted:
        return {}
    ids = {text: key for text in wanted if (key := id_in(text)) is not None}
    by_id = set(Journey.objects.filter(id__in=ids.values()).values_list("id", flat=True))
    by_name = dict(Journey.objects.filter(name__in=wanted).values_list("name", "id"))
    return by_name | {text: key for text, key in ids.items() if key in by_id}


class JourneyInUse(Exception):
    """Other journeys start this one."""

    def __init__(self, names: Sequence[str]) -> None:
        quoted = ", ".join(f"“{name}”" for name in names)
        super().__init__(f"is started by {quoted}: take that step out first")


def keep_if_started(journey_id: UUID) -> None:
    """Raise JourneyInUse if another journey starts this one; until the transaction ends, none comes to."""
    lock_starts()
    users = JourneyStep.objects.filter(archived_at=None, action_type=KIND, action_config__journey=str(journey_id))
    others = users.exclude(journey_id=journey_id).order_by("journey__name").values_list("journey__name", flat=True)
    if names := list(dict.fromkeys(others)):
        raise JourneyInUse(names)


def faults_of_starts(journey_id: UUID, definition: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the journeys that a definition starts, as it is about to be published.

    Whoever publishes at the same time waits: two halves of a circle must not be published at once.
    """
    placed = list(_placed(definition["steps"], "steps"))
    if not placed:
        return []
    lock_starts()
    names = {str(key): name for key, name in Journey.objects.values_list("id", "name")}
    gone = [Fault(path, "is a journey that was deleted meanwhile") for path, target in placed if target not in names]
    return gone or list(_circles(journey_id, definition, placed, names))


def _circles(
    journey_id: UUID, definition: Mapping[str, Any], placed: Sequence[tuple[str, str]], names: Mapping[str, str]
) -> Iterator[Fault]:
    own = str(journey_id)
    starts = {**_starts_of_others(journey_id), own: started_at_once(definition["steps"])}
    for path, target in placed:
        if target in starts[own] and (way := circle(own, {**starts, own: {target}})):
            round_trip = " → ".join(names.get(key, key) for key in way)
            yield Fault(
                path,
                f"makes a circle in which nobody waits: {round_trip}. Put a delay or a wait on the way round",
            )


def _starts_of_others(journey_id: UUID) -> dict[str, set[str]]:
    """What the live versions of other journeys start at once, by their ids."""
    starting = JourneyStep.objects.filter(archived_at=None, action_type=KIND).values("journey_id")
    rows = Journey.objects.filter(id__in=starting, live_version__isnull=False).exclude(id=journey_id)
    return {
        str(key): started_at_once(definition["steps"])
        for key, definition in rows.values_list("id", "live_version__definition")
    }


def _placed(steps: Sequence[Mapping[str, Any]], at: str) -> Iterator[tuple[str, str]]:
    """Each step that starts a journey: the path of its field, and the id of that journey."""
    for index, step in enumerate(steps):
        path = f"{at}[{index}]"
        if step["action_type"] == KIND:
            yield f"{path}.action_config.journey", step["action_config"]["journey"]
        for number, lane in enumerate(step.get("lanes", ())):
            yield from _placed(lane["steps"], f"{path}.lanes[{number}].steps")
