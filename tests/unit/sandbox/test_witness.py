"""The witness on hand-written logs: each rule on both sides of its edge."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from workers.sandbox.log import LogUnreadable
from workers.sandbox.witness import Verdict, judge

Judge = Callable[..., Verdict]


def at(words: str) -> float:
    return datetime.fromisoformat(words).timestamp()


NOON = at("2026-03-07T12:00:00-05:00")


def person(psid: str = "1", zone: str = "America/New_York", page: str = "P") -> dict[str, Any]:
    return {"kind": "person", "psid": psid, "page_id": page, "zone": zone}


def inbound(
    when: float, *, psid: str = "1", id: str = "e", intent: str | None = None, opens: bool = True, real: float = 0.0
) -> dict[str, Any]:
    return {"kind": "inbound", "id": id, "psid": psid, "at": when, "real": real, "opens": opens, "intent": intent}


def acknowledged(real: float, *, id: str = "e") -> dict[str, Any]:
    return {"kind": "acknowledged", "id": id, "status": 200, "real": real, "try": 1}


def request(
    when: float,
    *,
    n: int = 1,
    psid: str = "1",
    page: str = "P",
    kind: str = "UPDATE",
    metadata: str | None = "7.1.mac",
    real: float = 0.0,
) -> dict[str, Any]:
    message: dict[str, Any] = {"text": "hi"} if metadata is None else {"text": "hi", "metadata": metadata}
    body = {"recipient": {"id": psid}, "messaging_type": kind, "message": message}
    return {"kind": "request", "n": n, "page_id": page, "at": when, "real": real, "body": json.dumps(body)}


def accepted(n: int = 1) -> dict[str, Any]:
    return {"kind": "answer", "n": n, "status": 200, "mid": f"m_{n}"}


def refused(n: int = 1, code: int = 551) -> dict[str, Any]:
    return {"kind": "answer", "n": n, "status": 400, "code": code, "subcode": None}


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    def run(*records: dict[str, Any]) -> Verdict:
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return judge(path)

    return run


def kinds(verdict: Verdict) -> list[str]:
    return [violation.kind for violation in verdict.violations]


def test_a_permitted_message_breaks_nothing(judged: Judge) -> None:
    verdict = judged(person(), inbound(NOON), request(NOON + 60), accepted())
    assert verdict.summary() == "1 requests, 0 violations"
    assert (verdict.accepted, dict(verdict.by_kind), verdict.races) == (1, {"UPDATE": 1}, 0)


def test_an_empty_log_is_clean(judged: Judge) -> None:
    assert judged().summary() == "0 requests, 0 violations"


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (24 * 3600 - 0.001, []),  # the last millisecond of the window
        (24 * 3600, ["outside_window"]),  # its end does not belong to it
    ],
)
def test_the_window_ends_24_hours_after_the_newest_inbound(judged: Judge, after: float, found: list[str]) -> None:
    assert kinds(judged(person(), inbound(NOON), request(NOON + after), accepted())) == found


def test_the_newest_inbound_counts_in_whatever_order_they_came(judged: Judge) -> None:
    log = (person(), inbound(NOON + 3600, id="b"), inbound(NOON, id="a"), request(NOON + 24.5 * 3600))
    assert kinds(judged(*log)) == []


def test_an_inbound_after_the_request_does_not_excuse_it(judged: Judge) -> None:
    assert kinds(judged(person(), request(NOON), inbound(NOON - 60))) == ["outside_window"]


def test_an_opt_in_opens_no_window(judged: Judge) -> None:
    verdict = judged(person(), inbound(NOON, opens=False), request(NOON + 60))
    assert kinds(verdict) == ["outside_window"]
    assert verdict.violations[0].detail == "the person never wrote"


@pytest.mark.parametrize(
    ("zone", "when", "found"),
    [
        ("America/New_York", "2026-03-07T07:59:59-05:00", ["quiet_hours"]),
        ("America/New_York", "2026-03-07T08:00:00-05:00", []),
        ("America/New_York", "2026-03-07T20:59:59-05:00", []),
        ("America/New_York", "2026-03-07T21:00:00-05:00", ["quiet_hours"]),
        # After the clocks went forward 08:00 is an hour earlier in UTC.
        ("America/New_York", "2026-03-08T11:59:59+00:00", ["quiet_hours"]),
        ("America/New_York", "2026-03-08T12:00:00+00:00", []),
        # Where they did not, it is not.
        ("America/Phoenix", "2026-03-08T14:59:59+00:00", ["quiet_hours"]),
        ("America/Phoenix", "2026-03-08T15:00:00+00:00", []),
        # Back to winter time: both passes of the repeated hour are night; the day begins an hour later in UTC.
        ("Europe/Berlin", "2026-10-25T00:30:00+00:00", ["quiet_hours"]),
        ("Europe/Berlin", "2026-10-25T01:30:00+00:00", ["quiet_hours"]),
        ("Europe/Berlin", "2026-10-25T06:59:59+00:00", ["quiet_hours"]),
        ("Europe/Berlin", "2026-10-25T07:00:00+00:00", []),
        # A half-hour and a quarter-hour zone.
        ("Australia/Lord_Howe", "2026-03-07T21:00:00+00:00", []),
        ("Australia/Lord_Howe", "2026-03-07T20:59:59+00:00", ["quiet_hours"]),
        ("Asia/Kathmandu", "2026-03-08T02:14:59+00:00", ["quiet_hours"]),
        ("Asia/Kathmandu", "2026-03-08T02:15:00+00:00", []),
    ],
)
def test_promotions_arrive_by_day_where_the_person_truly_is(
    judged: Judge, zone: str, when: str, found: list[str]
) -> None:
    instant = at(when)
    assert kinds(judged(person(zone=zone), inbound(instant - 3600), request(instant), accepted())) == found


@pytest.mark.parametrize("kind", ["UPDATE", "RESPONSE", "MESSAGE_TAG", "SOMETHING"])
def test_whatever_is_not_utility_is_promotional(judged: Judge, kind: str) -> None:
    night = at("2026-03-07T03:00:00-05:00")
    assert kinds(judged(person(), inbound(night - 60), request(night, kind=kind))) == ["quiet_hours"]


def test_utility_needs_neither_window_nor_day(judged: Judge) -> None:
    verdict = judged(person(), request(at("2026-03-07T03:00:00-05:00"), kind="UTILITY"), accepted())
    assert kinds(verdict) == []
    assert dict(verdict.by_kind) == {"UTILITY": 1}


def test_a_refused_request_is_judged_all_the_same(judged: Judge) -> None:
    verdict = judged(person(), inbound(NOON), request(NOON + 25 * 3600), refused(code=10))
    assert kinds(verdict) == ["outside_window"]
    assert dict(verdict.refused) == {"10": 1}


@pytest.mark.parametrize(
    ("late", "found", "races"),
    [
        (-0.010, [], 0),  # before the acknowledgement nobody could know
        (0.250, [], 1),  # on its way
        (0.251, ["opted_out"], 0),
        (3600.0, ["opted_out"], 0),
    ],
)
@pytest.mark.parametrize("kind", ["UPDATE", "UTILITY"])
def test_an_acknowledged_opt_out_is_in_force(
    judged: Judge, late: float, found: list[str], races: int, kind: str
) -> None:
    stop = 1_700_000_000.0
    verdict = judged(
        person(),
        inbound(NOON, intent="stop", real=stop - 0.1),
        # The line of the acknowledgement may come after that of a request it precedes.
        request(NOON + 60, kind=kind, real=stop + late),
        acknowledged(stop),
    )
    assert (kinds(verdict), verdict.races) == (found, races)


def test_an_opt_out_that_was_never_acknowledged_binds_nobody(judged: Judge) -> None:
    verdict = judged(person(), inbound(NOON, intent="stop", real=10), request(NOON + 60, real=20))
    assert kinds(verdict) == []


def test_the_first_acknowledgement_counts(judged: Judge) -> None:
    stop = inbound(NOON, intent="stop", real=10)
    log = (person(), stop, acknowledged(11), request(NOON + 60, real=20), acknowledged(30))
    assert kinds(judged(*log)) == ["opted_out"]


def test_words_alone_are_no_opt_out(judged: Judge) -> None:
    log = (person(), inbound(NOON, real=10), acknowledged(11), request(NOON + 60, real=20))
    assert kinds(judged(*log)) == []


def test_a_start_lifts_the_opt_out_and_a_further_stop_renews_it(judged: Judge) -> None:
    verdict = judged(
        person(),
        inbound(NOON, id="stop", intent="stop", real=10),
        acknowledged(11, id="stop"),
        inbound(NOON + 60, id="start", intent="start", real=20),
        request(NOON + 120, n=1, metadata="1.1.x", real=19),
        request(NOON + 120, n=2, metadata="2.1.x", real=21),
        inbound(NOON + 180, id="again", intent="stop", real=30),
        acknowledged(31, id="again"),
        request(NOON + 240, n=3, metadata="3.1.x", real=32),
    )
    assert [(each.kind, each.message) for each in verdict.violations] == [("opted_out", "1"), ("opted_out", "3")]


def test_an_ordinary_message_lifts_no_opt_out(judged: Judge) -> None:
    verdict = judged(
        person(),
        inbound(NOON, id="stop", intent="stop", real=10),
        acknowledged(11, id="stop"),
        inbound(NOON + 60, id="thanks", real=20),
        request(NOON + 120, real=21),
    )
    assert kinds(verdict) == ["opted_out"]


def test_one_acceptance_a_message(judged: Judge) -> None:
    verdict = judged(
        person(),
        inbound(NOON),
        request(NOON + 1, n=1, metadata="7.1.x"),
        refused(1, 613),
        request(NOON + 2, n=2, metadata="7.2.x"),
        accepted(2),
        request(NOON + 3, n=3, metadata="7.3.x"),
        accepted(3),
        request(NOON + 4, n=4, metadata="8.4.x"),
        accepted(4),
    )
    assert [(each.kind, each.message, each.at) for each in verdict.violations] == [("doubled", "7", NOON + 3)]


@pytest.mark.parametrize("metadata", [None, "", ".1.x"])
def test_a_message_says_which_it_is(judged: Judge, metadata: str | None) -> None:
    assert kinds(judged(person(), inbound(NOON), request(NOON + 1, metadata=metadata))) == ["unidentified"]


def test_a_page_keeps_to_its_own_people(judged: Judge) -> None:
    assert kinds(judged(person(page="Q"), inbound(NOON), request(NOON + 1, page="P"))) == ["wrong_page"]


def test_garbage_is_a_request_too(judged: Judge) -> None:
    log = {"kind": "request", "n": 1, "page_id": "P", "at": NOON, "real": 0.0, "body": "nonsense"}
    verdict = judged(person(), log, refused(code=100))
    assert (kinds(verdict), dict(verdict.by_kind)) == (["unidentified"], {"NONE": 1})


def test_typing_is_no_message(judged: Judge) -> None:
    body = json.dumps({"recipient": {"id": "1"}, "sender_action": "typing_on"})
    log = {"kind": "request", "n": 1, "page_id": "P", "at": at("2026-03-07T03:00:00-05:00"), "real": 0.0, "body": body}
    verdict = judged(person(), log, {"kind": "answer", "n": 1, "status": 200})
    assert (kinds(verdict), dict(verdict.by_kind)) == ([], {"SENDER_ACTION": 1})


def test_a_person_who_moved_is_judged_where_they_are_now(judged: Judge) -> None:
    evening = at("2026-03-07T22:00:00-05:00")  # 19:00 in Los Angeles
    moved = person(zone="America/Los_Angeles")
    assert kinds(judged(person(), moved, inbound(evening - 60), request(evening))) == []


def test_the_verdict_as_json_has_everything_a_report_needs(judged: Judge) -> None:
    verdict = judged(person(), request(NOON), refused(code=10)).as_json()
    assert verdict["violations"] == [
        {
            "kind": "outside_window",
            "message": "7",
            "psid": "1",
            "at": "2026-03-07T17:00:00.000Z",
            "detail": "the person never wrote",
        }
    ]
    assert (verdict["requests"], verdict["by_kind"], verdict["refused"]) == (1, {"UPDATE": 1}, {"10": 1})


def test_half_a_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(person()) + "\n" + json.dumps(request(NOON))[:40])
    assert judge(path).requests == 0


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"no": "kind"}'])
def test_a_file_that_is_no_log_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(person()) + "\n" + line + "\n")
    with pytest.raises(LogUnreadable, match=r"log\.jsonl, line 2"):
        judge(path)


def test_a_record_without_what_it_needs_is_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"kind": "request"}\n')
    with pytest.raises(LogUnreadable, match="lacks"):
        judge(path)


def granted(
    token: str = "t", *, kind: str = "notification_messages", ends: float | None = None, id: str = "g"
) -> dict[str, Any]:
    told = {"status": "granted", "kind": kind, "text": token, "topic": "sales", "expires_at": ends}
    return {**inbound(NOON - 9, id=id, opens=False), "token": told}


def on_token(when: float, token: str = "t", *, n: int = 1, name: str = "", real: float = 0.0) -> dict[str, Any]:
    message = {"text": "hi", "metadata": f"{n}.1.mac"}
    body: dict[str, Any] = {"recipient": {name or "notification_messages_token": token}, "message": message}
    if name == "paid":
        body = {"message_id": "1", "messenger_delivery_data": {"subscription_token": token}, "message": message}
    return {"kind": "request", "n": n, "page_id": "P", "at": when, "real": real, "body": json.dumps(body)}


def living_in(country: str | None) -> dict[str, Any]:
    return {**person(), "country": country}


HOUR = 3600


@pytest.mark.parametrize(
    ("country", "records", "expected"),
    [
        ("DE", [granted(), on_token(NOON)], []),
        ("DE", [on_token(NOON)], ["token_unknown"]),
        ("DE", [granted(kind="one_time"), on_token(NOON)], ["token_unknown"]),
        ("US", [granted(), on_token(NOON)], ["token_region"]),
        (None, [granted(), on_token(NOON)], ["token_region"]),
        ("US", [granted(), on_token(NOON, name="paid")], []),
        ("DE", [granted(), on_token(NOON, name="paid")], ["token_region"]),
        ("DE", [granted(ends=NOON + 1), on_token(NOON)], []),
        ("DE", [granted(ends=NOON), on_token(NOON)], ["token_expired"]),
        ("US", [granted(kind="one_time", ends=NOON + 9), on_token(NOON, name="one_time_notif_token")], []),
        (
            "US",
            [
                granted(kind="one_time"), on_token(NOON, name="one_time_notif_token"), accepted(),
                on_token(NOON + 9, n=2, name="one_time_notif_token"),
            ],
            ["token_reused"],
        ),
        (
            "US",
            [
                granted(kind="one_time"), on_token(NOON, name="one_time_notif_token"), refused(),
                on_token(NOON + 9, n=2, name="one_time_notif_token"), accepted(2),
            ],
            [],
        ),
        ("DE", [granted(), on_token(NOON), accepted(), on_token(NOON + 48 * HOUR, n=2)], []),
        ("DE", [granted(), on_token(NOON), accepted(), on_token(NOON + 48 * HOUR - 1, n=2)], ["token_too_soon"]),
        # The paid ones rest for the person, whichever token it was.
        (
            "US",
            [
                granted(), granted("u", id="h"), on_token(NOON, name="paid"), accepted(),
                on_token(NOON + 23 * HOUR, "u", n=2, name="paid"),
            ],
            ["token_too_soon"],
        ),
        ("US", [granted(), on_token(NOON + 12 * HOUR, name="paid")], ["quiet_hours"]),
    ],
)  # fmt: skip
def test_what_goes_on_a_token(
    judged: Judge, country: str | None, records: list[dict[str, Any]], expected: list[str]
) -> None:
    assert kinds(judged(living_in(country), *records)) == expected


@pytest.mark.parametrize(("late", "expected", "races"), [(-1.0, [], 0), (0.25, [], 1), (0.251, ["token_stopped"], 0)])
def test_a_stop_counts_from_when_it_was_acknowledged(
    judged: Judge, late: float, expected: list[str], races: int
) -> None:
    stop = {**inbound(NOON - 1, id="s", opens=False), "token": {"status": "stopped", "topic": "sales"}}
    verdict = judged(living_in("DE"), granted(), stop, acknowledged(10.0, id="s"), on_token(NOON, real=10.0 + late))
    assert (kinds(verdict), verdict.races) == (expected, races)
    resume = {**inbound(NOON, id="r", opens=False), "token": {"status": "resumed", "topic": "sales"}}
    verdict = judged(
        living_in("DE"), granted(), stop, acknowledged(10.0, id="s"), resume, on_token(NOON, real=10.0 + late)
    )
    assert kinds(verdict) == []
