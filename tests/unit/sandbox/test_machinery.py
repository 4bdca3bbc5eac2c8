"""Clock, log, webhook bodies, pace and the command line."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import patience
from workers.sandbox import events
from workers.sandbox.clock import Clock, clock_from, words_of
from workers.sandbox.graph_errors import THROTTLED, THROTTLED_HARD
from workers.sandbox.log import Log, read_log
from workers.sandbox.pace import Pace
from workers.sandbox.people import Person, make_pages
from workers.sandbox.script import Act

PAGE = make_pages(1, "secret", "verify")[0]
PERSON = Person(psid="42", page_id=PAGE.id, zone="Asia/Kathmandu")
VIRTUAL = {"DULY_CLOCK_START": "2026-03-07T12:00:00Z", "DULY_CLOCK_RATE": "1000", "DULY_CLOCK_ORIGIN": "1700000000"}


def test_a_virtual_clock_runs_from_its_start_at_its_rate() -> None:
    clock = clock_from(VIRTUAL)
    moment = clock.read()
    assert words_of(clock.start) == "2026-03-07T12:00:00.000Z"
    assert moment.at == pytest.approx(clock.start + (moment.real - 1_700_000_000) * 1000)
    assert clock.real_seconds_until(moment.at + 5000) == pytest.approx(5, abs=1)
    assert clock.real_seconds_until(moment.at - 5000) == 0


def test_without_variables_it_is_the_machines_clock() -> None:
    clock = clock_from({})
    assert clock == Clock()
    moment = clock.read()
    assert moment.at == moment.real


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"DULY_CLOCK_RATE": ""}, "DULY_CLOCK_RATE must be set too"),
        ({"DULY_CLOCK_START": "soon"}, "DULY_CLOCK_START: `soon`"),
        ({"DULY_CLOCK_START": "2026-03-07T12:00:00"}, "has no offset"),
        ({"DULY_CLOCK_RATE": "fast"}, "DULY_CLOCK_RATE: `fast`"),
        ({"DULY_CLOCK_RATE": "0"}, "not above 0"),
        ({"DULY_CLOCK_ORIGIN": "nan"}, "DULY_CLOCK_ORIGIN: `nan`"),
    ],
)
def test_a_malformed_clock_is_named(changed: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        clock_from({**VIRTUAL, **changed})


@pytest.mark.parametrize("fsync", [True, False])
def test_what_is_safe_in_the_log_can_be_read_back(tmp_path: Path, fsync: bool) -> None:
    async def write() -> None:
        log = Log(tmp_path / "new" / "log.jsonl", fsync=fsync)

        async def one(number: int) -> None:
            log.append({"kind": "test", "n": number})
            await log.safe()

        await asyncio.gather(*(one(number) for number in range(50)))
        log.close()

    asyncio.run(write())
    assert [record["n"] for record in read_log(tmp_path / "new" / "log.jsonl")] == list(range(50))


def test_a_line_torn_by_a_crash_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"kind": "a"}\n{"kind": "b", "n')

    async def write() -> None:
        log = Log(path)
        log.append({"kind": "c"})
        log.close()

    asyncio.run(write())
    assert [record["kind"] for record in read_log(path)] == ["a", "c"]


def act(kind: str, **more: object) -> Act:
    return Act(id="x", psid="42", at=1_772_884_800.1234, kind=kind, **more)  # type: ignore[arg-type]  # rows of a table


def test_a_message_is_escaped_and_signed_as_the_platform_does() -> None:
    body = events.inbound(PAGE, PERSON, act("message", text="äöå 😊 </b>"))
    assert rb"\u00e4\u00f6\u00e5 \ud83d\ude0a <\/b>" in body
    event = json.loads(body)["entry"][0]["messaging"][0]
    assert event["sender"]["id"] == "42"
    assert event["recipient"]["id"] == PAGE.id
    assert event["timestamp"] == 1_772_884_800_123
    signed = events.signatures("secret", body)["X-Hub-Signature-256"]
    assert signed == "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (act("postback", text="T", payload="NOTIFY_ME:mug"), {"title": "T", "payload": "NOTIFY_ME:mug"}),
        (act("quick_reply", text="Yes", payload="MORE"), {"text": "Yes", "quick_reply": {"payload": "MORE"}}),
        (act("optin"), {"type": "notification_messages", "notification_messages_timezone": "Asia/Kathmandu"}),
    ],
)
def test_events_have_the_platforms_shapes(done: Act, expected: dict[str, object]) -> None:
    event = json.loads(events.inbound(PAGE, PERSON, done))["entry"][0]["messaging"][0]
    said = event["message" if done.kind == "quick_reply" else done.kind]
    assert expected.items() <= said.items()


def test_a_block_is_never_told() -> None:
    with pytest.raises(ValueError, match="no webhook"):
        events.inbound(PAGE, PERSON, act("block"))


def test_too_many_calls_a_second_are_throttled() -> None:
    pace = Pace(3)
    assert [pace.refusal_of("P") for _ in range(7)] == [None] * 3 + [THROTTLED] * 3 + [THROTTLED_HARD]
    assert pace.refusal_of("Q") is None
    use = json.loads(pace.usage("P", THROTTLED_HARD))["P"][0]
    assert (use["type"], use["call_count"], use["estimated_time_to_regain_access"]) == ("messenger", 233, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "http"], "--port"),
        (["--port", "65536"], "from 0 to 65535"),
        (["--people", "-1"], "--people"),
        (["--seed", "lucky"], "--seed"),
        (["--script", "drama"], "--script"),
        (["--graph-version", "26"], "v26.0"),
        (["--webhook-url", "localhost"], "--webhook-url"),
        (["--app-secret", ""], "--app-secret"),
        (["--colour", "red"], "--colour"),
        (["--log", "/proc/nowhere/log"], "/proc/nowhere/log"),
        (["judge"], "file"),
        (["judge", "/nonexistent"], "/nonexistent"),
    ],
)
def test_a_malformed_command_ends_with_one_line_and_2(arguments: list[str], said: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "workers.sandbox", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(30),
    )
    assert run.returncode == 2
    assert said in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_judging_a_file_tells_by_its_exit_code(tmp_path: Path) -> None:
    def run() -> tuple[int, str]:
        command = [sys.executable, "-m", "workers.sandbox", "judge", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience(30))
        return done.returncode, done.stdout

    path = tmp_path / "log.jsonl"
    path.write_text("")
    code, told = run()
    assert (code, told.splitlines()[0]) == (0, "0 requests, 0 violations")
    path.write_text('{"kind": "request", "n": 1, "page_id": "P", "at": 0, "real": 0, "body": "{}"}\n')
    code, told = run()
    assert (code, told.splitlines()[0]) == (1, "1 requests, 1 violations")
    assert "unidentified" in told
