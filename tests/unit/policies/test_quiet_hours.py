from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from policies.case import case_of
from policies.decision import Decision
from policies.engine import decide, permitted
from policies.facts import Consent, Facts, Send, Token
from policies.policy import Policy, load_policy, parse_policy
from policies.rules import quiet_hours


def at(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


def policy(text: str) -> Policy:
    return parse_policy('[policy]\nname = "t"\n' + text, where="t.policy.toml")


def utility(**facts: object) -> Facts:
    return Facts(category="utility", template_approved=True, **facts)  # type: ignore[arg-type]


DEFAULT = load_policy("default")
HOURS = '[[permitted_hours]]\nid = "h"\n'


def test_a_promotion_at_night_waits_for_the_morning_after_the_clocks_change() -> None:
    now = at("2026-03-07T21:30:00-05:00")
    facts = Facts(timezones=("America/New_York",), country="US", last_inbound=now - 7200)
    assert decide(DEFAULT, facts, now) == Decision(
        verdict="defer",
        at=at("2026-03-08T08:00:00-04:00"),
        ground="standard_window",
        closes_at=at("2026-03-08T20:25:00-04:00"),
        deadline=at("2026-03-08T20:25:00-04:00"),
        because=("quiet_hours",),
        reason="quiet_hours",
    )


def test_hours_are_half_open() -> None:
    hours = policy(HOURS + 'daily = [["08:00", "21:00"]]')
    facts = utility(timezones=("Europe/Berlin",))
    assert decide(hours, facts, at("2026-05-04T07:59:59+02:00")).verdict == "defer"
    assert decide(hours, facts, at("2026-05-04T08:00:00+02:00")).verdict == "send"
    assert decide(hours, facts, at("2026-05-04T20:59:59+02:00")).verdict == "send"
    assert decide(hours, facts, at("2026-05-04T21:00:00+02:00")).at == at("2026-05-05T08:00:00+02:00")


def test_a_message_must_stay_permitted_for_as_long_as_is_asked() -> None:
    hours = policy(HOURS + 'daily = [["08:00", "21:00"]]')
    facts = utility(timezones=("Europe/Berlin",))
    late = at("2026-05-04T20:59:58+02:00")
    assert decide(hours, facts, late - 1, min_remaining=2).verdict == "send"
    held_back = decide(hours, facts, late, min_remaining=2)
    assert (held_back.verdict, held_back.at) == ("defer", at("2026-05-05T08:00:00+02:00"))
    assert held_back.because == ("quiet_hours",)


def test_a_weekday_overrides_daily_and_an_empty_list_closes_it() -> None:
    hours = policy(HOURS + 'daily = [["08:00", "20:00"]]\nsat = [["10:00", "12:00"], ["15:00", "16:00"]]\nsun = []')
    facts = utility(timezones=("Europe/Berlin",))
    saturday = decide(hours, facts, at("2026-05-09T12:00:00+02:00"))
    assert (saturday.at, saturday.reason) == (at("2026-05-09T15:00:00+02:00"), "quiet_hours")
    sunday = decide(hours, facts, at("2026-05-10T12:00:00+02:00"))
    assert (sunday.at, sunday.reason) == (at("2026-05-11T08:00:00+02:00"), "closed_day")
    assert sunday.because == ("quiet_hours",)


def test_a_day_without_a_row_is_open_and_days_join_at_midnight() -> None:
    hours = policy(HOURS + 'mon = [["20:00", "24:00"]]\nwed = []')
    facts = utility(timezones=("Europe/Berlin",))
    decision = decide(hours, facts, at("2026-05-04T10:00:00+02:00"))
    assert decision.at == at("2026-05-04T20:00:00+02:00")
    assert decision.closes_at == at("2026-05-06T00:00:00+02:00")


def test_several_entries_intersect() -> None:
    hours = policy(
        HOURS + 'daily = [["08:00", "20:00"]]\n' + HOURS.replace('"h"', '"i"') + 'daily = [["09:00", "22:00"]]'
    )
    facts = utility(timezones=("Asia/Tokyo",))
    decision = decide(hours, facts, at("2026-05-04T08:30:00+09:00"))
    assert (decision.at, decision.closes_at) == (at("2026-05-04T09:00:00+09:00"), at("2026-05-04T20:00:00+09:00"))


def test_hours_bind_only_the_categories_they_name() -> None:
    night = at("2026-05-04T23:00:00+02:00")
    facts = utility(timezones=("Europe/Berlin",), country="DE")
    assert decide(DEFAULT, facts, night).verdict == "send"
    service = Facts(category="service", timezones=("Europe/Berlin",), last_inbound=night - 60)
    assert decide(DEFAULT, service, night).verdict == "send"


def test_both_passes_of_a_fold_are_judged_by_what_the_clock_shows() -> None:
    # 2026-10-25: 03:00 CEST becomes 02:00 CET, so 02:30 comes twice.
    hours = policy(HOURS + 'daily = [["00:00", "02:30"]]')
    facts = utility(timezones=("Europe/Berlin",))
    times = permitted(hours, facts, at("2026-10-25T00:00:00+02:00"))
    assert times[:2] == (
        (at("2026-10-25T00:00:00+02:00"), at("2026-10-25T02:30:00+02:00")),
        (at("2026-10-25T02:00:00+01:00"), at("2026-10-25T02:30:00+01:00")),
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # 2026-03-29: 02:00 CET becomes 03:00 CEST. An opening in the gap takes effect at the change,
        ('[["02:30", "05:00"]]', ("2026-03-29T03:00:00+02:00", "2026-03-29T05:00:00+02:00")),
        # so does a closing,
        ('[["01:00", "02:30"]]', ("2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00")),
        # and what lies in the gap as a whole is not there on that day.
        ('[["02:10", "02:50"]]', ("2026-03-30T02:10:00+02:00", "2026-03-30T02:50:00+02:00")),
    ],
)
def test_an_edge_in_a_gap_takes_effect_at_the_change(row: str, expected: tuple[str, str]) -> None:
    hours = policy(HOURS + f"daily = {row}")
    first = permitted(hours, utility(timezones=("Europe/Berlin",)), at("2026-03-29T00:00:00+01:00"))[0]
    assert first == (at(expected[0]), at(expected[1]))


def test_an_offset_stands_for_an_hour_either_way() -> None:
    hours = policy(HOURS + 'daily = [["08:00", "21:00"]]')
    first = permitted(hours, utility(utc_offset=330), at("2026-05-04T00:00:00+05:30"))[0]
    assert first == (at("2026-05-04T08:00:00+04:30"), at("2026-05-04T21:00:00+06:30"))


def test_a_country_means_all_its_zones() -> None:
    hours = policy(HOURS + 'daily = [["08:00", "21:00"]]')
    first = permitted(hours, utility(country="AU"), at("2026-05-04T00:00:00Z"))[0]
    # From the morning in Perth (and Eucla is no later) to the evening on Lord Howe Island and in Sydney.
    assert first == (at("2026-05-04T00:00:00Z"), at("2026-05-04T10:30:00Z"))
    second = permitted(hours, utility(country="AU"), at("2026-05-04T12:00:00Z"))[0]
    assert second == (at("2026-05-05T08:00:00+08:00"), at("2026-05-05T21:00:00+10:30"))


@pytest.mark.parametrize(
    ("facts", "opens", "closes"),
    [
        # Florida's own hours and the federal ones, in both zones of the state.
        (Facts(region="US-FL"), "2026-05-05T08:00:00-05:00", "2026-05-05T20:00:00-04:00"),
        # A region without a pack is its country.
        (Facts(region="US-WY", timezones=("America/Denver",)),
         "2026-05-05T08:00:00-06:00", "2026-05-05T21:00:00-06:00"),
        # No country: that of the zone binds.
        (Facts(timezones=("Asia/Kolkata",)), "2026-05-05T10:00:00+05:30", "2026-05-05T21:00:00+05:30"),
        (Facts(timezones=("Asia/Calcutta",)), "2026-05-05T10:00:00+05:30", "2026-05-05T21:00:00+05:30"),
        # Two zones, two countries: both packs bind in both zones.
        (Facts(timezones=("Asia/Kolkata", "Asia/Bangkok")), "2026-05-05T10:00:00+05:30", "2026-05-05T21:00:00+07:00"),
        # Taiwan's carriers close at noon.
        (Facts(country="TW", not_before=at("2026-05-05T12:40:00+08:00")),
         "2026-05-05T13:30:00+08:00", "2026-05-05T21:00:00+08:00"),
        # Texas opens late on Sundays; it is Sunday the 10th.
        (Facts(region="US-TX", timezones=("America/Chicago",), not_before=at("2026-05-10T01:00:00-05:00")),
         "2026-05-10T12:00:00-05:00", "2026-05-10T21:00:00-05:00"),
    ],
)  # fmt: skip
def test_jurisdictions_bind_as_the_place_says(facts: Facts, opens: str, closes: str) -> None:
    now = at("2026-05-04T23:30:00-04:00") if facts.not_before is None else facts.not_before
    facts.last_inbound = now
    decision = decide(DEFAULT, facts, now)
    assert (decision.at, decision.closes_at) == (at(opens), at(closes))


def test_jurisdictions_bind_by_their_reach() -> None:
    now = at("2026-05-04T22:30:00+09:00")
    text = '[policy]\nname = "t"\njurisdictions = "{}"'
    korea = Facts(country="KR", last_inbound=now)
    verdicts = {mode: decide(parse_policy(text.format(mode), where="t"), korea, now).verdict for mode in MODES}
    assert verdicts == {"courtesy": "defer", "legal": "defer", "off": "send"}
    india = Facts(country="IN", last_inbound=now + 7200)
    verdicts = {mode: decide(parse_policy(text.format(mode), where="t"), india, now + 7200).verdict for mode in MODES}
    assert verdicts == {"courtesy": "defer", "legal": "send", "off": "send"}


MODES = ("courtesy", "legal", "off")


def test_packs_bind_promotional_messages_only() -> None:
    now = at("2026-05-04T23:30:00-04:00")
    sends = tuple(Send(at=now - 60 * number, category="promotional") for number in range(5))
    assert decide(DEFAULT, utility(region="US-FL", sends=sends), now).verdict == "send"


def test_each_stretch_of_the_grounds_meets_the_hours() -> None:
    rules = policy(HOURS + 'daily = [["08:00", "12:00"], ["14:00", "20:00"]]\n')
    now = at("2026-05-05T10:00:00Z")
    facts = Facts(
        timezones=("Atlantic/Reykjavik",), country="DE", last_inbound=now - 19 * 3600,
        tokens=(Token(kind="recurring", last_used_at=now - 39 * 3600, expires_at=now + 24 * 3600),),
    )  # fmt: skip
    # The window until 15:00, the token from 19:00 until 10:00 of the next day.
    assert permitted(rules, facts, now) == (
        (now, at("2026-05-05T12:00:00Z")), (at("2026-05-05T14:00:00Z"), at("2026-05-05T15:00:00Z")),
        (at("2026-05-05T19:00:00Z"), at("2026-05-05T20:00:00Z")), (at("2026-05-06T08:00:00Z"), now + 24 * 3600),
    )  # fmt: skip
    late = replace(facts, last_inbound=now - 12 * 3600)
    assert permitted(rules, late, now)[1] == (at("2026-05-05T14:00:00Z"), at("2026-05-05T20:00:00Z"))


def test_while_the_zone_is_awaited_lifted_hours_are_open_where_they_are_in_any_candidate() -> None:
    late = HOURS + 'daily = [["22:00", "23:00"]]\n'
    rules = parse_policy(
        f'[policy]\nname = "t"\njurisdictions = "legal"\n[unknown_zone]\nmode = "hold"\n{late}', where="t"
    )
    now = at("2026-05-05T22:30:00+09:00")
    facts = Facts(
        timezones=("Asia/Seoul", "America/New_York"), last_inbound=now,
        consents=(Consent(kind="night", granted_at=now - 60),),
    )  # fmt: skip
    assert decide(rules, facts, now).because == ("unknown_zone",)
    assert decide(rules, facts, now).verdict == "defer"
    assert decide(rules, facts, now - 3600).because == ("quiet_hours", "unknown_zone")
    case = case_of(rules, facts, now, 0)
    assert quiet_hours.narrow(case, case.whole)[0] == (now, at("2026-05-05T23:00:00+09:00"))
    assert quiet_hours.narrow(case, ()) == ()
