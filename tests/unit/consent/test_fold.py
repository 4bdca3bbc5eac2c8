"""What follows from the ledger, as a pure function: order-free, and cautious."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.consent.fold import LIFTED_BY, Said, barred, bars, standing, whose

TOPICS = st.sampled_from([None, "sale", "news"])


def _said(**values: Any) -> Said:
    told: dict[str, Any] = {"id": 1, "source": "message", "occurred_at": 10, "recorded_at": 10}
    return Said(**(told | values))


@st.composite
def words(draw: st.DrawFn) -> list[Said]:
    """What people and the platform may say of one contact, told apart by nothing but their content."""
    said = []
    for number in range(draw(st.integers(0, 9))):
        action = draw(st.sampled_from(["opt_out", "opt_in", "granted", "withdrawn"]))
        topic = draw(TOPICS)
        category = None if topic else draw(st.sampled_from([None, "promotional", "utility"]))
        choice = action in ("opt_out", "opt_in")
        said.append(
            _said(
                id=number, action=action, topic=topic, source=draw(st.sampled_from(["message", "optin", "import"])),
                occurred_at=draw(st.integers(0, 6)), category=category if choice else None,
                scope=("topic" if topic else "category" if category else "everything") if choice else None,
                kind=draw(st.sampled_from(["express", "implied"])) if action == "granted" else None,
                expires_at=draw(st.sampled_from([None, 50])) if action == "granted" else None,
            )
        )  # fmt: skip
    return said


def _left(said: list[Said]) -> tuple[object, object]:
    # Ids tell the order of arrival, and nothing else may depend on it.
    return (
        [(bar.reason, bar.topic, bar.category, bar.said_by, bar.since) for bar in bars(said)],
        [(one.topic, one.kind, one.granted_at, one.expires_at) for one in standing(said)],
    )


@given(words(), st.randoms(use_true_random=False))
def test_any_order_and_repetition_leave_the_same(said: list[Said], random: Any) -> None:
    shuffled = said + random.sample(said, len(said) // 2)
    random.shuffle(shuffled)
    arrived = [replace(each, id=number) for number, each in enumerate(shuffled)]
    assert _left(arrived) == _left(said)


@given(words(), st.sampled_from(["sale", "other", None]))
def test_a_stop_that_nothing_follows_is_in_force_and_leaves_no_grant(said: list[Said], topic: str | None) -> None:
    stop = _said(id=99, action="opt_out", scope="everything", occurred_at=7)
    found = barred(bars([*said, stop]), topic=topic, category="promotional")
    assert found is not None
    assert found.record_id == 99
    assert standing([*said, stop]) == []


@given(words())
def test_saying_stop_as_well_never_permits_more(said: list[Said]) -> None:
    stop = _said(id=99, action="opt_out", scope="everything", occurred_at=3)
    for category in ("promotional", "utility"):
        if barred(bars(said), topic="sale", category=category) is not None:
            assert barred(bars([*said, stop]), topic="sale", category=category) is not None
    assert set(standing([*said, stop])) <= set(standing(said))


def _in_force(*said: Said) -> bool:
    return barred(bars(said), topic=None, category="promotional") is not None


def test_where_an_instant_proves_nothing_the_opt_out_that_arrived_later_counts() -> None:
    late_start = _said(id=1, action="opt_in", occurred_at=400)
    stop = _said(id=2, action="opt_out", occurred_at=100)
    # The platform's own instants say that the yes came later, in whatever order they arrive.
    assert not _in_force(late_start, stop)
    assert not _in_force(replace(late_start, id=2), replace(stop, id=1))
    # Somebody else's clock dated either of them: what arrived last is the opt-out.
    assert _in_force(replace(late_start, by_arrival=True), stop)
    assert _in_force(late_start, replace(stop, by_arrival=True))
    assert _in_force(
        replace(late_start, source="api", by_arrival=True), replace(stop, source="operator", by_arrival=True)
    )
    # It never goes the other way: a yes that arrives later has to have been said later.
    early_start = _said(id=2, action="opt_in", occurred_at=50, by_arrival=True)
    assert _in_force(early_start, replace(stop, id=1, by_arrival=True))


def test_a_file_of_old_opt_outs_undoes_no_newer_yes() -> None:
    yes = _said(id=1, action="opt_in", source="api", occurred_at=400, by_arrival=True)
    old = _said(id=2, action="opt_out", source="import", occurred_at=100)
    assert not _in_force(yes, old)
    assert _in_force(yes, replace(old, by_arrival=True))


def test_what_takes_a_grant_back_counts_by_its_arrival_too() -> None:
    grant = _said(id=1, action="granted", kind="express", occurred_at=400)
    end = _said(id=2, action="withdrawn", occurred_at=100)
    assert standing([grant, end]) != []
    assert standing([replace(grant, by_arrival=True), end]) == []
    assert standing([grant, replace(end, by_arrival=True)]) == []
    assert standing([replace(grant, id=3, by_arrival=True), end]) != []


def test_of_one_second_the_stop_counts_unless_the_team_said_both() -> None:
    for said in ("message", "postback", "optin", "import", "api", "operator"):
        for answer in ("message", "optin", "api", "operator"):
            stop = _said(id=1, action="opt_out", source=said, scope="everything")
            back = _said(id=2, action="opt_in", source=answer, scope="everything")
            ended = said in ("api", "operator") and answer in LIFTED_BY[whose(stop)] & {"api", "operator"}
            assert len(bars([stop, back])) == (0 if ended else 1), (said, answer)
            assert len(bars([_said(id=0, action="opt_in", source=answer, scope="everything"), stop])) == 1


def test_a_row_from_before_scopes_were_kept_speaks_of_its_topic_or_of_everything() -> None:
    assert [bar.topic for bar in bars([_said(action="opt_out", topic="sale"), _said(id=2, action="opt_out")])] == [
        None, "sale",
    ]  # fmt: skip


def test_only_what_was_done_after_we_knew_of_a_block_lifts_it() -> None:
    block = _said(id=5, action="block", kind="blocked", source="send_error", occurred_at=10)
    for id_, at, left in ((6, 10, 0), (6, 9, 1), (4, 11, 1)):
        assert len(bars([block, _said(id=id_, action="unblock", occurred_at=at)])) == left
    erased = replace(block, kind="erased")
    assert [bar.reason for bar in bars([erased, _said(id=6, action="unblock", occurred_at=99)])] == ["erased"]


def test_the_widest_bar_is_named() -> None:
    said = [
        _said(id=1, action="opt_out", topic="sale", scope="topic"),
        _said(id=2, action="opt_out", category="promotional", scope="category"),
        _said(id=3, action="opt_out", scope="everything"),
    ]
    for left, expected in ((said, 3), (said[:2], 2), (said[:1], 1)):
        found = barred(bars(left), topic="sale", category="promotional")
        assert found is not None
        assert found.record_id == expected
    assert barred(bars(said[:1]), topic="news", category="promotional") is None
    assert barred(bars(said[:2]), topic=None, category="utility") is None
