"""The hours to come as stretches, and the texts behind a decision."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest

from policies import engine
from policies.clauses import clauses, deciding
from policies.engine import decide
from policies.explain import explain
from policies.facts import Consent, Facts, Send, Token
from policies.forecast import Forecast, Stretch, forecast
from policies.law import jurisdictions_with_packs
from policies.policy import Policy, load_policy, parse_policy


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


HOUR, DAY = 3600, 86_400
NOON = at("2026-05-05T12:00:00+02:00")
DEFAULT = load_policy("default")
#: What the packs say has no say in these results.
OFF = parse_policy('[policy]\nname = "off"\nextends = "default"\njurisdictions = "off"\n', where="t")


def german(**known: object) -> Facts:
    facts = Facts(timezones=("Europe/Berlin",), country="DE", last_inbound=NOON)
    for name, value in known.items():
        setattr(facts, name, value)
    return facts


def _answer(each: Stretch) -> tuple[str, str | None]:
    return (each.ground or "permitted", None) if each.permitted else (" ".join(each.because), each.reason)


def rows(found: Forecast, start: int) -> list[tuple[float, str, str | None]]:
    return [((each.start - start) / HOUR, *_answer(each)) for each in found.stretches]


def test_two_days_ahead() -> None:
    found = forecast(OFF, german(), NOON)
    assert found.decision == decide(OFF, german(), NOON)
    assert rows(found, NOON) == [
        (0, "standard_window", None),
        (9, "quiet_hours", "quiet_hours"),
        (20, "standard_window", None),
        (24 - 1 / 12, "messaging_window", "window_closed"),
        (33, "messaging_window quiet_hours", "window_closed"),
        (44, "messaging_window", "window_closed"),
    ]
    assert (found.stretches[0].start, found.stretches[-1].end) == (NOON, NOON + 48 * HOUR)


def test_a_guard_shortens_what_is_permitted() -> None:
    found = forecast(OFF, german(), NOON, min_remaining=600, span=12 * HOUR)
    assert [each.end - each.start for each in found.stretches] == [9 * HOUR - 600, 3 * HOUR + 600]
    for each in found.stretches:
        for instant in (each.start, each.end - 1):
            assert (decide(OFF, german(), instant, min_remaining=600).verdict == "send") == each.permitted


def test_the_ground_changes_within_the_permitted_times() -> None:
    facts = german(category="utility", template_approved=True, last_inbound=NOON - 20 * HOUR)
    found = forecast(OFF, facts, NOON, span=6 * HOUR)
    assert rows(found, NOON) == [(0, "standard_window", None), (4 - 1 / 12, "utility_template", None)]


def test_a_resting_token_and_a_cap() -> None:
    facts = Facts(timezones=("America/New_York",), country="US", tokens=(Token(kind="marketing"),))
    facts.sends = (Send(at=NOON - 20 * HOUR, category="promotional", ground="marketing_token"),)
    assert rows(forecast(OFF, facts, NOON, span=30 * HOUR), NOON) == [
        (0, "messaging_window frequency_cap quiet_hours", "window_closed"),
        (2, "messaging_window frequency_cap", "window_closed"),
        (4, "marketing_token", None),
        (15, "quiet_hours", "quiet_hours"),
        (26, "marketing_token", None),
    ]


@pytest.mark.parametrize(
    ("known", "because", "reason"),
    [({"blocked": True}, ("suppression",), "blocked"), ({"expires_at": NOON}, ("schedule",), "expired")],
)
def test_bars_close_all_of_it(known: dict[str, object], because: tuple[str, ...], reason: str) -> None:
    found = forecast(OFF, german(**known), NOON)
    assert found.stretches == (
        Stretch(start=NOON, end=NOON + 2 * DAY, permitted=False, ground=None, because=because, reason=reason),
    )


def test_switches_and_handover() -> None:
    paused = forecast(OFF, german(kill_switch=True), NOON, span=10 * HOUR)
    assert rows(paused, NOON) == [(0, "kill_switch", "kill_switch"), (9, "kill_switch quiet_hours", "kill_switch")]
    handed = german(handover=True, handover_at=NOON - 7 * DAY + HOUR)
    assert rows(forecast(OFF, handed, NOON, span=2 * HOUR), NOON) == [
        (0, "handover", "handover"), (1, "standard_window", None),
    ]  # fmt: skip
    assert rows(forecast(OFF, german(expires_at=NOON + HOUR), NOON, span=2 * HOUR), NOON) == [
        (0, "standard_window", None), (1, "schedule", "expired"),
    ]  # fmt: skip


def test_nowhere_known() -> None:
    found = forecast(OFF, Facts(last_inbound=NOON), NOON)
    assert rows(found, NOON) == [(0, "unknown_zone", "unknown_zone")]
    unheard_of = forecast(OFF, Facts(timezones=("Mars/Phobos",), last_inbound=NOON), NOON)
    assert rows(unheard_of, NOON) == rows(found, NOON)
    broken = forecast(OFF, Facts(timezones=(7,), last_inbound=NOON), NOON)  # type: ignore[arg-type]
    assert rows(broken, NOON) == [(0, "unknown_zone", "rule_error")]


def test_a_rule_that_raises_permits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine, "decide_plain", fail)
    broken = decide(OFF, german(), NOON, min_remaining=2)
    # No rule raises when it is asked: the first to be judged, the zone, stands for whatever did.
    assert (broken.verdict, broken.because, broken.reason) == ("deny", ("unknown_zone",), "rule_error")


def test_where_a_reason_alone_cannot_be_given_only_the_time_that_it_is_asked_for_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    gap = parse_policy('[policy]\nname = "t"\n[[minimum_gap]]\nid = "g"\nbetween = "2h"\n', where="t")
    facts = german(sends=(Send(at=NOON - HOUR, category="promotional"),))
    monkeypatch.setattr("policies.forecast.reason_of", fail)
    after = rows(forecast(gap, facts, NOON, span=3 * HOUR), NOON)
    assert [(begin, reason) for begin, _, reason in after] == [(0, "rule_error"), (1, None)]


def test_what_has_expired_is_told_as_that_whatever_else_fails() -> None:
    facts = german(expires_at=NOON - 1, sends=(Send(at=None, category="promotional"),))  # type: ignore[arg-type]
    assert rows(forecast(DEFAULT, facts, NOON), NOON) == [(0, "schedule", "expired")]


def test_a_forecast_has_bounds() -> None:
    assert len(forecast(OFF, german(), NOON, span=30 * DAY).stretches) > 50
    for span in (0, -1, 30 * DAY + 1):
        with pytest.raises(ValueError, match="looks ahead for 1 to 2592000 seconds"):
            forecast(OFF, german(), NOON, span=span)


def test_stretches_follow_one_another_and_differ() -> None:
    facts = german(
        sends=(Send(at=NOON - HOUR, category="promotional"),), tokens=(Token(kind="recurring"),),
        not_before=NOON + 5 * HOUR,
    )  # fmt: skip
    found = forecast(DEFAULT, facts, NOON, span=5 * DAY)
    for left, right in pairwise(found.stretches):
        assert left.end == right.start
        assert (left.permitted, left.ground, left.because, left.reason) != (
            right.permitted, right.ground, right.because, right.reason,
        )  # fmt: skip
    for each in found.stretches:
        for instant in {each.start, each.end - 1}:
            decision = decide(DEFAULT, facts, instant)
            assert (decision.verdict == "send", decision.ground if each.permitted else None) == (
                each.permitted, each.ground,
            )  # fmt: skip


ASKING = parse_policy(
    '[policy]\nname = "a"\nextends = "default"\n[consent]\nrequire = "packs"\n'
    '[[minimum_gap]]\nid = "breath"\nbetween = "1h"\n',
    where="t",
)


def test_every_text_that_can_decide() -> None:
    found = {each.id: each for each in clauses(ASKING, ("KR", "TH", "US-FL"))}
    assert {
        "suppression", "kill_switch", "schedule", "handover", "handover.timeout", "unknown_zone", "consent",
        "platform.standard_window", "platform.utility_template", "platform.marketing_token", "platform.recurring",
        "platform.one_time_token", "permitted_hours.house", "frequency_cap.daily", "frequency_cap.weekly",
        "minimum_gap.breath", "KR.kr-night", "KR.consent",
    } <= set(found)  # fmt: skip
    night = found["KR.kr-night"]
    assert (night.rule, night.basis, night.jurisdiction) == ("quiet_hours", "statute", "KR")
    assert night.citation
    assert (found["permitted_hours.house"].basis, found["platform.recurring"].basis) == ("house", "platform")
    assert len(found) == len(clauses(ASKING, ("KR", "TH", "US-FL")))
    plain = {each.id for each in clauses(load_policy("platform-only"))}
    assert not plain & {"handover.timeout", "consent", "KR.kr-night"}
    everything = {each.jurisdiction for each in clauses(ASKING)} - {None}
    assert everything <= jurisdictions_with_packs()
    assert len(everything) > 30


def test_texts_say_what_a_policy_makes_of_them() -> None:
    policy = parse_policy(
        '[policy]\nname = "a"\n[messaging_window]\nclick_to_messenger = true\n'
        '[unknown_zone]\nmode = "fallback"\nzone = "Asia/Tokyo"\n',
        where="t",
    )
    found = {each.id: each for each in clauses(policy, ())}
    window = found["platform.standard_window"]
    assert window.words == (
        "1d from the person's last message; 7d from their first after a Click-to-Messenger advertisement"
    )
    assert window.citation is not None
    assert policy.window_citation in window.citation
    assert policy.platform.click_to_messenger_citation in window.citation
    assert found["unknown_zone"].words.endswith("all_candidates; where nothing tells one: Asia/Tokyo")
    plain = {each.id: each for each in clauses(OFF, ())}
    assert plain["platform.standard_window"].words == "1d from the person's last message"
    assert plain["unknown_zone"].words.endswith("possible: all_candidates")


def behind(facts: Facts, now: int, policy: Policy = DEFAULT) -> set[str]:
    found = set(deciding(policy, facts, now))
    known = {each.id for each in clauses(policy)}
    assert found <= known
    return found


def test_the_texts_behind_a_decision() -> None:
    assert behind(german(), NOON) == {"platform.standard_window"}
    korean = Facts(timezones=("Asia/Seoul",), last_inbound=NOON)
    night = at("2026-05-05T22:00:00+09:00")
    assert behind(korean, night) == {"permitted_hours.house", "KR.kr-night"}
    sent = german(sends=(Send(at=NOON - HOUR, category="promotional"),))
    assert behind(sent, NOON) == {"frequency_cap.daily"}
    # The window closes in the night: the hours permit now, and are to blame all the same.
    closing = german(last_inbound=NOON - DAY + 9 * HOUR, not_before=NOON + 9 * HOUR)
    decision = decide(OFF, closing, NOON)
    assert (decision.verdict, decision.reason) == ("deny", "window_closed")
    assert behind(closing, NOON, OFF) >= {"platform.standard_window"}
    assert behind(german(blocked=True), NOON) == {"suppression"}
    assert behind(Facts(timezones=("Asia/Seoul",), last_inbound=NOON), NOON, ASKING) == {"KR.consent"}
    agreed = Facts(timezones=("Asia/Seoul",), last_inbound=NOON, consents=(Consent(kind="express", granted_at=NOON),))
    assert behind(agreed, NOON, ASKING) == {"platform.standard_window"}


def test_every_finding_names_a_clause() -> None:
    facts = german(sends=(Send(at=NOON - HOUR, category="promotional"),), handover=True, handover_at=NOON)
    known = {each.id for each in clauses(ASKING)}
    for found in explain(ASKING, facts, NOON)[1]:
        assert found.clause in known | {"messaging_window", "minimum_gap", "frequency_cap", "quiet_hours"}, found
