"""Consent that jurisdictions ask for, and how long it lasts."""

from __future__ import annotations

from datetime import datetime

import pytest

from policies.case import case_of
from policies.decision import Finding
from policies.engine import decide, permitted
from policies.explain import explain
from policies.facts import Consent, Facts
from policies.policy import Policy, parse_policy
from policies.rules import consent


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def asking(jurisdictions: str = "courtesy") -> Policy:
    text = f'[policy]\nname = "t"\njurisdictions = "{jurisdictions}"\n[consent]\nrequire = "packs"\n'
    return parse_policy(text, where="t")


POLICY = asking()
NOON = at("2026-05-05T12:00:00-04:00")
HOUR, DAY = 3600, 86_400


def canadian(*consents: Consent, topic: str | None = None) -> Facts:
    return Facts(timezones=("America/Toronto",), country="CA", last_inbound=NOON - HOUR, consents=consents, topic=topic)


def consent_finding(facts: Facts, now: int = NOON, policy: Policy = POLICY) -> Finding:
    return next(found for found in explain(policy, facts, now)[1] if found.rule == "consent")


def test_without_consent_a_promotion_is_refused() -> None:
    decision = decide(POLICY, canadian(), NOON)
    assert (decision.verdict, decision.reason, decision.because) == ("deny", "no_consent", ("consent",))
    found = consent_finding(canadian(topic="news"))
    assert (found.reason, found.permits_now, found.next_at) == ("no_consent", False, None)
    assert (found.clause, found.binds) == ("CA.consent", "statute")
    assert found.citation == "CASL (S.C. 2010 c.23) ss. 6, 10(9)-(14)"
    assert found.words == "CA asks for express or implied consent; there is none about `news`"


def test_express_consent_does_not_end_in_canada() -> None:
    facts = canadian(Consent(kind="express", granted_at=at("2014-07-01T00:00Z")))
    assert decide(POLICY, facts, NOON).verdict == "send"
    assert consent_finding(facts).words == "CA asks for express or implied consent; there is one"


def test_implied_consent_ends_by_the_calendar() -> None:
    # An inquiry's six months: from 31 August to the last of February.
    facts = canadian(Consent(kind="implied", granted_at=at("2025-08-31T12:00Z")))
    end = at("2026-02-28T12:00Z")
    facts.last_inbound = end - HOUR
    assert permitted(POLICY, facts, end - 60) == ((end - 60, end),)
    decision = decide(POLICY, facts, end)
    assert (decision.verdict, decision.reason, decision.because) == ("deny", "consent_expired", ("consent",))
    assert consent_finding(facts, end).words.endswith("; the last one ended at 2026-02-28 07:00 EST")
    before = consent_finding(facts, end - 60)
    assert (before.numbers["until"], before.permits_now) == (end, True)
    assert before.words.endswith("there is one, until 2026-02-28 07:00 EST")


def test_a_stated_end_is_believed_up_to_a_limit() -> None:
    granted = at("2024-05-05T12:00Z")
    stated = canadian(Consent(kind="implied", granted_at=granted, expires_at=at("2030-01-01T00:00Z")))
    assert decide(POLICY, stated, at("2026-05-05T11:59:59Z")).reason != "consent_expired"
    assert decide(POLICY, stated, at("2026-05-05T12:00Z")).reason == "consent_expired"
    sooner = canadian(Consent(kind="implied", granted_at=granted, expires_at=NOON - 1))
    assert decide(POLICY, sooner, NOON).reason == "consent_expired"


def test_a_consent_that_ends_within_the_guard_does_not_last() -> None:
    facts = canadian(Consent(kind="express", granted_at=0, expires_at=NOON + 2))
    assert decide(POLICY, facts, NOON, min_remaining=1).verdict == "send"
    assert decide(POLICY, facts, NOON, min_remaining=2).because == ("consent",)


def test_a_consent_to_come_is_waited_for() -> None:
    decision = decide(POLICY, canadian(Consent(kind="express", granted_at=NOON + HOUR)), NOON)
    assert (decision.verdict, decision.at, decision.because) == ("defer", NOON + HOUR, ("consent",))
    assert decision.reason == "no_consent"


@pytest.mark.parametrize(
    ("given", "asked", "verdict"), [(None, None, "send"), (None, "news", "send"), ("news", "news", "send"),
                                    ("news", None, "deny"), ("news", "sale", "deny")],
)  # fmt: skip
def test_a_consent_speaks_of_its_topic(given: str | None, asked: str | None, verdict: str) -> None:
    facts = canadian(Consent(kind="express", granted_at=0, topic=given), topic=asked)
    assert decide(POLICY, facts, NOON).verdict == verdict


def test_the_night_consent_is_no_consent() -> None:
    facts = canadian(Consent(kind="night", granted_at=NOON - DAY))
    assert decide(POLICY, facts, NOON).reason == "no_consent"


def test_a_kind_that_is_not_accepted_is_none() -> None:
    american = Facts(timezones=("America/New_York",), country="US", last_inbound=NOON - HOUR)
    american.consents = (Consent(kind="implied", granted_at=NOON - DAY),)
    assert decide(POLICY, american, NOON).reason == "no_consent"
    american.consents = (Consent(kind="express", granted_at=NOON - DAY),)
    assert decide(POLICY, american, NOON).verdict == "send"


def test_every_jurisdiction_of_the_place_asks() -> None:
    facts = Facts(timezones=("America/Toronto", "Asia/Seoul"), last_inbound=NOON - HOUR)
    facts.consents = (Consent(kind="express", granted_at=at("2024-01-01T00:00Z")),)
    # Two years have passed: Korea's has ended, Canada's has not.
    found = [each for each in explain(POLICY, facts, NOON)[1] if each.rule == "consent"]
    assert [(each.clause, each.reason) for each in found] == [("CA.consent", None), ("KR.consent", "consent_expired")]
    german = Facts(timezones=("Europe/Berlin",), country="DE", last_inbound=NOON - HOUR)
    assert [each.clause for each in explain(POLICY, german, NOON)[1] if each.rule == "consent"] == [
        "DE.consent", "EU.consent",
    ]  # fmt: skip


def test_nothing_known_asks_for_express_consent() -> None:
    facts = Facts(timezones=("Etc/UTC",), last_inbound=NOON - HOUR)
    assert decide(POLICY, facts, NOON).reason == "no_consent"
    assert consent_finding(facts).words == "nothing tells the country, so express consent is asked for; there is none"
    assert consent_finding(facts).clause == "consent"
    facts.consents = (Consent(kind="implied", granted_at=0), Consent(kind="express", granted_at=0, expires_at=NOON))
    assert decide(POLICY, facts, NOON).reason == "consent_expired"
    facts.consents = (Consent(kind="express", granted_at=0),)
    assert decide(POLICY, facts, NOON).verdict == "send"


def test_who_is_not_asked() -> None:
    thai = Facts(timezones=("Asia/Bangkok",), country="TH", last_inbound=NOON - HOUR)
    assert consent_finding(thai).words == "no jurisdiction asks for consent to this message"
    for category in ("utility", "service"):
        facts = canadian()
        facts.category = category
        assert decide(POLICY, facts, NOON).verdict == "send"
    assert decide(asking("off"), canadian(), NOON).verdict == "send"
    # In legal mode only what reaches messages in an app; the American rules are about calls and texts.
    american = Facts(timezones=("America/New_York",), country="US", last_inbound=NOON - HOUR)
    assert decide(asking("legal"), american, NOON).verdict == "send"
    assert decide(asking("legal"), canadian(), NOON).reason == "no_consent"


def test_inbound_is_consent_enough_for_other_policies() -> None:
    policy = parse_policy('[policy]\nname = "t"\njurisdictions = "courtesy"\n', where="t")
    assert decide(policy, canadian(), NOON).verdict == "send"
    words = "writing to the page, or granting a token, is consent enough for this policy"
    assert consent_finding(canadian(), policy=policy).words == words


def test_blame_of_consent_and_others() -> None:
    facts = canadian()
    facts.last_inbound = NOON - 2 * DAY
    # Neither alone would help: each by itself leaves nothing.
    assert decide(POLICY, facts, NOON).because == ("consent", "messaging_window")
    facts.kill_switch = True
    assert decide(POLICY, facts, NOON).because == ("consent", "messaging_window")
    facts = canadian(Consent(kind="express", granted_at=NOON + HOUR))
    facts.kill_switch = True
    decision = decide(POLICY, facts, NOON)
    assert (decision.verdict, decision.because, decision.at) == ("defer", ("consent", "kill_switch"), None)
    assert (decision.reason, decision.wakes_on) == ("no_consent", "resume")


def test_where_one_jurisdiction_has_nothing_the_next_is_not_asked() -> None:
    nobody = Facts(timezones=("America/Toronto", "Asia/Seoul"), last_inbound=NOON)
    case = case_of(POLICY, nobody, NOON, 0)
    assert len(case.binding.consents) > 1
    assert consent.narrow(case, case.whole) == ()
    assert consent.narrow(case, ()) == ()
