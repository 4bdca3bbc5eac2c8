"""Takes a webhook body apart into events, leniently: whatever arrives becomes a row, nothing is thrown away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scheduler.contacts.psids import is_addressable
from scheduler.inbox.lenient import id_of, identifier, message_id, milliseconds
from scheduler.inbox.unknown_shapes import may_say_stop

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

#: Fields of ``changes`` that we understand, by the names that the platform uses, and the kind of event each is.
FIELDS = {
    "message_template_status_update": "template_status",
    "messenger_template_status_update": "template_status",
    "business_integrity": "business_integrity",
}

#: Fields by which an app subscribes to what people do. It comes as ``messaging`` and ``standby``; where it comes as a
#: change instead, as it does from the app dashboard's test, it is the same event in another wrapping.
MESSAGING_FIELDS = frozenset({
    "messages", "messaging_postbacks", "messaging_optins", "messaging_optouts", "message_deliveries", "message_reads",
    "message_reactions", "messaging_referrals", "message_edits", "message_echoes", "messaging_handovers",
    "messaging_account_linking", "messaging_feedback", "messaging_policy_enforcement", "standby",
})  # fmt: skip

#: Fields of a page's public life. They are kept, and nothing in them is said to the page in Messenger.
PUBLIC_FIELDS = frozenset({
    "feed", "mention", "ratings", "leadgen", "live_videos", "videos", "picture", "name", "conversations",
})  # fmt: skip

#: What an entry has beside its events.
_OF_THE_ENTRY = frozenset({"id", "time", "uid", "changed_fields", "hop_context", "messaging", "standby", "changes"})

#: What speaks of the page as a whole: applied apart from what people do, for it locks the page.
OF_PAGES = frozenset({"policy_enforcement", "template_status", "business_integrity"})

#: What nobody understood, and might be somebody who wants no more messages.
_MAY_BE_STOP = "it may be an opt-out, in a shape that is not understood"

#: Nobody can be meant but a person: without one they cannot be applied.
_NEED_A_PERSON = frozenset({"message", "deletion", "postback", "delivery", "read", "reaction", "referral", "echo"})

#: Characters of a message's id that stand in a key as they are.
_LONGEST_MID = 300

#: Shapes that are not known: no list of entries, or no JSON; of no page; no event that is known; no field.
ODD = ("unreadable", "unknown_object", "unknown_event", "unknown_field")

#: Its message id is the identity of the event: a second one with the same is a copy.
_NAMED_BY_MID = frozenset({"message", "echo", "deletion", "postback"})


@dataclass(slots=True, kw_only=True)
class Arrival:
    """One event as it arrived."""

    #: One of KINDS or of FIELDS' kinds, or ``echo``, ``deletion`` (of a message), ``change`` (of the page, another),
    #: ``instagram``, ``unknown``.
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
    #: The part of the event that its kind names.
    said: dict[str, Any]
    #: Why it cannot be applied, where that shows already.
    problem: str | None
    #: It came as a copy of what another app, which has the thread, was told.
    standby: bool = False
    #: Why it is not in a shape that is known, as it is counted: one of ``ODD``.
    odd: str | None = None


def arrivals(body: object) -> list[Arrival]:
    """Every event in a webhook body, in order. Never raises: what cannot be read is an arrival with its problem."""
    entries = body.get("entry") if isinstance(body, dict) else None
    if isinstance(entries, dict):
        entries = [entries]
    elif entries is None and isinstance(body, dict) and "field" in body and "value" in body:
        # A single change without anything around it: so the platform shows them in its guides.
        entries = [{"changes": [body]}]
    if not isinstance(body, dict) or not isinstance(entries, list):
        return [_unreadable(body, None, "the body has no list of entries")]
    found: list[Arrival] = []
    for entry in entries:
        found.extend(_entry(entry))
    about = body.get("object")
    if about not in (None, "page"):
        for arrival in found:
            _keep_apart(arrival, about)
    return found


def unreadable(raw: bytes) -> Arrival:
    """A correctly signed body that is not even JSON."""
    words = raw.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    arrival = _unreadable(words, None, "the body is not JSON")
    arrival.dedupe_key = f"unreadable:{hashlib.sha256(raw).hexdigest()}"
    return arrival


def message_key(kind: str, page: str | None, mid: str) -> str:
    """The key of the event of this kind that has or is of this message id."""
    # Keys are looked up in an index, which has no room for an id of any length.
    short = mid if len(mid) <= _LONGEST_MID else f"sha256/{hashlib.sha256(mid.encode()).hexdigest()}"
    return f"{kind}:{page}:{short}"


def edit_keys(page: str | None, mid: str) -> list[str]:
    """The keys of the edits of a message: the platform lets people edit one five times."""
    return [_edit_key(page, mid, number) for number in range(1, 11)]


def _edit_key(page: str | None, mid: str, number: int) -> str:
    return f"{message_key('message_edit', page, mid)}:{number}"


def _keep_apart(arrival: Arrival, about: object) -> None:
    """Another product's webhook: kept, never mixed with what pages are told."""
    if about == "instagram":
        # The same shapes, other people: a channel of its own, which nothing here serves.
        arrival.dedupe_key = f"instagram:{arrival.dedupe_key}"
        arrival.kind, arrival.said, arrival.problem = "instagram", {}, None
    else:
        arrival.dedupe_key = f"{str(about)[:64]}:{arrival.dedupe_key}"
        arrival.problem, arrival.odd = "it is not about a page", "unknown_object"
    arrival.page = arrival.psid = None


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
        if isinstance(events, dict):
            events = [events]
        if not isinstance(events, list):
            yield _unreadable(entry, page, f"{channel} is not a list")
            continue
        for event in events:
            arrival = _event(event, page, time)
            arrival.standby = channel == "standby"
            yield arrival
    changes = entry.get("changes")
    if changes is not None:
        empty = False
        for change in changes if isinstance(changes, list) else [changes]:
            yield from _change(change, entry, page, time)
    for name, value in entry.items():
        if name not in _OF_THE_ENTRY and isinstance(value, (list, dict)):
            empty = False
            yield _unknown({"id": page, "time": entry.get("time"), name: value}, page, time)
    if empty:
        yield _unreadable(entry, page, "the entry is empty")


def _event(event: object, page: str | None, time: int | None) -> Arrival:
    if not isinstance(event, dict):
        return _unreadable(event, page, "the event is not an object")
    kind = "unknown"
    for name in KINDS:
        if event.get(name) is not None:
            kind = name
            break
    said = event.get(kind)
    sender, recipient = id_of(event.get("sender")), id_of(event.get("recipient"))
    problem = None
    if kind == "unknown" or (kind == "app_roles" and isinstance(said, list)):
        said = {}
    elif not isinstance(said, dict):
        said, problem = {}, f"{kind} is not an object"
    ours = kind == "message" and _true(said.get("is_echo"))
    if kind == "message" and _true(said.get("is_deleted")):
        kind = "deletion"
    elif ours:
        kind = "echo"
    page = page or (sender if ours else recipient)
    psid = recipient if ours else sender
    if psid is not None and psid == page:
        # Somebody has the parts swapped; whoever is meant is on the other side.
        psid = sender if ours else recipient
        psid = psid if psid != page else None
        problem = problem or "the page itself stands where the person should"
    if psid is not None and not is_addressable(psid):
        # Nobody could look them up, release or erase them.
        problem = problem or "the person's id is none that an address can name"
    needs_a_person = kind in _NEED_A_PERSON or (kind == "optin" and said.get("user_ref") is None)
    if psid is None and needs_a_person:
        problem = problem or "it names no person"
    if kind == "unknown" and may_say_stop(event):
        problem = _MAY_BE_STOP
    return Arrival(
        kind=kind,
        page=page,
        psid=psid,
        occurred_ms=milliseconds(event.get("timestamp")) or time,
        dedupe_key=_key(kind, page, said, event),
        body=event,
        said=said,
        problem=problem,
        odd="unknown_event" if kind == "unknown" else None,
    )


def _change(change: object, entry: dict[str, Any], page: str | None, time: int | None) -> Iterator[Arrival]:
    named = change.get("field") if isinstance(change, dict) else None
    field = named if isinstance(named, str) else ""
    value = change.get("value") if isinstance(change, dict) else None
    events = value if isinstance(value, list) else [value]
    if field not in FIELDS and any(_is_event(event) for event in events):
        for event in events:
            arrival = _event(event, page, time)
            arrival.standby = field == "standby"
            yield arrival
        return
    kind = FIELDS.get(field, "change")
    body = {"id": page, "time": entry.get("time"), "changes": [change]}
    said = value if isinstance(value, dict) else {}
    known = kind != "change" or field in PUBLIC_FIELDS
    problem, psid = None, None
    if kind != "change" and not isinstance(value, dict):
        problem = f"the value of {field} is not an object"
    elif field in MESSAGING_FIELDS and said.keys() - {"page_id"}:
        # A person did something, and nobody knows what.
        problem = f"the change of {field} is in no shape that is understood"
    elif not known and may_say_stop(change):
        problem = _MAY_BE_STOP
    if problem is not None:
        psid = id_of(said.get("sender")) or id_of(said.get("from"))
        psid = psid if psid != page else None
    yield Arrival(
        kind=kind,
        page=page,
        psid=psid,
        occurred_ms=time,
        dedupe_key=_key(kind, page, {}, body),
        body=body,
        said=said,
        problem=problem,
        odd=None if known else "unknown_field",
    )


def _is_event(value: object) -> bool:
    """Whether it is what ``messaging`` would have: something somebody did, and between whom."""
    if not isinstance(value, dict) or not (value.keys() & {"sender", "recipient"}):
        return False
    return any(isinstance(value.get(kind), dict) for kind in KINDS)


def _unknown(body: dict[str, Any], page: str | None, time: int | None) -> Arrival:
    """A part of an entry that has no name we know."""
    return Arrival(
        kind="unknown",
        page=page,
        psid=None,
        occurred_ms=time,
        dedupe_key=_key("unknown", page, {}, body),
        body=body,
        said={},
        problem=_MAY_BE_STOP if may_say_stop(body) else None,
        odd="unknown_event",
    )


def _unreadable(value: object, page: str | None, problem: str) -> Arrival:
    body = value if isinstance(value, dict) else {"unreadable": value}
    return Arrival(
        kind="unknown",
        page=page,
        psid=None,
        occurred_ms=None,
        dedupe_key=_key("unknown", page, {}, body),
        body=body,
        said={},
        problem=problem,
        odd="unreadable",
    )


def _key(kind: str, page: str | None, said: dict[str, Any], event: dict[str, Any]) -> str:
    # A delivery, a read and a reaction speak *of* a mid, and may do so more than once.
    mid = message_id(said.get("mid"))
    if mid is not None:
        if kind in _NAMED_BY_MID:
            return message_key(kind, page, mid)
        number = said.get("num_edit")
        if kind == "message_edit" and type(number) is int and 0 < number <= 10:
            return _edit_key(page, mid, number)
    canonical = json.dumps([page, event], sort_keys=True, separators=(",", ":"))
    return f"{kind}:{page}:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _true(value: object) -> bool:
    return value is True or value == 1 or (isinstance(value, str) and value.casefold() == "true")
