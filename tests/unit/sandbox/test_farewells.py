from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sandbox.test_witness import NOON, acknowledged, inbound, person
from workers.sandbox.witness import judge
from workers.sandbox.words import FAREWELLS

GOODBYE = FAREWELLS["en"]
NIGHT = NOON + 11 * 3600


def _stop(at: float = NOON, event: str = "message", **more: Any) -> list[dict[str, Any]]:
    said = {**inbound(at, intent="stop", **more), "event": event}
    return [person(), said, acknowledged(10.0)]


def _request(at: float, *, n: int = 1, text: str = GOODBYE, id: str = "7", kind: str = "UPDATE", **more: Any) -> Any:
    body = {
        "recipient": {"id": "1"}, "messaging_type": kind,
        "message": {"text": text, "metadata": f"{id}.{n}.mac", **more},
    }  # fmt: skip
    return {"kind": "request", "n": n, "page_id": "P", "at": at, "real": 20.0 + n, "body": json.dumps(body)}


def _kinds(tmp_path: Path, *records: dict[str, Any]) -> list[str]:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return [violation.kind for violation in judge(path).violations]


@pytest.mark.parametrize(
    ("stop", "request_", "found"),
    [
        (_stop(), _request(NOON + 5), []),
        (_stop(event="quick_reply"), _request(NOON + 5), []),
        (_stop(at=NIGHT), _request(NIGHT + 5), []),  # at any hour
        (_stop(), _request(NOON + 300), []),
        (_stop(), _request(NOON + 301), ["opted_out"]),  # too late
        (_stop(event="postback"), _request(NOON + 5), ["opted_out"]),  # no written STOP
        (_stop(), _request(NOON + 5, text=f"{GOODBYE} But look at our offers!"), ["opted_out"]),  # says more
        (_stop(), _request(NOON + 5, quick_replies=[]), ["opted_out"]),  # has buttons
        (_stop(), _request(NOON + 5, kind="RESPONSE"), ["opted_out"]),
        # Who did not say STOP is judged as anybody: the words give no right to write at night.
        ([person(), inbound(NIGHT)], _request(NIGHT + 5), ["quiet_hours"]),
    ],
)
def test_what_may_follow_a_stop(tmp_path: Path, stop: list[Any], request_: Any, found: list[str]) -> None:
    assert _kinds(tmp_path, *stop, request_) == found


def test_one_message_confirms_and_may_be_sent_again_when_it_did_not_arrive(tmp_path: Path) -> None:
    refused = {"kind": "answer", "n": 1, "status": 503, "code": 2, "subcode": None}
    again = [*_stop(), _request(NOON + 5), refused, _request(NOON + 9, n=2)]
    assert _kinds(tmp_path, *again) == []
    assert _kinds(tmp_path, *again, _request(NOON + 12, n=3, id="8")) == ["opted_out"]


def test_a_second_stop_needs_no_second_answer_and_a_start_none_at_all(tmp_path: Path) -> None:
    second = {**inbound(NOON + 60, id="f", intent="stop"), "event": "message"}
    log = [*_stop(), _request(NOON + 5), second, _request(NOON + 65, n=2, id="8")]
    assert _kinds(tmp_path, *log) == ["opted_out"]
    start = {**inbound(NIGHT + 60, id="f", intent="start", real=30.0), "event": "message"}
    log = [*_stop(at=NIGHT), start, {**_request(NIGHT + 65), "real": 40.0}]
    assert _kinds(tmp_path, *log) == ["quiet_hours"]
