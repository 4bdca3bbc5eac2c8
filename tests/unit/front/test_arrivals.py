from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.inbox.arrivals import KINDS, arrivals
from scheduler.inbox.lenient import Unreadable, identifier, milliseconds, read_json, storable
from scheduler.inbox.meaning import Meaning, Unappliable, meaning_of

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
#: Events of the right outline with anything in them.
EVENTS = st.dictionaries(
    st.sampled_from([*KINDS, "sender", "recipient", "timestamp", "novelty"]),
    ANYTHING
    | st.dictionaries(
        st.sampled_from(
            ["id", "mid", "text", "payload", "quick_reply", "watermark", "mids", "is_echo", "type", "action"]
        ),
        ANYTHING,
    ),
)
BODIES = st.fixed_dictionaries(
    {"entry": st.lists(st.fixed_dictionaries({"id": ANYTHING, "messaging": st.lists(EVENTS | ANYTHING, max_size=3)}))}
)


@given(BODIES | ANYTHING)
def test_nothing_that_is_signed_can_break_the_reader(body: object) -> None:
    for arrival in arrivals(storable(body)):
        assert len(arrival.dedupe_key) < 700
        assert json.loads(json.dumps(arrival.body, allow_nan=False)) == arrival.body
        try:
            meaning = meaning_of(arrival)
        except Unappliable:
            continue
        assert isinstance(meaning, Meaning)
        assert not (meaning.opens_window and arrival.kind in ("echo", "delivery", "read", "optin"))


@given(BODIES)
def test_a_copy_has_the_same_key_and_another_event_another(body: Any) -> None:
    clean: Any = storable(body)
    first, second = arrivals(clean), arrivals(json.loads(json.dumps(clean)))
    assert [each.dedupe_key for each in first] == [each.dedupe_key for each in second]


def test_the_same_words_of_two_moments_are_two_events() -> None:
    def key(timestamp: int, mid: str | None) -> str:
        message = {"text": "hi"} if mid is None else {"text": "hi", "mid": mid}
        event = {"sender": {"id": "7"}, "timestamp": timestamp, "message": message}
        return arrivals({"entry": [{"id": "1", "time": timestamp + 5, "messaging": [event]}]})[0].dedupe_key

    assert key(1, None) != key(2, None)
    # A message has an identity of its own: a copy with another delivery time is a copy.
    assert key(1, "m1") == key(2, "m1") != key(1, "m2")


@pytest.mark.parametrize(
    ("kind", "of"),
    [("message", {}), ("echo", {"is_echo": True}), ("deletion", {"is_deleted": True}), ("echo", {"is_echo": "true"})],
)
def test_kinds_of_messages_do_not_take_each_others_identity(kind: str, of: dict[str, object]) -> None:
    event = {"sender": {"id": "7"}, "recipient": {"id": "1"}, "message": {"mid": "m", **of}}
    (arrival,) = arrivals({"entry": [{"id": "1", "messaging": [event]}]})
    assert (arrival.kind, arrival.dedupe_key) == (kind, f"{kind}:1:m")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (" 12 ", "12"),  # blanks
        (12, "12"),  # a number
        (True, None),  # no number
        (1.5, None),  # no id
        ("", None),  # nothing
        ("x" * 129, None),  # longer than any id
        (None, None),  # left out
    ],
)
def test_identifiers(value: object, read: str | None) -> None:
    assert identifier(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1_701_599_111_222, 1_701_599_111_222),  # milliseconds
        (1_701_599_111, 1_701_599_111_000),  # seconds
        (1_701_599_111.5, 1_701_599_111_500),  # seconds with a fraction
        ("1701599111", 1_701_599_111_000),  # a string
        ("nan", None),  # no instant
        (float("inf"), None),  # nor this
        (0, None),  # the beginning of time is a missing value
        (-5, None),  # before it
        (2**63, None),  # nobody's future
        ([], None),  # nonsense
    ],
)
def test_milliseconds(value: object, read: int | None) -> None:
    assert milliseconds(value) == read


def test_what_postgresql_cannot_keep_is_replaced() -> None:
    assert storable({"a\x00": ["\ud800", float("nan"), 10**400, "ok"]}) == {"a\ufffd": ["\ufffd", None, 10**400, "ok"]}


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 50_000, b"1" * 5000])
def test_what_is_not_json_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(raw)
