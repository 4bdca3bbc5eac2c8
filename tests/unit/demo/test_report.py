"""The demo fails for each thing that it must not pass over."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scheduler.demo.report import Expectation, judge

EXPECTED = Expectation(
    requests=10, sent_share=0.5, denied=("opted_out",), deferred=("quiet_hours",), utility_requests=2
)
SUMMARY: dict[str, Any] = {
    "states": {"read": 8, "denied": 2, "scheduled": 1},
    "reasons": {"denied": {"opted_out": 2}},
    "deferred": {"quiet_hours": 3},
}
VERDICT: dict[str, Any] = {"requests": 10, "accepted": 8, "by_kind": {"UPDATE": 7, "UTILITY": 3}, "violations": []}
MESSAGE = {"id": 1, "log": []}


def _failures(summary: dict[str, Any], verdict: dict[str, Any], **examples: Any) -> list[str]:
    found = {"waited": MESSAGE, "closed": MESSAGE, **examples}
    return judge(summary, verdict, EXPECTED, waited=found["waited"], closed=found["closed"]).failures


def test_a_run_that_shows_everything_passes() -> None:
    assert _failures(SUMMARY, VERDICT) == []


@pytest.mark.parametrize(
    ("part", "key", "value", "words"),
    [
        # what the witness says
        (
            "verdict",
            "violations",
            [{"kind": "doubled", "message": "7", "psid": "1", "at": "then", "detail": "twice"}],
            "violation: doubled by message 7",
        ),
        ("verdict", "requests", 9, "only 9 requests arrived"),
        ("verdict", "by_kind", {"UPDATE": 10}, "utility messages"),
        # what the database says against it
        ("verdict", "accepted", 9, "8 messages are recorded as sent, but the witness saw 9"),
        ("verdict", "accepted", 7, "8 messages are recorded as sent, but the witness saw 7"),
        # a reason that never occurred
        ("summary", "reasons", {"denied": {"blocked": 2}}, "no message was denied for opted_out"),
        ("summary", "deferred", {}, "no message was deferred for quiet_hours"),
        # what is lost, or hangs
        ("summary", "states", {"read": 8, "sending": 1}, "hang between states"),
        ("summary", "states", {"read": 8, "dead": 1}, "dead letters"),
        ("summary", "states", {"read": 8, "denied": 9}, "only 8 of 17 messages were sent"),
    ],
)
def test_each_shortfall_is_a_failure_in_words(part: str, key: str, value: Any, words: str) -> None:
    both = {"summary": copy.deepcopy(SUMMARY), "verdict": copy.deepcopy(VERDICT)}
    both[part][key] = value
    assert any(words in failure for failure in _failures(both["summary"], both["verdict"]))


def test_an_unconfirmed_message_may_have_been_accepted_or_not() -> None:
    summary = {**SUMMARY, "states": {**SUMMARY["states"], "unconfirmed": 1}}
    assert _failures(summary, {**VERDICT, "accepted": 9}) == []
    assert _failures(summary, VERDICT) == []


@pytest.mark.parametrize("example", ["waited", "closed"])
def test_a_message_that_cannot_be_shown_is_a_failure(example: str) -> None:
    assert len(_failures(SUMMARY, VERDICT, **{example: None})) == 1
