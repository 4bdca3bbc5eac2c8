"""What the platform's answers to a profile read mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workers.send_api.client import _of_profile


def _error(code: int, subcode: int | None = None, **more: Any) -> bytes:
    return json.dumps({"error": {"code": code, "error_subcode": subcode, "message": "words", **more}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"first_name": "Ada", "id": "1"}', "read"),
        (200, b'{"id": "1"}', "unavailable"),
        (200, b"{}", "unavailable"),
        (400, _error(100, 2018218), "unavailable"),
        (400, _error(2018218), "unavailable"),
        (400, _error(100, 33), "unavailable"),
        (400, _error(100, 2018001), "unavailable"),
        (400, _error(2018247), "forbidden"),
        (403, _error(100, 2018247), "forbidden"),
        (403, _error(10), "forbidden"),
        (403, _error(200), "forbidden"),
        (403, _error(299), "forbidden"),
        (400, _error(1, 99), "forbidden"),
        (400, _error(100, None, type="GraphMethodException"), "forbidden"),
        (400, _error(613), "throttled"),
        (400, _error(80006), "throttled"),
        (429, b"", "throttled"),
        (500, b"oops", "retry"),
        (400, _error(2), "retry"),
        (400, _error(1), "retry"),
        (401, _error(190), "retry"),
        (400, _error(551), "refused"),
        (400, _error(777), "refused"),
    ],
)
def test_answers_by_status_and_code(status: int, body: bytes, outcome: str) -> None:
    answer = _of_profile(status, {}, body)
    assert answer.outcome == outcome
    assert (answer.profile is not None) == (outcome == "read")
    assert answer.bad_token == (b"190" in body)


def test_a_throttled_answer_says_how_long() -> None:
    usage = {"9": [{"type": "messenger", "call_count": 100, "estimated_time_to_regain_access": 2}]}
    answer = _of_profile(400, {"X-Business-Use-Case-Usage": json.dumps(usage)}, _error(80006))
    assert (answer.outcome, answer.wait) == ("throttled", 120)
