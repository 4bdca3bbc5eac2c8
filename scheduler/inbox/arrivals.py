"""Takes a webhook body apart into events, leniently: whatever arrives becomes a row, nothing is thrown away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scheduler.inbox.lenient import id_of, identifier, milliseconds

#: The part of an event that says what it is; the first one present counts.
KINDS = (
    "message",
    "postback",
    "optin",
    "delivery",
    "read",
    "reaction",
    "referral",
    "message_edit",
    "account_linking",
    "response_feedback",
    "policy_enforcement",
    "pass_thread_control",
    "take_thread_control",
    "request_thread_control",
    "app_roles",
)

#: Nobody can be meant but a person: without one they cannot be applied.
_NEED_A_PERSON = frozenset({"message", "deletion", "postback", "delivery", "read", "reaction", "referral", "echo"})


@dataclass(slots=True, kw_only=True)
class Arrival:
    """One event as it arrived."""

    #: One of KINDS, or ``echo``, ``deletion`` (of a message), ``change`` (of the page), ``unknown``.
    kind: str
    #: The platform's id of the page.
    page: str | None
    #: The person: the sender, or for an echo the recipient.
    psid: str | None
    occurred_ms: int | None
    #: The same for every copy of the event, within one app.
    dedupe_key: str
    #: The event as it came.
    body: dict[str, Any]
    #: The part of the event that KINDS names.
    said: dict[str, Any]
    #: Why it cannot be applied, where that shows already.
    problem: str | None
    #: It came as a copy of what another app, which has the thread, was told.
    standby: bool = False


def arrivals(body: object) -> list[Arrival]:
    """Every event in a webhook body, in order. Never raises: what cannot be read is an arrival with its problem."""
    entries = body.get("entry") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(entries, list):
        return [_unreadable(body, None, "the body has no list of entries")]
    foreign = body.get("object") if body.get("object") not in (None, "page") else None
    found: list[Arrival] = []
    for entry in entries:
        found.extend(_entry(entry))
    if foreign is not None:
        for arrival in found:
            arrival.page, arrival.problem = None, "it is not about a page"
    return found


def unreadable(raw: bytes) -> Arrival:
    """A correctly signed body that is not even JSON."""
    words = raw.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    arrival = _unreadable(words, None, "the body is not JSON")
    arrival.dedupe_key = f"unreadable:{hashlib.sha256(raw).hexdigest()}"
    return arrival


def _entry(entry: object) -> Iterator[Arrival]:
    if not isinstance(entry, dict):
        yield _unreadable(entry, None, "the entry is not an object")
        return
    page, time = identifier(entry.get("id")), milliseconds(entry.get("time"))
    empty = True
    # Another app has the thread: its person's words reach us as standby, and still are the person's words.
    for channel in ("messaging", "standby"):
        events = entry.get(channel)
        if events is None:
            continue
        empty = False
        if not isinstance(events, list):
            yield _unreadable(entry, page, f"{channel} is not a list")
            continue
        for event in events:
            arrival = _event(event, page, time)
            arrival.standby = channel == "standby"
            yield arrival
    changes = entry.get("changes")
    if changes is not None:
        yield _change(entry, page, time)
    elif empty:
        yield _unreadable(entry, page, "the entry is empty")


def _event(event: object, page: str | None, time: int | None) -> Arrival:
    if not isinstance(event, dict):
        return _unreadable(event, page, "the event is not an object")
    kind = next((name for name in KINDS if event.get(name) is not None), "unknown")
    said = event.get(kind)
    sender, recipient = id_of(event.get("sender")), id_of(event.get("recipient"))
    problem = None
    if kind == "unknown" or (kind == "app_roles" and isinstance(said, list)):
        said = {}
    elif not isinstance(said, dict):
        said, problem = {}, f"{kind} is not an object"
    if kind == "message" and _true(said.get("is_echo")):
        kind = "echo"
    elif kind == "message" and _true(said.get("is_deleted")):
        kind = "deletion"
    page = page or (sender if kind == "echo" else recipient)
    psid = recipient if kind == "echo" else sender
    if psid is not None and psid == page:
        # Somebody has the parts swapped; whoever is meant is on the other side.
        psid = sender if kind == "echo" else recipient
        psid = psid if psid != page else None
        problem = problem or "the page itself stands where the person should"
    needs_a_person = kind in _NEED_A_PERSON or (kind == "optin" and said.get("user_ref") is None)
    if psid is None and needs_a_person:
        problem = problem or "it names no person"
    return Arrival(
        kind=kind,
        page=page,
        psid=psid,
        occurred_ms=milliseconds(event.get("timestamp")) or time,
        dedupe_key=_key(kind, page, said.get("mid"), event),
        body=event,
        said=said,
        problem=problem,
    )


def _change(entry: dict[str, Any], page: str | None, time: int | None) -> Arrival:
    body = {"id": page, "time": entry.get("time"), "changes": entry.get("changes")}
    return Arrival(
        kind="change",
        page=page,
        psid=None,
        occurred_ms=time,
        dedupe_key=_key("change", page, None, body),
        body=body,
        said={},
        problem=None,
    )


def _unreadable(value: object, page: str | None, problem: str) -> Arrival:
    body = value if isinstance(value, dict) else {"unreadable": value}
    return Arrival(
        kind="unknown",
        page=page,
        psid=None,
        occurred_ms=None,
        dedupe_key=_key("unknown", page, None, body),
        body=body,
        said={},
        problem=problem,
    )


def _key(kind: str, page: str | None, mid: object, event: dict[str, Any]) -> str:
    # A delivery, a read, a reaction and an edit speak *of* a mid, and may do so more than once.
    if kind in ("message", "echo", "deletion", "postback") and isinstance(mid, str) and 0 < len(mid) <= 300:
        return f"{kind}:{page}:{mid}"
    canonical = json.dumps([page, event], sort_keys=True, separators=(",", ":"))
    return f"{kind}:{page}:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _true(value: object) -> bool:
    return value is True or value == 1 or (isinstance(value, str) and value.casefold() == "true")
