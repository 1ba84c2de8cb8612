"""The same world, in the engine and in the reference, compared after each move."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pprint import pformat

from django.db import transaction

from journeys.logic.entry import is_held_out
from journeys.logic.split import choose
from tests.reference.comparison import differences, of_engine, of_reference, unconserved
from tests.reference.engine import Engine
from tests.reference.interpreter import Disorder, Reference
from tests.reference.script import (
    ByHand,
    Capped,
    Changed,
    Edited,
    Forgotten,
    Happens,
    Looked,
    Move,
    Passes,
    Removed,
    Ruled,
    Switched,
    Tidied,
    Together,
    Works,
    World,
)  # fmt: skip

LAST_ROUNDS = 8
"""How often, after the last move, time passes until something is due and workers do it."""


class Disagreement(AssertionError):
    """The engine and the reference differ, or something is lost."""


def play(world: World) -> Reference:
    """Play a world on both sides; the reference as it is at the end. What it did to the database is undone."""
    engine, reference = Engine(world), Reference(world, choose, is_held_out)
    with engine.rigged(), transaction.atomic():
        _play(world, engine, reference)
        transaction.set_rollback(True)
    return reference


def _play(world: World, engine: Engine, reference: Reference) -> None:
    for side in (engine, reference):
        for user, changes in world.people.items():
            side.change(user, changes)
        for journey in world.journeys:
            side.create(journey)
    past: list[str] = []
    for move in (*world.moves, *[Passes(), Works()] * LAST_ROUNDS):
        past.append(f"{engine.now:%m-%d %H:%M}  {move}")
        if faults := _faults_of(move, engine, reference):
            raise Disagreement("\n".join([pformat(world, width=120), "", *past, "", *faults]))
        if len(past) > len(world.moves) and reference.next_due() is None:
            break


def _faults_of(move: Move, engine: Engine, reference: Reference) -> list[str]:
    """Make a move on both sides; what is wrong then."""
    try:
        _move(move, engine, reference)
    except Disorder as disorder:
        return [str(disorder)]
    if isinstance(move, Passes):
        return []
    tables = of_engine(engine)
    return differences(tables, of_reference(reference)) + unconserved(tables)


def _move(move: Move, engine: Engine, reference: Reference) -> None:
    match move:
        case Passes(minutes):
            now = engine.now + timedelta(minutes=minutes) if minutes is not None else reference.next_due()
            engine.now = reference.now = max(engine.now, now or engine.now)
        case Works(limit, dies, meanwhile):
            engine.work(limit, dies, _once(engine, meanwhile))
            turns = iter(engine.turns)
            reference.work(limit, dies, turns, _once(reference, meanwhile))
            if unexpected := list(turns):
                raise Disorder(f"nothing was due, and yet the engine took {unexpected}")
        case _:
            for side in (engine, reference):
                _happens(side, move)


def _once(side: Engine | Reference, moves: Iterable[Move]) -> Callable[[], None]:
    """What does these moves when it is first called."""
    left = list(moves)

    def happen() -> None:
        while left:
            _happens(side, left.pop(0))

    return happen


def _happens(side: Engine | Reference, move: Move) -> None:
    """What comes from outside; what it would be about may be gone."""
    match move:
        case Happens():
            side.happen([move])
        case Together(events):
            side.happen(events)
        case Changed(user, changes):
            side.change(user, changes)
        case Forgotten(user):
            side.forget(user)
        case Tidied():
            side.tidy()
        case Capped(caps):
            side.cap(caps)
        case Looked():
            side.look()
        case Edited(journey) | Ruled(journey) | Switched(journey) | Removed(journey) | ByHand(journey) if not side.has(
            journey
        ):
            pass
        case ByHand(journey, users):
            side.by_hand(journey, users)
        case Edited(journey, steps, settings):
            side.edit(journey, steps, settings)
        case Ruled(journey, rules):
            side.rule(journey, rules)
        case Switched(journey, on):
            side.switch(journey, on)
        case Removed(journey):
            side.remove(journey)
