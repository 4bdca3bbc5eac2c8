"""Slots: which of the permitted instants a schedule or a contact's habit picks."""

from __future__ import annotations

from datetime import datetime

import pytest

from policies.engine import decide, permitted
from policies.facts import Facts
from policies.policy import load_policy
from policies.slots import Wish, slot

HOUR = 3600
#: Two stretches: [100, 200) and [300, 310).
TIMES = ((100, 200), (300, 310))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def test_earliest_and_latest_leave_what_must_remain() -> None:
    assert slot(TIMES, Wish()) == 100
    assert slot(TIMES, Wish(kind="latest")) == 309
    assert slot(TIMES, Wish(kind="latest"), remaining=9) == 300
    assert slot(TIMES, Wish(kind="latest"), remaining=10) == 189
    assert slot(TIMES, Wish(), remaining=100) is None
    assert slot((), Wish()) is None


@pytest.mark.parametrize(
    ("wished", "found"), [(0, 100), (150, 150), (199, 199), (200, 199), (249, 199), (250, 300), (305, 305), (999, 309)]
)
def test_nearest_goes_to_either_side(wished: int, found: int) -> None:
    assert slot(TIMES, Wish(kind="nearest", at=wished)) == found


def test_of_two_that_are_as_near_the_earlier_wins() -> None:
    assert slot(((0, 11), (30, 40)), Wish(kind="nearest", at=20)) == 10


def test_nearest_leaves_what_must_remain() -> None:
    assert slot(TIMES, Wish(kind="nearest", at=199), remaining=5) == 194
    assert slot(TIMES, Wish(kind="nearest", at=305), remaining=10) == 189


def test_a_message_whose_window_would_close_in_the_night_goes_out_the_evening_before() -> None:
    # The person wrote at 06:30 in Berlin: the window closes at 06:25 next morning, before the house opens at 08:00.
    now = at("2026-05-05T10:00+02:00")
    facts = Facts(timezones=("Europe/Berlin",), country="DE", last_inbound=at("2026-05-05T06:30+02:00"))
    policy = load_policy("default")
    times = permitted(policy, facts, now)
    assert times == ((now, at("2026-05-05T21:00+02:00")),)
    wished = Wish(kind="nearest", at=at("2026-05-06T09:00+02:00"))
    chosen = slot(times, wished, remaining=60)
    assert chosen == at("2026-05-05T20:58:59+02:00")
    assert decide(policy, facts, chosen, min_remaining=60).verdict == "send"


def test_best_hour_is_the_contacts_own() -> None:
    times = permitted(
        load_policy("default"),
        Facts(timezones=("Asia/Kathmandu",), last_inbound=at("2026-05-05T10:10+05:45")),
        at("2026-05-05T10:10+05:45"),
    )
    habit = [0] * 24
    habit[19], habit[9], habit[3] = 5, 5, 99
    # 03:00 is the night; of 19:00 today and 09:00 tomorrow, as often used, today's comes first.
    wish = Wish(kind="best_hour", hours=tuple(habit), zone="Asia/Kathmandu")
    assert slot(times, wish) == at("2026-05-05T19:00+05:45")
    habit[9] = 6
    wish = Wish(kind="best_hour", hours=tuple(habit), zone="Asia/Kathmandu")
    assert slot(times, wish) == at("2026-05-06T09:00+05:45")


def test_best_hour_without_a_history_is_the_earliest() -> None:
    assert slot(TIMES, Wish(kind="best_hour")) == 100
    assert slot(TIMES, Wish(kind="best_hour", hours=(0,) * 24)) == 100
    assert slot(TIMES, Wish(kind="best_hour", hours=(*(0,) * 23, 1))) == 100


def test_best_hour_looks_at_no_more_days_than_it_needs() -> None:
    month = ((0, 30 * 24 * HOUR), (31 * 24 * HOUR, 32 * 24 * HOUR))
    assert slot(month, Wish(kind="best_hour", hours=(*(0,) * 5, 1, *(0,) * 18))) == 5 * HOUR
    # The second stretch lies in other hours than the first, and after a change of clocks.
    spring = (
        (at("2026-03-28T10:00+01:00"), at("2026-03-28T11:00+01:00")),
        (at("2026-03-29T00:30Z"), at("2026-03-29T02:00Z")),
    )
    by_hour = tuple(int(hour in (2, 3)) for hour in range(24))
    assert slot(spring, Wish(kind="best_hour", hours=by_hour, zone="Europe/Berlin")) == at("2026-03-29T03:00+02:00")


def test_a_wish_names_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="`nearest` needs an instant"):
        Wish(kind="nearest")
    with pytest.raises(ValueError, match="24 counts"):
        Wish(kind="best_hour", hours=(1, 2))
    with pytest.raises(LookupError, match="Mars/Phobos"):
        slot(TIMES, Wish(kind="best_hour", hours=(1,) * 24, zone="Mars/Phobos"))
