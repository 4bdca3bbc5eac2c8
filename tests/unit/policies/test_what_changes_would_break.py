"""Small certainties that nothing else asks for: each is here because a change of the code went unnoticed without it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from policies import engine
from policies.decision import Finding
from policies.engine import broken_rule, decide, permitted
from policies.explain import explain
from policies.facts import Consent, Facts, Send
from policies.policy import Policy, load_policy, parse_policy
from policies.rules import kill_switch, suppression
from policies.rules.rule import Rule

NOON = int(datetime(2026, 5, 5, 12, tzinfo=UTC).timestamp())
HOUR, DAY = 3600, 86_400
PLATFORM = load_policy("platform-only")


def policy(text: str) -> Policy:
    return parse_policy(f'[policy]\nname = "t"\n{text}', where="t")


def finding_of(rule: str, asked: Policy, facts: Facts, now: int) -> Finding:
    return next(each for each in explain(asked, facts, now)[1] if each.rule == rule)


def breaks(*_: object) -> list[Finding]:
    raise ZeroDivisionError


@pytest.mark.parametrize("rule", [suppression, kill_switch])
def test_a_finding_that_fails_is_laid_to_its_rule(rule: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "findings", breaks)
    assert broken_rule(PLATFORM, Facts(), NOON, 0) == rule.NAME  # type: ignore[attr-defined]


def _nothing(*_: object) -> list[Finding]:
    return []


@pytest.mark.parametrize("narrow", [lambda _, times: times, lambda _, times: breaks() if times else times])
def test_a_hold_that_fails_is_named(narrow: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Rule("minimum_gap", narrow, lambda _: "minimum_gap", breaks)  # type: ignore[arg-type]
    monkeypatch.setattr(engine, "HOLDS", (hold,))
    assert broken_rule(PLATFORM, Facts(last_inbound=NOON), NOON, 0) == "minimum_gap"


def test_a_narrowing_that_fails_is_named_by_the_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Rule("minimum_gap", lambda _, times: breaks() if times else times, lambda _: "", _nothing)  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(engine, "HOLDS", (hold,))
    assert broken_rule(PLATFORM, Facts(last_inbound=NOON), NOON, 0) == "minimum_gap"


def test_one_second_that_suits_every_candidate_is_permitted() -> None:
    text = '[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "12:10"], ["18:00", "19:00"]]\n'
    now = NOON + 599
    facts = Facts(timezones=("Atlantic/Reykjavik", "America/Caracas"), last_inbound=NOON, expires_at=NOON + 8 * HOUR)
    assert permitted(policy(text), facts, now) == ((now, now + 1),)


def test_at_the_very_second_of_opening_no_zone_is_closed() -> None:
    text = '[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "12:30"]]\n'
    facts = Facts(timezones=("Atlantic/Reykjavik", "America/Caracas"), last_inbound=NOON)
    found = finding_of("quiet_hours", policy(text), facts, NOON)
    assert found.permits_now
    assert found.numbers["closed_zones"] == []
    before = finding_of("quiet_hours", policy(text), facts, NOON - 1)
    assert before.numbers["closed_zones"] == ["America/Caracas"]


def test_hours_that_no_consent_lifts_close_the_day_all_the_same() -> None:
    facts = Facts(
        timezones=("Asia/Seoul",),
        country="KR",
        last_inbound=NOON,
        consents=(Consent(kind="night", granted_at=NOON - DAY),),
    )
    asked = policy('jurisdictions = "courtesy"\n[[permitted_hours]]\nid = "h"\ndaily = []\n')
    assert decide(asked, facts, NOON).reason == "closed_day"


def test_a_night_consent_is_told_up_to_its_last_second() -> None:
    night = int(datetime(2026, 5, 5, 15, tzinfo=UTC).timestamp())  # midnight in Seoul
    consent = Consent(kind="night", granted_at=night - DAY, expires_at=night + 1)
    facts = Facts(timezones=("Asia/Seoul",), country="KR", last_inbound=night, consents=(consent,))
    asked = policy('jurisdictions = "courtesy"\n')
    last, over = (finding_of("quiet_hours", asked, facts, at) for at in (night, night + 1))
    assert (last.permits_now, over.permits_now) == (True, False)
    assert last.words.replace("2026-05-06 00:00 KST", "") != over.words.replace("2026-05-06 00:00 KST", "")
    assert "consent" in last.words
    assert "consent" not in over.words


def test_consent_that_ends_before_the_hours_open_has_expired() -> None:
    # There now, and gone by the time that the hours open: its end is to blame, so that is the reason.
    hours = '[[permitted_hours]]\nid = "h"\ndaily = [["14:00", "20:00"]]\n'
    asked = policy('jurisdictions = "courtesy"\n[consent]\nrequire = "packs"\n' + hours)
    consent = Consent(kind="express", granted_at=NOON - DAY, expires_at=NOON + HOUR)
    facts = Facts(timezones=("Etc/UTC",), country="CA", last_inbound=NOON, consents=(consent,))
    decision = decide(asked, facts, NOON)
    assert (decision.verdict, decision.because) == ("deny", ("consent", "quiet_hours"))
    assert decision.reason == "consent_expired"


def test_a_gap_is_the_reason_beside_a_cap_by_the_calendar_too() -> None:
    asked = policy('[[minimum_gap]]\nid = "g"\nbetween = "1h"\n[[frequency_cap]]\nid = "c"\nlimit = 2\nper = "day"\n')
    facts = Facts(timezones=("Etc/UTC",), last_inbound=NOON, sends=(Send(at=NOON, category="service"),))
    decision = decide(asked, facts, NOON)
    assert (decision.verdict, decision.at, decision.because) == ("defer", NOON + HOUR, ("minimum_gap",))
    assert decision.reason == "minimum_gap"
