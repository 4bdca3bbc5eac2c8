"""What commands say of a decision: of every reason and verdict, nothing that contradicts the verdict."""

from __future__ import annotations

import pytest

from policies.decision import Decision, Verdict
from policies.scenarios.vocabulary import REASONS, WAKES_ON
from scheduler.cli.policy.answer import sentence
from scheduler.cli.wording import words

NOW = 1_777_975_200
#: What a denial must not promise, and what a wait must not deny.
LATER = ("has not come", "for now", "not yet", "a short while ago", "wait", " on this day", "it is night", "until")
NEVER = ("never", "no longer", "outlast", "is over", "before it could go")
#: Reasons of which something that is still to happen is told in the present: whoever can end it is not the clock.
ENDED_BY_SOMEBODY = ("contact_held", "kill_switch", "page_stopped", "campaign_paused", "handover")


@pytest.mark.parametrize("reason", REASONS)
def test_a_denial_promises_nothing(reason: str) -> None:
    said = sentence(Decision(verdict="deny", because=("schedule",), reason=reason), NOW, ends_at=None).plain
    assert said.startswith("deny: it may not go, because ")
    if reason not in ENDED_BY_SOMEBODY:  # these only ever defer
        assert not [each for each in LATER if each in said], said


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("wakes_on", [None, *WAKES_ON])
def test_a_wait_denies_nothing(reason: str, wakes_on: str | None) -> None:
    for at in (None, NOW + 3600):
        decision = Decision(verdict="defer", at=at, because=("schedule",), reason=reason, wakes_on=wakes_on)
        said = sentence(decision, NOW, ends_at=None).plain
        assert said.startswith("defer: it waits for " if at is None else "defer: it may go from 2026-")
        assert not [each for each in NEVER if each in said], said


@pytest.mark.parametrize("code", [*REASONS, *WAKES_ON])
@pytest.mark.parametrize("verdict", [None, "send", "defer", "deny"])
def test_every_code_has_words_of_its_own(code: str, verdict: Verdict | None) -> None:
    said = words(code, verdict)
    assert said != code.replace("_", " ")
    assert "_" not in said
    assert said[0].islower()
    assert not said.endswith(".")


def test_codes_of_one_verdict_can_be_told_apart() -> None:
    for verdict in ("defer", "deny"):
        assert len({words(code, verdict) for code in REASONS}) == len(REASONS)


def test_a_time_that_comes_too_late_is_told_as_such() -> None:
    said = sentence(Decision(verdict="deny", because=("schedule",), reason="not_before"), NOW, ends_at=None).plain
    assert said == "deny: it may not go, because when its time comes it can no longer go"
    said = sentence(
        Decision(verdict="defer", at=NOW + 60, because=("schedule",), reason="not_before"), NOW, ends_at=None
    ).plain
    assert said.endswith(", because its time has not come")
