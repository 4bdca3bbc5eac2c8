"""What answers of the Send API mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        (400, "190", None, "in_doubt", "platform_error", None),  # no number, no code
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
    "body", [b"", b"<html>", b"[1]", b'{"message_id": 5}', b'{"recipient_id": "1"}', b'{"a":' * 5000]
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
        ({"X-Business-Use-Case-Usage": '{"9": [5, {"call_count": "100"}], "8": {}}'}, False, False, None),
        ({"X-App-Usage": '{"call_count": NaN, "total_time": Infinity, "total_cputime": true}'}, False, False, None),
        ({"X-App-Usage": "[" * 5000, "X-Page-Usage": "7"}, False, False, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, False, False, None),
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
