"""What an answer of the Send API means for the attempt, and for what is sent after it.

Keyed on HTTP status, code and subcode; never on the message, which is localised. Errors may come with HTTP 200. The
table is in ``classes.py``; whatever is not in it is ``in_doubt``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scheduler.inbox.lenient import message_id
from workers.send_api.classes import RESULTS, Effect, Kind, Result, classify
from workers.send_api.usage import NO_USAGE, Usage, read_usage

#: A code as text: ``"613"``, ``"190.0"``.
_WRITTEN = re.compile(r"-?[0-9]{1,10}(?:\.0*)?")
#: A page-scoped id is a number of fifteen digits and more; what is much shorter names nobody.
_PERSON = re.compile(r"[0-9]{10,}")

#: The answer accepts a message to somebody else.
TO_ANOTHER = "answer_to_another"


@dataclass(slots=True, kw_only=True)
class Answer:
    """An answer as understood. ``mid`` is the platform's message id of an accepted message."""

    kind: Kind
    reason: str | None = None
    effect: Effect | None = None
    http_status: int | None = None
    code: int | None = None
    subcode: int | None = None
    mid: str | None = None
    #: How far the platform's limits are used, as its headers say.
    usage: Usage = NO_USAGE
    #: Nothing was sent for a reason that passes by itself: to be tried again after a pause.
    retry: bool = False

    @property
    def result(self) -> Result:
        """What becomes of the attempt."""
        return RESULTS[self.kind]

    @property
    def wait(self) -> float | None:
        """Real seconds the platform asks to wait, where it says so."""
        return self.usage.wait


def understand(status: int, body: bytes, headers: Mapping[str, str], *, psid: str | None = None) -> Answer:
    """What the answer says. Total: a body that is no JSON, or no answer we know, leaves the attempt in doubt.

    ``psid`` is whom the message was for, where it was addressed to a person: an acceptance that names somebody else is
    the answer to somebody else's message.
    """
    document = _document(body)
    usage = read_usage(headers)
    error, mid = document.get("error"), message_id(document.get("message_id"))
    if isinstance(error, dict):
        return _of_error(status, error, usage)
    if 200 <= status < 300 and mid is not None:
        if psid is not None and _names_another(document.get("recipient_id"), psid):
            return Answer(kind="in_doubt", reason=TO_ANOTHER, http_status=status, usage=usage)
        return Answer(kind="sent", http_status=status, mid=mid, usage=usage)
    if 200 <= status < 300 and document.get("success") is True and "marketing_message_tracking_id" in document:
        # A paid message: taken, but its id comes with the echo.
        return Answer(kind="sent", http_status=status, usage=usage)
    if status == 429:
        return _of_error(status, {}, usage)
    return Answer(kind="in_doubt", reason="unreadable_answer", http_status=status, usage=usage)


def of_paid(answer: Answer) -> Answer:
    """The answer to a paid message, as the page hears it: a right that is wanting is one to the ad account.

    So that message is refused, and the page goes on.
    """
    if answer.kind == "page_stopped" and answer.reason == "no_permission":
        return replace(answer, kind="refused", effect=None)
    return answer


def _of_error(status: int, error: Mapping[str, Any], usage: Usage) -> Answer:
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    type_ = error.get("type")
    row = classify(status, code, subcode, type_ if isinstance(type_, str) else None)
    return Answer(
        kind=row.kind,
        reason=row.reason,
        effect=row.effect,
        http_status=status,
        code=code,
        subcode=subcode,
        usage=usage,
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _names_another(told: object, psid: str) -> bool:
    written = str(told) if isinstance(told, int) else told
    return isinstance(written, str) and written.strip() != psid and _PERSON.fullmatch(written.strip()) is not None


def _number(value: object) -> int | None:
    """A code, as a number or as text; None where it is neither, or does not fit the column."""
    if isinstance(value, str) and _WRITTEN.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None
