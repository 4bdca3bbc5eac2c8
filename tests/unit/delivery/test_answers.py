"""What answers of the Send API mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import clock
from scheduler.inbox.lenient import message_id, read_json
from workers.send_api.answers import Answer, of_paid, understand
from workers.send_api.classes import ANY, CLASSES, RESULTS, classify


def _error(status: int, code: object, subcode: object = None, **headers: str) -> Answer:
    error: dict[str, object] = {"message": "(#10) Diese Nachricht …", "type": "OAuthException", "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    return understand(status, json.dumps({"error": error}).encode(), headers)


def test_an_accepted_message_brings_its_id() -> None:
    answer = understand(200, b'{"recipient_id": "1", "message_id": "m_1"}', {})
    assert (answer.result, answer.mid, answer.http_status) == ("sent", "m_1", 200)


def test_an_accepted_paid_message_has_no_id_yet() -> None:
    answer = understand(200, b'{"success": true, "marketing_message_tracking_id": "98ec"}', {})
    assert (answer.result, answer.mid) == ("sent", None)
    for body in (b'{"success": false, "marketing_message_tracking_id": "98ec"}', b'{"success": true}'):
        assert understand(200, body, {}).result == "in_doubt"


def test_a_right_to_the_ad_account_is_no_matter_of_the_page() -> None:
    paid = of_paid(_error(403, 200, None))
    assert (paid.result, paid.reason, paid.effect) == ("refused", "no_permission", None)
    assert of_paid(_error(400, 190, None)).effect == "stop_page"


@pytest.mark.parametrize(
    ("status", "code", "subcode", "result", "reason", "effect"),
    [
        (400, 10, 2018278, "not_sent", "window_closed", "window_closed"),
        (400, 551, None, "refused", "blocked", "blocked"),
        (400, 551, 1545041, "refused", "blocked", "blocked"),
        (400, 200, 1545041, "refused", "blocked", "blocked"),
        (400, 10, 2018108, "refused", "blocked", "blocked"),
        (400, 100, 2018001, "refused", "unreachable", "unreachable"),
        (400, 10, 2018300, "not_sent", "thread_taken", "handover"),
        (400, 100, 2534037, "not_sent", "thread_taken", "handover"),
        (400, 100, None, "refused", "invalid_request", None),  # also what a retired tag gets
        (400, 190, 463, "not_sent", "bad_token", "stop_page"),
        (401, 190, None, "not_sent", "bad_token", "stop_page"),
        (403, 200, None, "not_sent", "no_permission", "stop_page"),
        (400, 368, 1404078, "not_sent", "page_restricted", "stop_page"),
        (400, 4, None, "not_sent", "throttled", "throttle"),
        (400, 4, 2018354, "refused", "too_often", None),  # the pair wins over the code
        (400, 10, 1893015, "refused", "notifications_stopped", "notifications_stopped"),
        (400, 2300004, None, "refused", "invalid_token", "notifications_stopped"),
        (400, 2300001, None, "refused", "invalid_request", None),
        (400, 613, None, "not_sent", "throttled", "throttle"),
        (400, 80006, 2446079, "not_sent", "throttled", "throttle"),
        (429, 99999, None, "not_sent", "throttled", "throttle"),
        (200, 36000, None, "refused", "invalid_request", None),  # errors come with 200, too
        (400, 1, 1357046, "in_doubt", "platform_error", None),  # "all sent successfully"
        (400, 1, 99, "not_sent", "no_permission", "stop_page"),
        (400, 2, None, "in_doubt", "platform_error", None),
        (400, 1200, 2018024, "in_doubt", "platform_error", None),
        (400, 613, 4711, "in_doubt", "unknown_error", None),  # a pair nobody documented
        (400, 4711, None, "in_doubt", "unknown_error", None),
        (400, "190", None, "not_sent", "bad_token", "stop_page"),  # numbers may come as text
        (400, " 613 ", None, "not_sent", "throttled", "throttle"),
        (400, "10", "2018278", "not_sent", "window_closed", "window_closed"),
        (400, 190.0, 463.0, "not_sent", "bad_token", "stop_page"),
        (400, "1200", "2018024", "in_doubt", "platform_error", None),
        (400, "19O", None, "in_doubt", "platform_error", None),  # no number, no code
        (400, "١٩٠", None, "in_doubt", "platform_error", None),
        (400, 190.5, None, "in_doubt", "platform_error", None),
        (400, True, None, "in_doubt", "platform_error", None),
        (400, 10**20, None, "in_doubt", "platform_error", None),
        (400, "99999999999999999999", None, "in_doubt", "platform_error", None),
        (500, 551, None, "in_doubt", "platform_error", None),  # it broke while it worked on it
        (503, 4, None, "in_doubt", "platform_error", None),
    ],
)
def test_an_error_means_what_the_table_says(
    status: int, code: object, subcode: int | None, result: str, reason: str, effect: str | None
) -> None:
    answer = _error(status, code, subcode)
    assert (answer.result, answer.reason, answer.effect) == (result, reason, effect)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[1]", b'{"message_id": ""}', b'{"message_id": true}', b'{"recipient_id": "1"}', b'{"a":' * 5000],
)
def test_an_answer_nobody_can_read_leaves_the_attempt_in_doubt(body: bytes) -> None:
    for status in (200, 302, 404, 502):
        assert understand(status, body, {}).result == "in_doubt"


def test_a_proof_that_is_wrong_stops_the_page_and_a_parameter_that_is_wrong_one_message() -> None:
    for type_, kind in (("GraphMethodException", "page_stopped"), ("OAuthException", "refused"), (None, "refused")):
        body = json.dumps({"error": {"message": "(#100) …", "type": type_, "code": 100}}).encode()
        assert understand(400, body, {}).kind == kind


def test_every_row_can_be_reached_and_names_its_source() -> None:
    for row in CLASSES:
        status = {"5xx": 503, ANY: 400}.get(str(row.http), row.http)
        code = 424242 if row.code == ANY else row.code
        subcode = 31337 if row.subcode == ANY else row.subcode
        assert isinstance(status, int)
        assert classify(status, code, subcode, row.type) is row  # type: ignore[arg-type]  # ANY is replaced above
        assert row.source
        assert RESULTS[row.kind] in ("refused", "not_sent", "in_doubt")


def test_too_many_requests_is_a_throttle_whatever_the_body() -> None:
    answer = understand(429, b"slow down", {"Retry-After": "7"})
    assert (answer.result, answer.effect, answer.wait) == ("not_sent", "throttle", 7.0)


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", None),
        ("2.5", 2.5),
        ("-5", None),
        ("999999999", 86_400.0),
        ("9" * 400, 86_400.0),
        ("Tue, 01 Dec 2026 12:02:00 GMT", 120.0),
        ("Tue, 01 Dec 2026 13:02:00 +0100", 120.0),
        ("Tuesday, 01-Dec-26 12:02:00 GMT", 120.0),  # RFC 850's way
        ("Tue Dec  1 12:02:00 2026", 120.0),  # asctime's
        ("Wed, 01 Dec 2027 00:00:00 GMT", 86_400.0),
        ("Tue, 01 Dec 2026 11:59:59 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", None),
        ("Tue, 99 Dec 2026 12:02:00 GMT", None),
        ("soon", None),
        ("٧", None),
        ("", None),
    ],
)
def test_how_long_to_wait_may_be_seconds_or_a_date_and_has_an_end(told: str, wait: float | None) -> None:
    headers = {"Retry-After": told, "Date": "Tue, 01 Dec 2026 12:00:00 GMT"}
    answer = understand(429, b"slow down", headers)
    assert (answer.effect, answer.wait) == ("throttle", wait)


def test_a_date_without_the_answers_own_counts_from_the_machines_clock() -> None:
    until = format_datetime(datetime.fromtimestamp(clock.machine() + 3600, UTC), usegmt=True)
    wait = understand(429, b"", {"Retry-After": until}).wait
    assert wait is not None
    assert 3000 < wait <= 3600


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ('"m_1"', "m_1"),
        ("123456", "123456"),
        ('"m_\\u0000b"', "m_\ufffdb"),
        ('"m_\\ud800x"', "m_\ufffdx"),
        ('"m_\U0001f600"', "m_\U0001f600"),
        (f'"m_{"x" * 5000}"', f"m_{'x' * 5000}"),
        ('" "', " "),
    ],
)
def test_a_messages_id_is_kept_whatever_it_contains(told: str, kept: str) -> None:
    answer = understand(200, f'{{"recipient_id": "1", "message_id": {told}}}'.encode(), {}, psid="1")
    assert (answer.result, answer.mid) == ("sent", kept)
    # An echo or a delivery that names it is read the same way.
    told_later = read_json(f'{{"mid": {told}}}'.encode())
    assert isinstance(told_later, dict)
    assert message_id(told_later["mid"]) == kept


def test_an_acceptance_for_somebody_else_is_not_believed() -> None:
    for told in ('"3180000000000002"', "3180000000000002"):
        body = f'{{"recipient_id": {told}, "message_id": "m_1"}}'.encode()
        answer = understand(200, body, {}, psid="3180000000000001")
        assert (answer.result, answer.reason, answer.mid) == ("in_doubt", "answer_to_another", None)
        # On a token the recipient's id is not ours to compare.
        assert understand(200, body, {}).mid == "m_1"
    for told in ('"3180000000000001"', "3180000000000001", "null", '"1"'):
        body = f'{{"recipient_id": {told}, "message_id": "m_1"}}'.encode()
        assert understand(200, body, {}, psid="3180000000000001").mid == "m_1"


def test_the_platform_says_in_minutes_how_long_to_wait() -> None:
    usage = json.dumps({"1": [{"type": "messenger", "estimated_time_to_regain_access": 19}, {"type": "pages",
                        "estimated_time_to_regain_access": 2}]})  # fmt: skip
    assert _error(400, 80006, None, **{"X-Business-Use-Case-Usage": usage}).wait == 19 * 60
    assert _error(400, 80006, None, **{"X-Business-Use-Case-Usage": "{"}).wait is None
    assert _error(400, 80006, None, **{"X-Business-Use-Case-Usage": '{"1": [{}]}'}).wait is None


@pytest.mark.parametrize(
    ("headers", "near", "of_app", "wait"),
    [
        ({}, False, False, None),
        ({"X-App-Usage": '{"call_count":28,"total_time":25,"total_cputime":25}'}, False, False, None),
        ({"X-App-Usage": '{"call_count":28,"total_time":208,"total_cputime":25}'}, True, True, None),
        ({"X-Page-Usage": '{"call_count":95,"total_time":0,"total_cputime":0}'}, True, False, None),
        ({"X-Page-Usage": '{"call_count":94.9}'}, False, False, None),
        (
            {"X-Business-Use-Case-Usage": '{"9": [{"type":"ads_insights","call_count":100}, {"type":"messenger",'
             '"call_count":96, "estimated_time_to_regain_access": 3}]}'}, True, False, 180.0,
        ),
        ({"X-Business-Use-Case-Usage": '{"9": [{"type":"ads_insights","call_count":100}]}'}, False, False, None),
        ({"X-Business-Use-Case-Usage": '{"9": [5, {"call_count": "100"}], "8": {}}'}, True, False, None),
        ({"X-App-Usage": '{"call_count": "99"}'}, True, True, None),
        ({"X-App-Usage": '{"call_count": 10}, {"call_count": 99}'}, True, True, None),  # two headers of one name
        ({"X-App-Usage": '{"call_count": 10}, {"call'}, False, False, None),
        # Of a limit that is far from used up, nothing is to be regained.
        (
            {"X-Business-Use-Case-Usage": '{"9": [{"type":"messenger","call_count":10, '
             '"estimated_time_to_regain_access": 999999}]}'}, False, False, None,
        ),
        (
            {"X-Business-Use-Case-Usage": '{"9": [{"type":"messenger","call_count":"NaN", '
             '"estimated_time_to_regain_access": "12"}]}'}, False, False, None,
        ),
        (
            {"X-Business-Use-Case-Usage": '{"9": [{"type":"messenger","call_count":"100", '
             '"estimated_time_to_regain_access": "12"}]}'}, True, False, 720.0,
        ),
        ({"X-App-Usage": '{"call_count": NaN, "total_time": Infinity, "total_cputime": true}'}, False, False, None),
        ({"X-App-Usage": "[" * 5000, "X-Page-Usage": "7"}, False, False, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, False, False, None),
    ],
)  # fmt: skip
def test_an_answer_of_success_tells_how_near_the_limits_are(
    headers: dict[str, str], near: bool, of_app: bool, wait: float | None
) -> None:
    usage = understand(200, b'{"recipient_id": "1", "message_id": "m_1"}', headers).usage
    assert (usage.near, usage.of_app, usage.wait) == (near, of_app, wait)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_understanding_is_total_and_never_believes_noise(status: int, body: bytes) -> None:
    assert understand(status, body, {}).result in ("in_doubt", "not_sent")


@given(st.integers(100, 499), st.integers(), st.one_of(st.none(), st.integers()))
def test_only_listed_errors_are_believed(status: int, code: int, subcode: int | None) -> None:
    answer = _error(status, code, subcode)
    assert answer.result != "sent"
    assert answer.reason
    assert answer.code is None or abs(answer.code) < 2**31
