from __future__ import annotations

from datetime import datetime

import pytest

from policies.engine import decide, permitted
from policies.explain import explain
from policies.facts import Facts, Send
from policies.policy import Policy, load_policy, parse_policy


def at(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


def policy(text: str) -> Policy:
    return parse_policy('[policy]\nname = "t"\n' + text, where="t.policy.toml")


def cap(limit: int, per: str, applies_to: str = "") -> Policy:
    return policy(f'[[frequency_cap]]\nid = "c"\nlimit = {limit}\nper = "{per}"\n{applies_to}')


def utility(*sends: str, category: str = "utility", **facts: object) -> Facts:
    history = tuple(Send(at=at(send), category=category) for send in sends)
    return Facts(category="utility", template_approved=True, sends=history, **facts)  # type: ignore[arg-type]


def told(chosen: Policy, facts: Facts, now: int) -> list[str]:
    """What caps and gaps say where they have something to say."""
    _, findings = explain(chosen, facts, now)
    return [each.words for each in findings if each.rule in ("frequency_cap", "minimum_gap") and each.numbers]


NOW = at("2026-05-06T12:00:00Z")


def test_a_send_counts_for_exactly_its_period() -> None:
    facts = utility("2026-05-05T12:00:00Z")
    assert decide(cap(1, "24h"), facts, NOW - 1).at == NOW
    assert decide(cap(1, "24h"), facts, NOW).verdict == "send"
    assert decide(cap(1, "24h"), facts, NOW - 1).because == ("frequency_cap",)


def test_what_is_told_of_a_cap_counts_for_exactly_its_period() -> None:
    facts = utility("2026-05-05T12:00:00Z")
    assert told(cap(1, "24h"), facts, NOW - 1) == [
        "c: at most 1 in a rolling 1d; 1 counted, the last at 2026-05-05 12:00 UTC"
    ]
    assert told(cap(1, "24h"), facts, NOW) == ["c: at most 1 in a rolling 1d; 0 counted"]


def test_what_is_told_of_a_gap_is_the_last_send_that_it_counts() -> None:
    facts = utility("2026-05-06T09:00:00Z")
    facts.sends = (*facts.sends, Send(at=at("2026-05-06T11:00:00Z"), category="service"))
    gap = '[[minimum_gap]]\nid = "g"\nbetween = "2h"\n'
    words = "g: at least 2h between messages; the last went at 2026-05-06 "
    assert told(policy(gap + 'applies_to = ["utility"]'), facts, NOW) == [words + "09:00 UTC"]
    assert told(policy(gap), facts, NOW) == [words + "11:00 UTC"]


def test_a_gap_follows_the_sends_of_its_categories_alone() -> None:
    facts = utility("2026-05-06T09:00:00Z")
    facts.sends = (*facts.sends, Send(at=at("2026-05-06T10:59:00Z"), category="service"))
    gap = policy('[[minimum_gap]]\nid = "g"\nbetween = "2h"\napplies_to = ["utility"]\n')
    assert permitted(gap, facts, at("2026-05-06T10:30:00Z"))[0][0] == at("2026-05-06T11:00:00Z")


def test_a_cap_reopens_when_enough_sends_have_dropped_out() -> None:
    facts = utility("2026-05-06T03:00:00Z", "2026-05-06T01:00:00Z", "2026-05-06T02:00:00Z", "2026-05-06T04:00:00Z")
    decision = decide(cap(3, "24h"), facts, NOW)
    # Four count; two must drop out before a third may go.
    assert decision.at == at("2026-05-07T02:00:00Z")


def test_a_cap_counts_and_binds_only_its_categories() -> None:
    promotional = 'applies_to = ["promotional"]'
    assert decide(cap(1, "24h", promotional), utility("2026-05-06T11:00:00Z"), NOW).verdict == "send"
    facts = utility("2026-05-06T11:00:00Z")
    facts.category, facts.last_inbound = "promotional", NOW
    assert decide(cap(1, "24h", promotional), facts, NOW).verdict == "send"
    facts.sends = (Send(at=NOW - 3600, category="promotional"),)
    assert decide(cap(1, "24h", promotional), facts, NOW).at == NOW + 23 * 3600


def test_a_cap_without_categories_counts_everything() -> None:
    assert decide(cap(1, "24h"), utility("2026-05-06T11:00:00Z", category="service"), NOW).verdict == "defer"


@pytest.mark.parametrize(
    ("zone", "per", "until"),
    [
        ("Europe/Berlin", "day", "2026-05-07T00:00:00+02:00"),
        # Wednesday; the week ends with Sunday the 10th.
        ("Europe/Berlin", "week", "2026-05-11T00:00:00+02:00"),
        ("Pacific/Kiritimati", "day", "2026-05-08T00:00:00+14:00"),
    ],
)
def test_a_calendar_cap_ends_with_the_contacts_own_day_or_week(zone: str, per: str, until: str) -> None:
    facts = utility("2026-05-06T11:00:00Z", timezones=(zone,))
    decision = decide(cap(1, per), facts, NOW)
    assert (decision.at, decision.because) == (at(until), ("frequency_cap",))


def test_yesterdays_send_does_not_count_today() -> None:
    facts = utility("2026-05-05T21:59:59Z", timezones=("Europe/Berlin",))
    assert decide(cap(1, "day"), facts, at("2026-05-05T22:00:00Z")).verdict == "send"


def test_a_calendar_day_lasts_as_long_as_the_clocks_make_it() -> None:
    facts = utility("2026-10-25T00:30:00+02:00", timezones=("Europe/Berlin",))
    assert decide(cap(1, "day"), facts, at("2026-10-25T01:00:00+02:00")).at == at("2026-10-26T00:00:00+01:00")


def test_a_day_that_a_fold_brings_back_is_still_that_day() -> None:
    # Beirut, 2026-10-25: at midnight it is 23:00 of the 24th once more.
    facts = utility("2026-10-24T12:00:00+03:00", timezones=("Asia/Beirut",))
    assert permitted(cap(1, "day"), facts, at("2026-10-24T23:30:00+03:00"))[0][0] == at("2026-10-25T00:00:00+02:00")


def test_a_minute_of_tomorrow_before_today_comes_back() -> None:
    # St John's, 2010-11-07: at 00:01 it is 23:01 of the 6th once more.
    first, again, over = (
        at("2010-11-07T00:00:00-02:30"),
        at("2010-11-06T23:01:00-03:30"),
        at("2010-11-07T00:00:00-03:30"),
    )
    on_the_6th = utility("2010-11-06T12:00:00-02:30", timezones=("America/St_Johns",))
    times = permitted(cap(1, "day"), on_the_6th, first - 1800)
    assert (times[0], times[1][0]) == ((first, again), over)
    on_the_7th = utility("2010-11-07T00:00:30-02:30", timezones=("America/St_Johns",))
    times = permitted(cap(1, "day"), on_the_7th, first)
    assert times[:2] == ((first, first + 30), (again, over))
    assert times[2][0] == at("2010-11-08T00:00:00-03:30")


def test_a_send_at_the_second_of_a_change_of_the_clocks_counts_once() -> None:
    facts, later = utility("2026-03-29T01:00:00Z", timezones=("Europe/Berlin",)), at("2026-03-29T02:00:00Z")
    assert decide(cap(1, "day"), facts, later).at == at("2026-03-30T00:00:00+02:00")
    facts.sends = (Send(at=at("2026-03-28T12:00:00Z"), category="utility"), *facts.sends)
    assert decide(cap(2, "day"), facts, later).verdict == "send"


def test_sends_ahead_of_our_clock_count_from_their_own_instants() -> None:
    facts = utility("2026-05-06T14:00:00Z", "2026-05-06T18:00:00Z", timezones=("Atlantic/Reykjavik",))
    times = permitted(cap(2, "day"), facts, NOW)
    assert (times[0], times[1][0]) == ((NOW, at("2026-05-06T18:00:00Z")), at("2026-05-07T00:00:00Z"))


def test_while_the_zone_is_awaited_any_candidates_calendar_will_do() -> None:
    text = '[unknown_zone]\nmode = "hold"\n[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "day"\n'
    facts = utility("2026-05-06T11:00:00Z", timezones=("Asia/Tokyo", "America/New_York"))

    def said(now: int) -> tuple[bool, int | None]:
        found = {each.rule: each for each in explain(policy(text), facts, now)[1]}["frequency_cap"]
        return found.permits_now, found.next_at

    # Tokyo's 6th ends at 15:00Z, New York's nine hours after that.
    tomorrow = at("2026-05-06T15:00:00Z")
    assert said(NOW) == (False, tomorrow)
    assert said(tomorrow) == (True, tomorrow)


def test_every_candidates_calendar_must_permit() -> None:
    facts = utility("2026-05-06T11:00:00Z", timezones=("Asia/Tokyo", "America/New_York"))
    # Tokyo's 6th ends at 15:00Z; New York's began at 04:00Z and ends at 04:00Z on the 7th.
    assert decide(cap(1, "day"), facts, NOW).at == at("2026-05-07T04:00:00Z")


def test_a_jurisdictions_cap_binds_beside_the_houses() -> None:
    now = at("2026-05-06T12:00:00-04:00")
    sends = tuple(Send(at=now - 3600 * hours, category="promotional") for hours in (1, 2, 3))
    facts = Facts(region="US-OK", last_inbound=now, sends=sends)
    text = '[policy]\nname = "t"\njurisdictions = "courtesy"'
    decision = decide(parse_policy(text, where="t"), facts, now)
    assert (decision.at, decision.because) == (now + 21 * 3600, ("frequency_cap",))


def test_a_gap_follows_each_send() -> None:
    gap = policy('[[minimum_gap]]\nid = "g"\nbetween = "10m"')
    facts = utility("2026-05-06T11:55:00Z", "2026-05-06T11:00:00Z")
    decision = decide(gap, facts, NOW)
    assert (decision.at, decision.because, decision.reason) == (NOW + 300, ("minimum_gap",), "minimum_gap")
    assert decide(gap, facts, NOW + 300).verdict == "send"


def test_the_default_caps() -> None:
    now = at("2026-05-06T12:00:00+02:00")
    default = load_policy("default")
    facts = Facts(
        timezones=("Europe/Berlin",), last_inbound=now - 60, sends=(Send(at=now - 3600, category="promotional"),)
    )
    denied = decide(default, facts, now)
    # The window closes five minutes before the cap opens.
    assert (denied.verdict, denied.reason) == ("defer", "frequency_cap")
    facts.last_inbound = now - 3600 - 300
    denied = decide(default, facts, now)
    assert (denied.verdict, denied.reason) == ("deny", "window_closes_before_cap")
    assert denied.because == ("messaging_window", "frequency_cap")
