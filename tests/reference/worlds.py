"""Worlds drawn at random: journeys, people, and what comes one after the other. Small, so that much happens in each."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from tests.reference.script import (
    DIES_AT,
    NO_RULES,
    SEGMENTS,
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

Draw = Callable[..., Any]
Step = dict[str, Any]

STARTS = [
    datetime(2026, 3, 28, 12, tzinfo=UTC),
    datetime(2026, 10, 24, 9, tzinfo=UTC),
    datetime(2026, 6, 1, tzinfo=UTC),
]
"""Two of them in the hours before clocks are changed."""
USERS, JOURNEYS = ("u1", "u2", "u3"), ("J1", "J2")
KEYS = ("k1", "k2", "k3", "k4", "k5", "k6", "k7")
PLANS, TAGS = ("vip", "free"), ("a", "b")
ZONES = ("", "", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
EVENTS = ("signup", "upgrade")
CALLED = ("segment", "schedule", "date", "manual")
HAPPENS = (*EVENTS, "click", "click")

INSIDE = (
    "apply_tag", "remove_tag", "grant_reward", "grant_reward", "schedule_next", "schedule_next", "update_contact",
    "update_contact",
)  # fmt: skip
OUTSIDE = ("send_telegram", "send_telegram", "send_telegram", "trigger_webhook", "trigger_webhook")
KINDS = (*INSIDE, *OUTSIDE, "branch", "ab_split", "exit_journey", "wait_for_event", "wait_for_event")

STARTING = {"J2": ("start_journey", "start_journey")}
"""Only one of them starts the other: circles are tried in tests/authoring/test_starts.py."""

LEAVES = st.sampled_from(
    [{"field": "plan", "op": op, "value": plan} for op in ("eq", "ne") for plan in PLANS]
    + [{"field": "tags", "op": "contains", "value": tag} for tag in TAGS]
    + [{"field": "user.points", "op": "ne", "value": 3}]
    + [{"field": "user.plan", "op": "exists", "value": False}, {"field": "event.plan", "op": "eq", "value": "vip"}]
)
CHANGES = st.lists(
    st.sampled_from(
        [
            {"op": "increment", "attribute": name, "value": by}
            for name, by in [("points", 1), ("points", 2), ("plan", 1)]
        ]
        + [{"op": "set", "attribute": "plan", "value": plan} for plan in (*PLANS, "{{ event.plan }}")]
        + [{"op": "unset", "attribute": name} for name in ("plan", "points")]
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda change: change["attribute"],
)
CONDITIONS = LEAVES | st.builds(lambda it: {"not": it}, LEAVES) | st.builds(
    lambda word, parts: {word: parts}, st.sampled_from(["all", "any"]), st.lists(LEAVES, min_size=1, max_size=2)
)  # fmt: skip
IN_SEGMENT = st.sampled_from([{"field": "segments", "op": "contains", "value": name} for name in sorted(SEGMENTS)])
IN_STEPS = CONDITIONS | CONDITIONS | IN_SEGMENT | st.builds(lambda it: {"not": it}, IN_SEGMENT)
CAPS = st.lists(
    st.tuples(
        st.sampled_from(["", "telegram", "telegram", "email"]), st.sampled_from([1, 1, 2]), st.sampled_from([1, 24])
    ),
    max_size=2,
    unique_by=lambda cap: (cap[0], cap[2]),
).map(tuple)
SPIRITS = ("calm", "deadly", "restless", "restless")
RARELY, OFTEN = st.sampled_from([False] * 6 + [True]), st.sampled_from([False, True, True])
DELAYS = st.sampled_from([0, 0, 0, 0, 5, 60, 1440])
WINDOWS = st.sampled_from(
    [{"from": "09:00", "to": "17:00"}, {"days": ["sun", "mon"]}, {"days": ["sat"], "from": "20:00", "to": "03:00"},
     {"days": ["sun", "sat"], "from": "02:15", "to": "10:00"}]
)  # fmt: skip
QUIET_HOURS = st.sampled_from([None, None, None, {"from": "22:00", "to": "08:00"}, {"from": "01:45", "to": "02:30"}])
MINUTES = st.sampled_from([None, None, 0, 1, 5, 30, 60, 600, 1440])
CALLS = ["look", "look", "look", "hand", "hand"]
COMES = [
    *["event"] * 4,
    *["edit"] * 5,
    *["switch"] * 3,
    *["rule"] * 2,
    *["concerns"] * 9,
    "change",
    "batch",
    "forget",
    "remove",
    "tidy",
    "cap",
    *CALLS,
]
MEANWHILE = [
    *("look", "hand", "switch", "switch", "switch", "edit", "edit", "rule", "concerns", "concerns"),
    *("change", "forget", "event", "cap"),
]
HOURS = st.sampled_from(["02:30", "09:00", "13:00"])
BORN = st.sampled_from([None, "1990-03-28", "1990-03-29", "1985-10-24", "1985-10-25", "1991-06-01", "1991-06-02"])
"""In the days after worlds begin."""
CHATS = st.sampled_from(["1", "1", "2", "2", "2", ""])
ANSWERS = st.sampled_from(["later", "later", "later", "asks", "never", "gone"])
TROUBLES = st.tuples(ANSWERS, st.sampled_from([2, 10, 60, 2000]))


@st.composite
def worlds(draw: Draw) -> World:
    journeys = {name: draw(bodies(name)) for name in JOURNEYS[: draw(st.integers(1, 2))]}
    people = {user: draw(changes(user)) for user in USERS[: draw(st.integers(1, 3))]}
    return World(
        start=draw(st.sampled_from(STARTS)),
        people=people,
        journeys=tuple(deepcopy(list(journeys.values()))),
        moves=(*draw(caps()), draw(arrivals(journeys)), *draw(moves(journeys, draw(st.sampled_from(SPIRITS))))),
        troubles=draw(st.dictionaries(st.sampled_from(KEYS), TROUBLES, min_size=2, max_size=5)),
        minutes_to_send=draw(st.sampled_from([0, 0, 1, 20])),
    )


@st.composite
def caps(draw: Draw) -> list[Move]:
    """Half of the worlds begin with caps."""
    return [Capped(draw(CAPS))] if draw(st.booleans()) else []


@st.composite
def arrivals(draw: Draw, journeys: dict[str, Step]) -> Together:
    """Some of the people begin with what starts the journeys."""
    users = USERS[: draw(st.integers(1, 3))]
    begins = [it["trigger_config"].get("event", it["trigger_type"]) for it in journeys.values()]
    return Together(tuple(Happens(user, event) for user in users for event in begins))


@st.composite
def bodies(draw: Draw, name: str) -> Step:
    trigger, config = draw(triggers())
    if trigger != "schedule" and draw(RARELY):  # A schedule's condition must not look at an event.
        config = config | {"condition": draw(CONDITIONS)}
    return {
        "name": name,
        "trigger_type": trigger,
        "trigger_config": config,
        "priority": draw(st.sampled_from([0, 5])) * 2 + (name == "J2"),
        "is_active": not draw(RARELY),
        "steps": draw(rows(name, list(draw(st.permutations(KEYS))), least=2)),
        "quiet_hours": draw(QUIET_HOURS),
        **draw(rules()),
    }


@st.composite
def triggers(draw: Draw) -> tuple[str, Step]:
    match draw(st.sampled_from([*["event"] * 5, "any event", *CALLED])):
        case "any event":
            return "event", {"event": draw(st.sampled_from(HAPPENS))}
        case "segment":
            existing = {"include_existing": True} if draw(st.booleans()) else {}
            return "segment", {"segment": draw(st.sampled_from(sorted(SEGMENTS)))} | existing
        case "schedule":
            return "schedule", {"at": draw(HOURS)}
        case "date":
            return "date", {"attribute": "born", "at": draw(HOURS)}
        case "manual":
            return "manual", {}
    return draw(st.sampled_from(EVENTS)), {}


@st.composite
def signals(draw: Draw) -> dict[str, Any]:
    condition = {"condition": draw(CONDITIONS)} if draw(RARELY) else {}
    return {"event": draw(st.sampled_from(HAPPENS)), **condition}


@st.composite
def rules(draw: Draw) -> dict[str, Any]:
    """Who enters a journey, and when they leave."""
    found: dict[str, Any] = {}
    if draw(OFTEN):
        found["reentry"] = draw(st.sampled_from(["after_finish", "after_finish", "after_days"]))
        if found["reentry"] == "after_days":
            found["reentry_days"] = draw(st.sampled_from([1, 1, 2]))
    if draw(RARELY) or draw(RARELY):
        found["exit_condition"] = draw(CONDITIONS)
    if draw(st.booleans()):
        found["exit_on"] = draw(st.lists(signals(), min_size=1, max_size=2))
    if draw(st.booleans()):
        leaves = draw(st.sampled_from([{}, {"exit_on_goal": False}]))
        found["goal"] = {**draw(signals()), "within_days": draw(st.sampled_from([1, 1, 2])), **leaves}
    if draw(RARELY):
        found["holdout_percent"] = draw(st.sampled_from([10, 50, 50]))
    return found


@st.composite
def rows(draw: Draw, journey: str, keys: list[str], depth: int = 0, least: int = 0, most: int = 5) -> list[Step]:
    """Steps in order, and those in their lanes; each takes one of the keys."""
    return [draw(steps(journey, keys, depth)) for _ in range(draw(st.integers(least, most))) if keys]


@st.composite
def steps(draw: Draw, journey: str, keys: list[str], depth: int) -> Step:
    key = keys.pop()
    kind = draw(st.sampled_from(KINDS + STARTING.get(journey, ())))
    step = {"key": key, "name": key, "action_type": kind, "action_config": draw(configs(kind, f"{journey}/{key}"))}
    step |= {"delay_minutes": draw(DELAYS)}
    if draw(RARELY):
        step["condition"] = draw(IN_STEPS)
    if draw(RARELY):
        step["on_failure"] = "stop"
    if draw(RARELY) or draw(RARELY):
        step["expires_after_minutes"] = draw(st.sampled_from([1, 5, 30, 600]))
    if draw(RARELY):
        step["delay_from"] = "journey_start"
    if draw(RARELY) or draw(RARELY):
        step["window"] = draw(WINDOWS)
    if draw(RARELY) and draw(RARELY):
        step["is_active"] = False
    if kind in ("branch", "ab_split", "wait_for_event"):
        step["lanes"] = draw(lanes(kind, journey, keys, depth))
    return step


@st.composite
def lanes(draw: Draw, kind: str, journey: str, keys: list[str], depth: int) -> list[Step]:
    number = draw(st.integers(1, 2)) if kind == "branch" else 2
    found: list[Step] = [
        {"name": f"lane {count}", "steps": draw(rows(journey, keys, depth + 1, most=2)) if depth < 3 else []}
        for count in range(number)
    ]
    if kind == "wait_for_event":
        return [lane | {"name": name} for lane, name in zip(found, ("received", "timed out"), strict=True)]
    for lane in found:
        if kind == "ab_split":
            lane["weight"] = draw(st.integers(1, 3))
        elif lane is not found[-1] or draw(st.booleans()):
            lane["condition"] = draw(IN_STEPS)
    return found


@st.composite
def configs(draw: Draw, kind: str, place: str) -> dict[str, Any]:
    """An action's config. What it sends begins with its place, so that its provider knows what it is."""
    text = f"{place}/{draw(st.sampled_from('AB'))} {{{{ user.user_id }}}} {{{{ user.plan }}}}."
    match kind:
        case "apply_tag" | "remove_tag":
            return {"tag": draw(st.sampled_from(TAGS))}
        case "grant_reward":
            return {"reward_type": "points", "value": draw(st.integers(1, 3))}
        case "update_contact":
            return {"changes": draw(CHANGES)}
        case "start_journey":
            plan = draw(st.sampled_from(["", "vip", "{{ event.plan }}"]))
            return {"journey": "J1"} | ({"metadata": {"plan": plan}} if plan else {})
        case "send_telegram":
            # The second is empty, and so fails, for those without a plan.
            config = {"message": draw(st.sampled_from([text, text, text, "{{ user.plan }}"]))}
            return config | draw(st.sampled_from([{}, {}, {"when_capped": "skip"}, {"transactional": True}]))
        case "trigger_webhook":
            return {"url": f"https://example.com/{place}", "data": {"text": text}}
        case "schedule_next":
            return draw(schedules())
        case "wait_for_event":
            return draw(waits())
        case "exit_journey":
            return {"reason": "enough"} if draw(st.booleans()) else {}
    return {}


@st.composite
def waits(draw: Draw) -> dict[str, Any]:
    config = {"event": draw(st.sampled_from(HAPPENS)), "timeout_minutes": draw(st.sampled_from([5, 60, 60, 1440]))}
    if draw(RARELY):
        config["since"] = "journey_start"
    if draw(RARELY) or draw(RARELY):
        config["condition"] = draw(IN_STEPS)
    return config


@st.composite
def schedules(draw: Draw) -> dict[str, Any]:
    match draw(st.integers(0, 3)):
        case 0:
            return {}
        case 1:
            return {"delay_minutes": draw(DELAYS)}
        case 2:
            return {"at": draw(st.sampled_from(["02:30", "09:00", "09:00", "12:00"]))}
    return {"at": draw(st.sampled_from(["02:15", "23:59"])), "days": draw(st.sampled_from([["sun"], ["mon", "sat"]]))}


@st.composite
def changes(draw: Draw, user: str) -> dict[str, Any]:
    """What a contact is told to be. Each has chats of their own."""
    chat = draw(CHATS)
    return {
        "telegram_chat_id": chat and f"{user[1:]}{chat}",
        "timezone": draw(st.sampled_from(ZONES)),
        "attributes": {"born": draw(BORN), "plan": draw(st.sampled_from([*PLANS, None]))},
    }


@st.composite
def moves(draw: Draw, journeys: dict[str, Step], spirit: str) -> tuple[Move, ...]:
    found: list[Move] = [draw(shifts(journeys, spirit))]
    for _ in range(draw(st.integers(3, 9))):
        found += [draw(outside(journeys))] if draw(st.booleans()) else [Passes(draw(MINUTES))]
        if draw(st.booleans()):
            found.append(Looked())
        shift = draw(shifts(journeys, spirit))
        if shift.dies:  # Perhaps again and again, of the same runs.
            found += [shift] * draw(st.sampled_from([1, 1, 1, 2, 3]))
        elif draw(st.booleans()):
            found.append(shift)
    return tuple(found)


@st.composite
def shifts(draw: Draw, journeys: dict[str, Step], spirit: str) -> Works:
    """Workers at work: they die in deadly worlds, and much happens meanwhile in restless ones."""
    dies = (draw(st.sampled_from(DIES_AT)), draw(st.sampled_from([1, 1, 1, 2])))
    return Works(
        draw(st.sampled_from([500, 500, 2, 1])),
        dies if draw(OFTEN if spirit == "deadly" else RARELY) else None,
        tuple(draw(st.lists(outside(journeys, MEANWHILE), min_size=1, max_size=2)))
        if draw(OFTEN if spirit == "restless" else RARELY)
        else (),
    )


@st.composite
def outside(draw: Draw, journeys: dict[str, Step], kinds: list[str] = COMES) -> Move:
    """What comes from outside. `journeys` follows the edits."""
    name = draw(st.sampled_from(sorted(journeys)))
    match draw(st.sampled_from(kinds)):
        case "event":
            return draw(events())
        case "batch":
            return Together(tuple(draw(st.lists(events(), min_size=2, max_size=4))))
        case "edit":
            journeys[name]["steps"] = draw(edits(name, journeys[name]["steps"]))
            settings = {"quiet_hours": draw(QUIET_HOURS)} if draw(RARELY) else {}
            return Edited(name, tuple(deepcopy(journeys[name]["steps"])), settings)
        case "concerns":
            return draw(concerns(journeys[name]))
        case "rule":
            changed = draw(rules())
            journeys[name] = {it: journeys[name][it] for it in journeys[name].keys() - NO_RULES.keys()} | changed
            return Ruled(name, changed)
        case "switch":
            journeys[name]["is_active"] = not journeys[name]["is_active"]
            return Switched(name, journeys[name]["is_active"])
        case "remove" if draw(RARELY):
            return Removed(name)
        case "cap":
            return Capped(draw(CAPS))
        case "tidy":
            return Tidied()
        case "look":
            return Looked()
        case "hand":
            return ByHand(name, tuple(draw(st.lists(st.sampled_from(USERS), min_size=1, max_size=3))))
        case "forget":
            return Forgotten(draw(st.sampled_from(USERS)))
    user = draw(st.sampled_from(USERS))
    return Changed(user, draw(changes(user)))


@st.composite
def events(draw: Draw) -> Happens:
    properties = {"plan": draw(st.sampled_from(PLANS))} if draw(RARELY) else {}
    message_id = draw(st.sampled_from(["m1", "m2"])) if draw(RARELY) else None
    return Happens(draw(st.sampled_from(USERS)), draw(st.sampled_from(HAPPENS)), properties, message_id)


@st.composite
def concerns(draw: Draw, journey: Step) -> Happens:
    """Something that starts this journey, ends its runs, or is its goal."""
    names = [it["event"] for it in journey.get("exit_on", ())]
    names += [journey["goal"]["event"]] if journey.get("goal") else []
    starts = journey["trigger_config"].get("event", journey["trigger_type"])
    names += [starts] * max(1, len(names)) if starts in HAPPENS else []
    return Happens(draw(st.sampled_from(USERS)), draw(st.sampled_from(names or HAPPENS)))


@st.composite
def edits(draw: Draw, journey: str, old: list[Step]) -> list[Step]:
    """Other steps: written anew, of the same keys; or the old ones without one, in another order, or changed."""
    top = deepcopy(old)
    row = draw(st.sampled_from(_rows_in(top)))
    if not row or draw(st.integers(0, 3)) == 0:
        return draw(rows(journey, list(draw(st.permutations(KEYS)))))
    match draw(st.sampled_from(["drop", "drop", "move", "move", "delay", "delay", "hours", "off", "out"])):
        case "drop":
            row.pop(draw(st.integers(0, len(row) - 1)))
        case "move":
            row[:] = draw(st.permutations(row))
        case "delay":
            draw(st.sampled_from(row))["delay_minutes"] = draw(DELAYS)
        case "hours":
            draw(st.sampled_from(row))["window"] = draw(WINDOWS)
        case "off":
            step = draw(st.sampled_from(row))
            step["is_active"] = not step.get("is_active", True)
        case "out":  # Into the journey itself, to any place there.
            step = row.pop(draw(st.integers(0, len(row) - 1)))
            top.insert(draw(st.integers(0, len(top))), step)
    return top


def _rows_in(steps: list[Step]) -> list[list[Step]]:
    inner = [row for step in steps for lane in step.get("lanes", ()) for row in _rows_in(lane["steps"])]
    return [steps, *inner]
