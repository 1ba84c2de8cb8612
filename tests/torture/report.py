"""What the harness found, as JSON: figures, and each promise with what broke it."""

from collections import Counter
from typing import Any

from tests.torture import bound, matrix
from tests.torture.kills import Options, Played
from tests.torture.promises import PROMISES, Case

SHOWN = 10


def of_kills(options: Options, played: Played) -> dict[str, Any]:
    case = played.case
    runs = case.evidence.runs.values()
    repeats = case.repeats_by_worker()
    killed = [life for life in case.lives.values() if life.killed_at is not None]
    return {
        "workers": options.workers,
        "lease_seconds": options.lease,
        "seed": options.seed,
        "seconds": round(played.seconds, 1),
        "kills": played.kills,
        "kills_while_at_work": played.busy_kills,
        "runs": dict(Counter(run.status for run in runs)),
        "executions": sum(len(run.steps) for run in runs),
        "executions_by_status": dict(Counter(status for run in runs for status in run.steps.values())),
        "deliveries": sum(map(len, case.evidence.deliveries.values())),
        "refused_by_providers": sum(not one.taken for all_of in case.evidence.deliveries.values() for one in all_of),
        "messages": len(case.evidence.messages),
        "repeats": repeats.total(),
        "repeats_by_channel": dict(Counter(key[0] for key, ones in case.repeats().items() for _ in ones)),
        "repeats_per_kill": {
            "most": max((repeats[life.name] for life in killed), default=0),
            "mean": round(sum(repeats[life.name] for life in killed) / max(1, len(killed)), 1),
            "bound": case.most_unrecorded,
        },
        "repeats_of_living_workers": sum(
            count for worker, count in repeats.items() if case.lives[worker].killed_at is None
        ),
        "late_outcomes": sum(life.late for life in case.lives.values()),
        "promises": judged(case),
    }


def of_matrix(played: matrix.Played) -> dict[str, Any]:
    case = played.case
    broken = list(matrix.broken_cells(played))
    return {
        "points": len({cell.point for cell in played.cells}),
        "kinds": len({cell.kind for cell in played.cells}),
        "cells": len(played.cells),
        "killed_there": len(played.cells) - len(played.survivors),
        "seconds": round(played.seconds, 1),
        "deliveries": sum(map(len, case.evidence.deliveries.values())),
        "messages": len(case.evidence.messages),
        "repeats": case.repeats_by_worker().total(),
        "promises": {"each_cell_as_it_must": _verdict(broken), **judged(case)},
    }


def of_bound(case: Case) -> dict[str, Any]:
    repeats = case.repeats_by_worker()
    killed = [life.name for life in case.lives.values() if life.killed_at is not None]
    return {
        "kills": len(killed),
        "claimed_by_each": bound.BATCH,
        "repeats_per_kill": {"most": max(repeats.values(), default=0), "bound": case.most_unrecorded},
        "repeats": repeats.total(),
        "promises": judged(case),
    }


def judged(case: Case) -> dict[str, Any]:
    """Each promise: kept, or by what it was broken how often."""
    found = {promise.__name__: promise(case) for promise in PROMISES}
    return {name: _verdict(breaches) for name, breaches in found.items()}


def _verdict(breaches: list[str]) -> dict[str, Any]:
    return {"kept": not breaches, "breaches": len(breaches), "such_as": breaches[:SHOWN]}


def is_kept(report: dict[str, Any]) -> bool:
    return all(promise["kept"] for promise in report["promises"].values())
