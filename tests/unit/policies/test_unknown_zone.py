from __future__ import annotations

from datetime import datetime

import pytest

from policies.engine import decide, permitted
from policies.facts import Consent, Facts, Send
from policies.policy import Policy, load_policy, parse_policy
from policies.timeline import Timeline

DEFAULT = load_policy("default")
HOURS = '[[permitted_hours]]\nid = "house"\napplies_to = ["promotional"]\ndaily = [["08:00", "21:00"]]\n'


def at(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


def policy(mode: str, more: str = HOURS) -> Policy:
    return parse_policy(f'[policy]\nname = "t"\n[unknown_zone]\n{mode}\n{more}', where="t.policy.toml")


NOON = at("2026-05-05T12:00:00-04:00")


def test_no_instant_suits_the_whole_world() -> None:
    decision = decide(DEFAULT, Facts(last_inbound=NOON), NOON)
    assert (decision.verdict, decision.reason, decision.because) == ("deny", "unknown_zone", ("unknown_zone",))
    assert permitted(DEFAULT, Facts(last_inbound=NOON), NOON) == ()


def test_it_is_judged_first() -> None:
    for facts in (Facts(), Facts(handover=True), Facts(last_inbound=NOON - 90_000, kill_switch=True)):
        assert decide(DEFAULT, facts, NOON).because == ("unknown_zone",)
    assert decide(DEFAULT, Facts(opted_out=True), NOON).because == ("suppression",)


def test_a_message_that_no_hours_bind_needs_no_zone() -> None:
    assert decide(DEFAULT, Facts(category="service", last_inbound=NOON), NOON).verdict == "send"
    assert decide(policy('mode = "hold"'), Facts(category="service", last_inbound=NOON), NOON).verdict == "send"


def test_a_night_that_falls_in_every_candidate_is_a_night() -> None:
    # New York and Chicago until 23:30 New York time: neither has an instant by itself.
    now = at("2026-05-05T22:30:00-04:00")
    facts = Facts(timezones=("America/New_York", "America/Chicago"), last_inbound=now, expires_at=now + 3600)
    assert decide(DEFAULT, facts, now).because == ("schedule", "quiet_hours")


def test_candidates_without_a_common_instant_before_the_expiry() -> None:
    # From 20:50 in Berlin to 08:10 in Tokyo's morning: each has its ten minutes, not the same ones.
    now = at("2026-05-05T20:50:00+02:00")
    facts = Facts(
        timezones=("Europe/Berlin", "Asia/Tokyo"), last_inbound=now, expires_at=at("2026-05-06T08:10:00+09:00")
    )
    assert decide(DEFAULT, facts, now).because == ("unknown_zone",)
    facts.expires_at = None
    decision = decide(DEFAULT, facts, now)
    assert (decision.verdict, decision.because) == ("defer", ("quiet_hours",))
    assert decision.at == at("2026-05-06T08:00:00+02:00")


def test_a_defer_names_the_hours_if_any_candidate_is_closed() -> None:
    now = at("2026-05-05T09:00:00-04:00")
    decision = decide(DEFAULT, Facts(country="US", last_inbound=now), now)
    assert (decision.verdict, decision.reason) == ("defer", "quiet_hours")
    assert decision.at == at("2026-05-05T08:00:00-10:00")


def test_calendar_caps_are_judged_with_the_hours() -> None:
    # It is the 6th, 08:00 in Berlin and 15:00 in Tokyo; the last send was on the 5th in Berlin, on the 6th in Tokyo.
    # Berlin may until 19:00Z, Tokyo from 23:00Z on: each alone has some, and they share none before the expiry.
    rules = policy('mode = "all_candidates"', HOURS + '[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "day"')
    now, sends = at("2026-05-06T06:00:00Z"), (Send(at=at("2026-05-05T20:30:00Z"), category="promotional"),)
    facts = Facts(timezones=("Europe/Berlin", "Asia/Tokyo"), last_inbound=now, sends=sends)
    facts.expires_at = at("2026-05-06T23:30:00Z")
    assert decide(rules, facts, now).because == ("unknown_zone",)
    facts.sends = ()
    assert decide(rules, facts, now).verdict == "send"


@pytest.mark.parametrize("facts", [Facts(), Facts(utc_offset=-240), Facts(country="US"), Facts(region="US-TX")])
def test_hold_waits_for_evidence(facts: Facts) -> None:
    facts.last_inbound = NOON
    decision = decide(policy('mode = "hold"'), facts, NOON)
    assert (decision.verdict, decision.at, decision.wakes_on) == ("defer", None, "zone_evidence")
    assert (decision.because, decision.reason) == (("unknown_zone",), "unknown_zone")


def test_hold_does_not_wait_where_nothing_would_be_left() -> None:
    decision = decide(policy('mode = "hold"'), Facts(last_inbound=NOON - 90_000), NOON)
    assert (decision.verdict, decision.because) == ("deny", ("messaging_window",))


def test_hold_lets_a_known_zone_go() -> None:
    for facts in (
        Facts(timezones=("America/New_York",)),
        Facts(country="JP"),
        Facts(timezones=("US/Eastern", "America/New_York")),
    ):
        facts.last_inbound = NOON
        assert decide(policy('mode = "hold"'), facts, NOON).wakes_on is None


def test_fallback_serves_only_without_any_evidence() -> None:
    rules = policy('mode = "fallback"\nzone = "America/New_York"')
    assert decide(rules, Facts(last_inbound=NOON), NOON).verdict == "send"
    night = at("2026-05-05T22:00:00-04:00")
    assert decide(rules, Facts(last_inbound=night), night).at == at("2026-05-06T08:00:00-04:00")
    morning = at("2026-05-05T09:00:00-04:00")
    assert decide(rules, Facts(last_inbound=morning), morning).verdict == "send"
    assert decide(rules, Facts(last_inbound=morning, country="US"), morning).because == ("quiet_hours",)


def test_a_cap_that_closes_every_candidate_is_a_cap() -> None:
    rules = policy('mode = "all_candidates"', HOURS + '[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "day"')
    now = at("2026-05-06T08:00:00Z")
    facts = Facts(timezones=("Europe/Berlin", "Asia/Tokyo"), last_inbound=now, expires_at=now + 3600)
    facts.sends = (Send(at=now - 60, category="promotional"),)
    assert decide(rules, facts, now).because == ("schedule", "frequency_cap")


def test_a_common_instant_must_lie_before_the_expiry_for_as_long_as_is_asked() -> None:
    timeline = Timeline(((100, 200), (300, 400)))
    assert timeline.opens(0, 101, 0)
    assert not timeline.opens(0, 101, 1)
    assert not timeline.opens(0, 100, 0)
    assert timeline.opens(199, 300, 0)
    assert not timeline.opens(199, 301, 1)
    assert timeline.opens(199, 302, 1)


def test_hours_that_a_consent_lifts_are_lifted_in_every_candidate() -> None:
    late = '[[permitted_hours]]\nid = "late"\ndaily = [["22:00", "23:00"]]\n'
    policy = parse_policy(f'[policy]\nname = "t"\njurisdictions = "legal"\n{late}', where="t")
    now = at("2026-05-05T12:00:00Z")
    facts = Facts(timezones=("Asia/Seoul", "America/New_York"), last_inbound=now)
    # South Korea's night leaves nothing of the late hour, in either zone.
    assert decide(policy, facts, now).because == ("quiet_hours",)
    # Whoever agreed to the night has that hour in each zone, and no instant that is late in both.
    facts.consents = (Consent(kind="night", granted_at=now - 60),)
    assert decide(policy, facts, now).because == ("unknown_zone",)
    weekly = '[[frequency_cap]]\nid = "weekly"\nlimit = 9\nper = "week"\n'
    capped = parse_policy(f'[policy]\nname = "t"\njurisdictions = "legal"\n{late}{weekly}', where="t")
    facts.sends = tuple(Send(at=now - 60, category="promotional") for _ in range(9))
    decision = decide(capped, facts, now)
    assert (decision.because, decision.reason) == (("unknown_zone",), "unknown_zone")
    without = parse_policy(f'[policy]\nname = "t"\njurisdictions = "legal"\n{weekly}', where="t")
    decision = decide(without, facts, now)
    assert (decision.because, decision.reason) == (("messaging_window", "frequency_cap"), "window_closes_before_cap")
    facts.sends = ()
    facts.timezones = ("Asia/Seoul",)
    assert decide(policy, facts, now).at == at("2026-05-05T22:00:00+09:00")


def test_whether_any_instant_suits_all_is_asked_for_each_stretch_of_time() -> None:
    late = '[[permitted_hours]]\nid = "late"\ndaily = [["22:00", "23:00"]]\n'
    daily = '[[frequency_cap]]\nid = "daily"\nlimit = 1\nper = "day"\n'
    now = at("2026-05-05T12:00:00Z")
    facts = Facts(timezones=("Asia/Seoul", "America/New_York"), category="utility", template_approved=True)
    for text in (late, late + daily):
        policy = parse_policy(f'[policy]\nname = "t"\njurisdictions = "off"\n{text}', where="t")
        facts.sends = (Send(at=now - 60, category="utility"),) if text != late else ()
        facts.expires_at = None
        decision = decide(policy, facts, now)
        assert (decision.because, decision.reason) == (("unknown_zone",), "unknown_zone")
        # Within half an hour it is late in neither.
        facts.expires_at = now + 1800
        assert "unknown_zone" not in decide(policy, facts, now).because
        assert "quiet_hours" in decide(policy, facts, now).because
