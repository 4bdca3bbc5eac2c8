"""What an answer of the Send API means for the attempt: the table, and the rule for what is not in it.

Keyed on HTTP status, code and subcode; never on the message, which is localised. Errors may come with HTTP 200.
Whatever is not listed is ``in_doubt``: an error does not prove that nothing was sent (code 1 is documented to come with
messages that were all sent). Sources: [E] the platform's "Error codes" page (2026-06-25), [S] its "Send messages"
guide, [R] its "Rate limiting" page (2026-03-23), [F] seen in the field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Result = Literal["sent", "refused", "not_sent", "in_doubt"]
Effect = Literal["blocked", "unreachable", "handover", "stop_page", "throttle"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of error says about the message, and beyond it."""

    result: Result
    reason: str
    effect: Effect | None = None


@dataclass(slots=True, kw_only=True)
class Answer:
    """An answer as understood. ``mid`` is the platform's message id of an accepted message."""

    result: Result
    reason: str | None = None
    effect: Effect | None = None
    http_status: int | None = None
    code: int | None = None
    subcode: int | None = None
    mid: str | None = None
    #: Real seconds the platform asks to wait, where it says so.
    wait: float | None = None


_CLOSED = Meaning("refused", "window_closed")
_BLOCKED = Meaning("refused", "blocked", "blocked")
_UNREACHABLE = Meaning("refused", "unreachable", "unreachable")
_THROTTLED = Meaning("not_sent", "throttled", "throttle")
_BAD_TOKEN = Meaning("not_sent", "bad_token", "stop_page")
_NO_PERMISSION = Meaning("not_sent", "no_permission", "stop_page")
_RESTRICTED = Meaning("not_sent", "page_restricted", "stop_page")
_INVALID = Meaning("refused", "invalid_request")
_TAKEN = Meaning("not_sent", "thread_taken", "handover")
_OFTEN = Meaning("refused", "too_often")
_UNKNOWN_FATE = Meaning("in_doubt", "platform_error")

#: (code, subcode) → meaning. A subcode of None is an answer without one.
_EXACT: dict[tuple[int, int | None], Meaning] = {
    # "This message is sent outside of allowed window." [E]; the older and the Instagram subcode of the same.
    (10, 2018278): _CLOSED,
    (10, 2018065): _CLOSED,
    (10, 2534022): _CLOSED,
    # "This person isn't receiving messages from you right now": blocked, deactivated or else unreachable [E][S][F].
    (551, None): _BLOCKED,
    (551, 1545041): _BLOCKED,
    (200, 1545041): _BLOCKED,
    (10, 2018108): _BLOCKED,
    # "No matching user found" [E]: the id is another page's, or the person is gone.
    (100, 2018001): _UNREACHABLE,
    (100, 2534014): _UNREACHABLE,
    # The app may not send for this page [E]. Every other message would fail alike, so the page stops and they wait.
    (1, 99): _NO_PERMISSION,
    (10, None): _NO_PERMISSION,
    (200, None): _NO_PERMISSION,
    (200, 2018028): _NO_PERMISSION,
    (230, None): _NO_PERMISSION,
    # The page is restricted for a while or for good [E] (1893063 since 2026-06-25).
    (10, 1893063): _RESTRICTED,
    (10, 1404170): _RESTRICTED,
    (100, 2534029): _RESTRICTED,
    (2022, None): _RESTRICTED,
    # Too many at once: of the custom limit, and to one thread [E][R].
    (613, None): _THROTTLED,
    (613, 2534040): _THROTTLED,
    # "Bothersome or abusive": this person has had enough of the page [E].
    (613, 2018338): Meaning("refused", "too_many_to_person"),
    # Limits of marketing messages and of opt-in requests [E].
    (4, 2018354): _OFTEN,
    (9, 2018352): _OFTEN,
    (613, 1893016): _OFTEN,
    # Another app, or the platform's own question flow, has the thread [E][F]: what is left of the window can be used
    # when it comes back.
    (10, 2018300): _TAKEN,
    (10, 2018321): _TAKEN,
    (100, 2534037): _TAKEN,
    # The person stopped these notifications [E].
    (10, 1893015): Meaning("refused", "notifications_stopped"),
    # A wrong parameter; also what the retired message tags get since 2026-04-27 [E][S].
    (100, None): _INVALID,
    (100, 2018047): _INVALID,
    (100, 2018109): _INVALID,
    (100, 2018014): _INVALID,
    (36000, None): _INVALID,
}

#: Codes that mean the same whatever the subcode, unless the pair is listed above.
_ANY_SUBCODE: dict[int, Meaning] = {
    # The token is expired, revoked, or its owner lost the role (458, 460, 463, 490, …) [E].
    190: _BAD_TOKEN,
    # Policy block [E].
    368: _RESTRICTED,
    # Limits of the app, the user, the page, business use cases and Messenger's own [E][R].
    4: _THROTTLED,
    17: _THROTTLED,
    32: _THROTTLED,
    341: _THROTTLED,
    80001: _THROTTLED,
    80006: _THROTTLED,
    # "The messages are all sent successfully, but the endpoint returns an error" [E, code 1, 1357046]; 2 "might also"
    # mean a block; 1200 is "temporary send message failure" [F].
    1: _UNKNOWN_FATE,
    2: _UNKNOWN_FATE,
    1200: _UNKNOWN_FATE,
}


def understand(status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
    """What the answer says. Total: a body that is no JSON, or no answer we know, leaves the attempt in doubt."""
    document = _document(body)
    error = document.get("error")
    if isinstance(error, dict):
        return _of_error(status, error, headers)
    mid = document.get("message_id")
    if 200 <= status < 300 and isinstance(mid, str) and mid:
        return Answer(result="sent", http_status=status, mid=mid)
    if status == 429:
        return Answer(result="not_sent", reason="throttled", effect="throttle", http_status=status, wait=_wait(headers))
    return Answer(result="in_doubt", reason="unreadable_answer", http_status=status)


def _of_error(status: int, error: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    if status >= 500:
        # The platform failed while it worked on the request; its words about it prove nothing.
        meaning = _UNKNOWN_FATE
    elif status == 429:
        meaning = _THROTTLED
    else:
        meaning = _meaning(code, subcode)
    return Answer(
        result=meaning.result,
        reason=meaning.reason,
        effect=meaning.effect,
        http_status=status,
        code=code,
        subcode=subcode,
        wait=_wait(headers) if meaning.effect == "throttle" else None,
    )


def _meaning(code: int | None, subcode: int | None) -> Meaning:
    if code is None:
        return _UNKNOWN_FATE
    return _EXACT.get((code, subcode)) or _ANY_SUBCODE.get(code) or Meaning("in_doubt", "unknown_error")


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _number(value: object) -> int | None:
    # What does not fit the column, or is no number, is no code we know.
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None


def _wait(headers: Mapping[str, str]) -> float | None:
    """Real seconds until the platform lets us back in: ``Retry-After``, or the longest of the business use cases."""
    after = headers.get("Retry-After", "")
    waits = [float(after)] if after.isascii() and after.isdigit() else []
    try:
        usage = json.loads(headers.get("X-Business-Use-Case-Usage", "{}"))
        for cases in usage.values():
            # In minutes [R].
            waits += [60.0 * case["estimated_time_to_regain_access"] for case in cases]
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return max(waits, default=0.0) or None
