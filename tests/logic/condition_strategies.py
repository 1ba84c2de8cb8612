"""Conditions and values for property tests, few enough to collide: equal, nearly equal, of the wrong type."""

from typing import Any

from hypothesis import strategies as st

NUMBERS = [0, 1, -1, 1.0, 0.1, 2.5, -0.0, 1e23, 10**23, 2**53 + 1, float(2**53), 10**40, 1e-7, 5e-324, 1e300]
DATES = [
    "2026-03-01",
    "2026-03-01T00:00:00Z",
    "2026-03-01 01:00+01:00",
    "2026-03-01T09:30:00.1+0530",
    "2026-03-02T12:00:00.123456Z",
    "0001-01-01T00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
]
NEARLY_DATES = [
    "2026-02-30",
    "0000-01-01",
    "2026-03-01T24:00",
    "2026-03-01T23:59:60",
    "2026-03-01T09",
    "2026-03-01t09:00:00z",
    "2026-03-01+01:00",
    "2026-03-01T09:00+15:00",
    "2026-03-01\n",
    "२०२६-03-01",
    "now",
    "infinity",
]
WORDS = [
    "",
    "plan",
    "pla",
    "lan",
    "Plan",
    "straße",
    "STRASSE",
    "é",
    "e\u0301",
    "😀",
    "5",
    "true",
    "%",
    "_",
    "'\"\\",
]

numbers = st.sampled_from(NUMBERS) | st.floats(-1e300, 1e300) | st.integers(-(10**30), 10**30)
words = st.sampled_from(WORDS) | st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=4
)
dates = st.sampled_from(DATES) | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
texts = words | dates | st.sampled_from(NEARLY_DATES)
scalars = st.one_of(st.booleans(), numbers, texts)

KEYS = ["plan", "score", "a", "0", "email", "user_id", "tags", "user", "event", "attributes", "städte", "o'k"]
attributes = st.dictionaries(
    st.sampled_from(KEYS),
    st.recursive(
        st.none() | scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
        max_leaves=4,
    ),
    max_size=5,
)
paths = st.one_of(
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(".".join),
    st.sampled_from(["tags", "user.tags", "tags.a", "event.plan"]),
    st.sampled_from(["user_id", "email", "telegram_chat_id", "created_at", "last_event_at"]).map("user.{}".format),
).filter(lambda path: path not in ("user", "event"))


def _leaf(ops: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"field": paths, "op": st.sampled_from(ops), "value": values})


leaves = st.one_of(
    _leaf(["eq", "ne", "contains", "not_contains"], scalars),
    _leaf(["gt", "gte", "lt", "lte"], numbers | dates),
    _leaf(["in", "not_in"], st.lists(scalars, min_size=1, max_size=4)),
    _leaf(["starts_with", "ends_with"], texts.filter(bool)),
    _leaf(["exists"], st.booleans()),
    _leaf(["within_days"], st.floats(0.01, 400) | st.integers(1, 36_500)),
    st.fixed_dictionaries({"field": paths, "op": st.just("exists")}),
)


def _groups(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    parts = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"all": parts}),
        st.fixed_dictionaries({"any": parts}),
        st.fixed_dictionaries({"not": inner}),
    )


conditions = st.recursive(leaves, _groups, max_leaves=6)
