"""What is remembered is bounded, and answers at the edges of what facts can say."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from policies import binding, plain
from policies.binding import binding_of
from policies.engine import decide
from policies.explain import explain
from policies.facts import Facts, Send
from policies.forecast import forecast
from policies.local_time import CHUNK
from policies.policy import PolicyError, load_policy, parse_policy
from policies.rules import minimum_gap

NOON = int(datetime.fromisoformat("2026-05-05T12:00:00+02:00").timestamp())
DAY = 86_400


def test_what_was_worked_out_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "_MEMORY", 2)
    monkeypatch.setattr(binding, "_timelines", {})
    monkeypatch.setattr(plain, "_MEMORY", 2)
    monkeypatch.setattr(plain, "_shared", {})
    policy = load_policy("default")
    for zone in ("Europe/Berlin", "Asia/Tokyo", "America/Lima", "Asia/Kathmandu"):
        assert decide(policy, Facts(timezones=(zone,), last_inbound=NOON), NOON).verdict in ("send", "defer")
        assert len(policy.bindings) <= 2
        assert len(binding._timelines) <= 2
        assert len(policy.plains) <= 2
        assert len(plain._shared) <= 2
    bound = binding_of(policy, Facts(timezones=("Asia/Kathmandu",)))
    for chunk in range(100):
        assert bound.timeline(chunk * CHUNK) is bound.timeline(chunk * CHUNK + 1)
        assert len(bound._timelines) <= 64


def test_what_binds_is_worked_out_once_for_a_place_and_a_stretch_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, facts, begun = load_policy("default"), Facts(timezones=("Asia/Tokyo",)), NOON // CHUNK * CHUNK
    policy = replace(policy, margin=policy.margin)
    found = plain.plain_of(policy, facts, begun)
    monkeypatch.setattr(plain, "_plain", None)
    assert plain.plain_of(policy, facts, begun + CHUNK - 1) is found
    with pytest.raises(TypeError):
        plain.plain_of(policy, facts, begun + CHUNK)


def test_where_no_hours_bind_there_is_nothing_to_look_up() -> None:
    assert plain.plain_of(load_policy("platform-only"), Facts(timezones=("Asia/Tokyo",)), NOON).timeline is None


def test_a_ground_on_tokens_is_known_with_its_dates() -> None:
    changes = int(datetime.fromisoformat("2026-02-10T00:00:00+00:00").timestamp())
    german = plain.plain_of(load_policy("default"), Facts(country="DE"), NOON).carriers
    assert [each for each in german if each.ground == "recurring"] == [
        ("recurring", "recurring", None, changes, 2 * DAY), ("recurring", "recurring", changes, None, 2 * DAY),
    ]  # fmt: skip
    assert ("one_time_token", "one_time", None, None, 0) in german


def test_what_was_asked_for_last_is_one_value() -> None:
    """Threads share bindings: nobody may meet the chunk of one question with the answer to another."""
    bound = binding_of(load_policy("default"), Facts(timezones=("Asia/Kathmandu",)))
    for chunk in (3, 4, 3):
        found = bound.timeline(chunk * CHUNK)
        assert bound._latest == (chunk, found)
        assert bound.timeline(chunk * CHUNK + 1) is found
        assert found is not bound.timeline((chunk + 5) * CHUNK)


def test_a_policy_made_from_another_remembers_nothing_of_it() -> None:
    policy, facts = load_policy("default"), Facts(timezones=("Asia/Tokyo",), last_inbound=NOON - DAY // 2)
    assert decide(policy, facts, NOON).verdict == "send"
    shorter = replace(policy, window=DAY // 4, bindings={})
    assert decide(shorter, facts, NOON).reason == "window_closed"
    later = replace(policy, hours=(), caps=(), bindings={})
    assert later.plains == {}
    assert policy.plains


def test_an_inbound_far_ahead_of_our_clock_opens_the_window() -> None:
    platform = load_policy("platform-only")
    assert decide(platform, Facts(last_inbound=NOON + 40 * DAY), NOON).verdict == "send"


def test_who_opted_out_of_a_topic_is_told_so() -> None:
    facts = Facts(last_inbound=NOON, opted_out_topics=("news",), topic="news")
    found = explain(load_policy("platform-only"), facts, NOON)[1][0]
    assert (found.reason, found.words) == ("opted_out", "the contact asked for no more messages about `news`")
    facts.topic = "sport"
    assert decide(load_policy("platform-only"), facts, NOON).verdict == "send"


def test_a_margin_may_not_use_up_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[policy]\nname = "t"\npacks = ["platform/messenger"]\n[messaging_window]\nmargin = "23h59m59s"\n'
    assert parse_policy(text, where="t").window == 1
    monkeypatch.setattr("policies.document.platform_pack", lambda _: type("Short", (), {"window": 3600}))
    with pytest.raises(PolicyError, match=r"t:3: `policy\.packs`: has a messaging window that the margin uses up"):
        parse_policy(text, where="t")


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "binary")


def test_a_rule_that_raises_in_the_hours_to_come_shuts_them_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    gap = parse_policy('[policy]\nname = "t"\n[[minimum_gap]]\nid = "g"\nbetween = "2h"\n', where="t")
    facts = Facts(
        timezones=("Europe/Berlin",), last_inbound=NOON, sends=(Send(at=NOON - 3600, category="promotional"),)
    )
    # The decision takes the short way and knows nothing of it; the sets of times do.
    monkeypatch.setattr(minimum_gap, "union", fail)
    found = forecast(gap, facts, NOON)
    assert (found.decision.verdict, found.decision.reason) == ("defer", "minimum_gap")
    (whole,) = found.stretches
    assert (whole.start, whole.permitted, whole.because, whole.reason) == (
        NOON, False, ("minimum_gap",), "rule_error"
    )  # fmt: skip
