"""A message that may wait is parked where time could lift the denial, and denied where it could not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from policies.case import case_of
from policies.decision import Decision
from policies.engine import decide, judge, permitted
from policies.explain import explain
from policies.facts import Consent, Facts, Send
from policies.forecast import forecast
from policies.policy import Policy, load_policy, parse_policy

DEFAULT = load_policy("default")
PLATFORM = load_policy("platform-only")
HOUR, DAY = 3600, 86_400
NOON = int(datetime.fromisoformat("2026-05-05T12:00:00+02:00").timestamp())
#: Nothing tells where they are, and the night is always somewhere.
NOBODY_KNOWS = Facts(may_wait=True, last_inbound=NOON - HOUR)


def berlin(**facts: object) -> Facts:
    return Facts(timezones=("Europe/Berlin",), country="DE", **{"may_wait": True, **facts})  # type: ignore[arg-type]  # the names are those of Facts


def both_ways(policy: Policy, facts: Facts, now: int, remaining: int = 0) -> Decision:
    """The decision, which the rules themselves take too."""
    found = decide(policy, facts, now, min_remaining=remaining)
    assert found == judge(case_of(policy, facts, now, remaining))
    return found


def waits(reason: str, *because: str, wakes_on: str = "inbound") -> Decision:
    return Decision(verdict="defer", reason=reason, because=because, wakes_on=wakes_on)


def test_a_closed_window_waits_for_the_person_and_they_lift_it() -> None:
    facts = berlin()
    assert both_ways(DEFAULT, facts, NOON) == waits("window_closed", "messaging_window")
    assert permitted(DEFAULT, facts, NOON) == ()
    assert both_ways(DEFAULT, replace(facts, last_inbound=NOON + 240), NOON + 240).verdict == "send"
    assert both_ways(DEFAULT, replace(facts, may_wait=False), NOON) == Decision(
        verdict="deny", reason="window_closed", because=("messaging_window",)
    )


def test_a_window_that_closes_too_soon_waits_with_the_reason_it_had() -> None:
    evening = NOON + 10 * HOUR  # 22:00: closed until 08:00
    facts = berlin(last_inbound=evening - 20 * HOUR)
    assert both_ways(DEFAULT, facts, evening) == waits(
        "window_closes_in_quiet_hours", "messaging_window", "quiet_hours"
    )
    capped = berlin(last_inbound=NOON - 20 * HOUR, sends=(Send(at=NOON - HOUR, category="promotional"),))
    assert both_ways(DEFAULT, capped, NOON) == waits("window_closes_before_cap", "messaging_window", "frequency_cap")


def test_a_cap_that_outlasts_a_window_is_no_reason_to_give_up() -> None:
    # Three in seven days: full for three more. Whoever writes after that gets it.
    sends = tuple(Send(at=NOON - days * DAY, category="promotional") for days in (2, 3, 4))
    facts = berlin(sends=sends, expires_at=NOON + 6 * DAY)
    assert both_ways(DEFAULT, facts, NOON) == waits("window_closed", "messaging_window")
    later = NOON + 4 * DAY
    assert both_ways(DEFAULT, replace(facts, last_inbound=later), later).verdict == "send"
    assert both_ways(DEFAULT, replace(facts, expires_at=NOON + 2 * DAY), NOON).verdict == "deny"


def test_it_does_not_wait_for_what_cannot_come() -> None:
    evening = NOON + 10 * HOUR
    for facts, now, reason in (
        (berlin(expires_at=evening + 2 * HOUR), evening, "window_closed"),  # the night outlasts it
        (berlin(expires_at=NOON), NOON, "expired"),
        (berlin(opted_out=True), NOON, "opted_out"),
        (berlin(blocked=True), NOON, "blocked"),
        (berlin(not_before=NOON + 31 * DAY), NOON, "window_closed"),
    ):
        found = both_ways(DEFAULT, facts, now)
        assert (found.verdict, found.wakes_on) == ("deny", None), reason
        assert found.reason == reason or reason == "window_closed"


def test_a_missing_consent_is_not_lifted_by_a_message() -> None:
    asking = parse_policy('[policy]\nname = "t"\nextends = "default"\n[consent]\nrequire = "packs"\n', where="t")
    assert both_ways(asking, berlin(), NOON).reason == "no_consent"
    assert both_ways(asking, berlin(), NOON).verdict == "deny"
    given = berlin(consents=(Consent(kind="express", granted_at=NOON - DAY),))
    assert both_ways(asking, given, NOON) == waits("window_closed", "messaging_window")


ASKING = '[policy]\nname = "t"\nextends = "default"\n[consent]\nrequire = "packs"\n'


@pytest.mark.parametrize(
    ("known", "wakes_on"),
    [
        # Open at noon in each of them, so that consent alone is in the way; Taiwan asks for none.
        ({"timezones": ("Asia/Taipei", "Asia/Tokyo")}, "zone_evidence"),
        ({"timezones": ("Asia/Tokyo", "Asia/Seoul")}, None),
        ({"timezones": ("Asia/Taipei", "Asia/Tokyo"), "last_inbound": None}, "zone_evidence"),
        # Stated, the country asks by itself, whichever of its clocks is theirs.
        ({"timezones": ("Asia/Tokyo",)}, None),
        ({"country": "JP"}, None),
        # Taiwan would do, but the message ends at once.
        ({"timezones": ("Asia/Taipei", "Asia/Tokyo"), "expires_at": NOON + 60}, None),
        ({"timezones": ("Asia/Taipei", "Asia/Tokyo"), "opted_out": True}, None),
    ],
)
def test_a_consent_that_only_some_of_the_possible_places_ask_for_waits_for_word_of_the_place(
    known: dict[str, object], wakes_on: str | None
) -> None:
    policy = parse_policy(ASKING, where="t")
    now = int(datetime.fromisoformat("2026-05-05T12:00:00+09:00").timestamp())
    facts = replace(Facts(may_wait=True, last_inbound=now - HOUR), **known)  # type: ignore[arg-type]  # the names are those of Facts
    if facts.expires_at is not None:
        facts.expires_at = now + 60
    found = both_ways(policy, facts, now, remaining=120)
    assert found.wakes_on == wakes_on
    assert found.verdict == ("deny" if wakes_on is None else "defer")
    assert found.reason == both_ways(policy, replace(facts, may_wait=False), now, remaining=120).reason
    if wakes_on and facts.last_inbound:
        assert found.because == ("consent",)
        there = replace(facts, timezones=("Asia/Taipei",), utc_offset=None)
        assert both_ways(policy, there, now, remaining=120).verdict == "send"


def test_where_the_policy_assumes_a_zone_the_country_is_still_to_be_known() -> None:
    assumed = ASKING + '[unknown_zone]\nmode = "fallback"\nzone = "Europe/Berlin"\n'
    facts = Facts(may_wait=True, last_inbound=NOON - HOUR)
    assert both_ways(parse_policy(assumed, where="t"), facts, NOON) == waits(
        "no_consent", "consent", wakes_on="zone_evidence"
    )
    there = replace(facts, timezones=("Europe/Berlin",))
    assert both_ways(parse_policy(assumed, where="t"), there, NOON).verdict == "deny"


def test_a_launch_ahead_waits_for_whoever_s_window_will_have_closed() -> None:
    facts = berlin(last_inbound=NOON - HOUR, not_before=NOON + 3 * DAY)
    assert both_ways(DEFAULT, facts, NOON) == waits("window_closed", "messaging_window", "schedule")
    assert both_ways(DEFAULT, replace(facts, last_inbound=NOON + 70 * HOUR), NOON + 70 * HOUR).at == NOON + 3 * DAY


def test_an_unknown_zone_waits_for_word_of_it() -> None:
    assert both_ways(DEFAULT, replace(NOBODY_KNOWS, may_wait=False), NOON).verdict == "deny"
    assert both_ways(DEFAULT, NOBODY_KNOWS, NOON) == waits("unknown_zone", "unknown_zone", wakes_on="zone_evidence")
    assert both_ways(DEFAULT, replace(NOBODY_KNOWS, timezones=("Europe/Berlin",)), NOON).verdict == "send"
    # Neither where they are nor a window: first the one, then the other.
    stranger = replace(NOBODY_KNOWS, last_inbound=None)
    assert both_ways(DEFAULT, stranger, NOON).wakes_on == "zone_evidence"
    assert both_ways(DEFAULT, replace(stranger, timezones=("Europe/Berlin",)), NOON).wakes_on == "inbound"


def test_an_unknown_zone_does_not_wait_where_none_would_do() -> None:
    # Whatever their zone: the week's three have gone, and it expires before the first of them drops out.
    sends = tuple(Send(at=NOON - hours * HOUR, category="promotional") for hours in (30, 60, 90))
    facts = replace(NOBODY_KNOWS, sends=sends, expires_at=NOON + 2 * DAY)
    assert both_ways(DEFAULT, facts, NOON) == Decision(verdict="deny", reason="unknown_zone", because=("unknown_zone",))
    assert both_ways(DEFAULT, replace(facts, expires_at=NOON + 6 * DAY), NOON).verdict == "defer"


@pytest.mark.parametrize(
    ("zones", "wakes_on"),
    [
        # Taiwan asks for no consent, so a message could go there.
        (("Asia/Taipei", "Europe/Berlin", "America/Los_Angeles"), "zone_evidence"),
        # Oslo's clock is Berlin's by another name, under other laws.
        (("Europe/Berlin", "Europe/Oslo", "Pacific/Auckland", "America/New_York"), "zone_evidence"),
        (("Pacific/Auckland", "Europe/Berlin", "America/New_York"), None),
        # A bare offset is in no country, and unknown is not permitted.
        (("Pacific/Auckland", "Europe/Berlin", "Etc/GMT+8"), None),
    ],
)
def test_each_possible_zone_is_judged_by_its_own_country_s_laws(zones: tuple[str, ...], wakes_on: str | None) -> None:
    asking = parse_policy('[policy]\nname = "t"\nextends = "default"\n[consent]\nrequire = "packs"\n', where="t")
    found = both_ways(asking, replace(NOBODY_KNOWS, timezones=zones), NOON)
    assert (found.because, found.wakes_on) == (("unknown_zone",), wakes_on)


def test_a_policy_that_holds_for_the_zone_still_waits_for_the_window_first() -> None:
    holding = parse_policy('[policy]\nname = "t"\nextends = "default"\n[unknown_zone]\nmode = "hold"\n', where="t")
    assert both_ways(holding, replace(NOBODY_KNOWS, last_inbound=None), NOON) == waits(
        "window_closed", "messaging_window"
    )
    assert both_ways(holding, NOBODY_KNOWS, NOON).wakes_on == "zone_evidence"


@pytest.mark.parametrize("switch", ["kill_switch", "campaign_paused", "page_stopped", "held"])
def test_what_is_switched_off_waits_for_the_person_all_the_same(switch: str) -> None:
    facts = berlin(**{switch: True})
    assert both_ways(PLATFORM, facts, NOON) == waits("window_closed", "messaging_window")
    written = both_ways(PLATFORM, replace(facts, last_inbound=NOON), NOON)
    assert (written.verdict, written.because) == ("defer", ("kill_switch",))


def test_a_conversation_of_the_team_may_be_handed_back_while_it_waits() -> None:
    timed = parse_policy('[policy]\nname = "t"\n[handover]\ntimeout = "7d"\n', where="t")
    facts = berlin(handover=True, handover_at=NOON - HOUR, expires_at=NOON + 2 * DAY)
    found = both_ways(timed, facts, NOON)
    assert (found.verdict, found.reason, found.wakes_on) == ("defer", "window_closed", "inbound")


def test_a_window_too_short_to_begin_in_is_not_waited_for() -> None:
    short = parse_policy('[policy]\nname = "t"\n[messaging_window]\nmargin = "23h59m"\n', where="t")
    assert both_ways(short, berlin(), NOON, 59).verdict == "defer"
    assert both_ways(short, berlin(), NOON, 60).verdict == "deny"


def test_the_window_and_the_zone_are_all_that_a_forecast_waits_for() -> None:
    seen = forecast(DEFAULT, berlin(), NOON)
    assert seen.decision.wakes_on == "inbound"
    assert not any(stretch.permitted for stretch in seen.stretches)
    decision, findings = explain(DEFAULT, berlin(), NOON)
    assert decision.wakes_on == "inbound"
    assert [finding.rule for finding in findings if not finding.permits_now] == ["messaging_window"]
