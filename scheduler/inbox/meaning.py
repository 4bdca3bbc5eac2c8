"""What an event means for what may be sent. Pure: the same event always means the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies.keywords import match_keyword
from scheduler.contacts.places import known_zone
from scheduler.inbox.arrivals import Arrival
from scheduler.inbox.lenient import identifier, milliseconds

#: What a button or quick reply carries when it asks to be told that a product is back.
_NOTIFY_ME = "NOTIFY_ME:"

_PAYLOAD_CHOICES = {"STOP": "opt_out", "START": "opt_in"}

#: A topic or a product longer than this is no name.
_LONGEST_NAME = 200


class Unappliable(Exception):
    """An event that cannot be understood; its words go to a person."""


@dataclass(slots=True, kw_only=True)
class Meaning:
    """What to do about an event; most do one thing, many do nothing."""

    #: The person did something that opens the messaging window.
    opens_window: bool = False
    #: ``opt_out`` | ``opt_in``, of ``topic`` or (None) of everything.
    choice: str | None = None
    topic: str | None = None
    #: The IANA zone the platform says the person is in.
    zone: str | None = None
    #: The product the person wants to hear of.
    sku: str | None = None
    #: (metadata, message id) of a message the platform says was sent.
    echo: tuple[str | None, str] | None = None
    #: (message ids, watermark in milliseconds or None) of what was delivered.
    delivery: tuple[list[str], int | None] | None = None
    #: Everything sent before this instant, milliseconds, was read.
    read_ms: int | None = None
    #: The app that has the thread from now on, by the platform's id; empty: another one than ours, not named.
    thread_owner: str | None = None

    @property
    def only_opens_window(self) -> bool:
        """Nothing but the window: can be applied together with others of its kind."""
        more = (self.choice, self.zone, self.sku, self.echo, self.delivery, self.read_ms, self.thread_owner)
        return all(part is None for part in more)


def meaning_of(arrival: Arrival) -> Meaning:
    """What ``arrival`` means. Raises Unappliable, in words for an operator."""
    if arrival.problem is not None:
        raise Unappliable(arrival.problem)
    said = arrival.said
    match arrival.kind:
        case "message":
            return _message(said)
        case "postback":
            return _tapped(_word(said, "payload"), Meaning(opens_window=True))
        case "optin":
            return _optin(said)
        case "message_edit":
            # Opens nothing, but whoever corrects their words to STOP has said it. Correcting a STOP away takes back
            # nothing: that would be a START.
            text = _word(said, "text")
            return Meaning(choice="opt_out") if text and match_keyword(text) == "opt_out" else Meaning()
        case "reaction":
            # Taking a reaction back is on no list of what opens the window.
            return Meaning(opens_window=said.get("action") == "react")
        case "referral":
            # An m.me link into the conversation; a click on an advertisement opens nothing until they write.
            return Meaning(opens_window=said.get("source") == "SHORTLINK")
        case "echo":
            mid = said.get("mid")
            metadata = said.get("metadata")
            if not isinstance(mid, str) or not mid:
                raise Unappliable("the echo names no message")
            return Meaning(echo=(metadata if isinstance(metadata, str) else None, mid))
        case "delivery":
            return _delivery(said)
        case "read":
            watermark = milliseconds(said.get("watermark"))
            if watermark is None:
                raise Unappliable("the read has no watermark")
            return Meaning(read_ms=watermark)
        case "pass_thread_control":
            owner = identifier(said.get("new_owner_app_id"))
            if owner is None:
                raise Unappliable("it does not say which app has the thread now")
            return Meaning(thread_owner=owner)
        case "take_thread_control":
            # It is told to whoever loses the thread; who took it is not always named.
            return Meaning(thread_owner=identifier(said.get("new_owner_app_id")) or "")
        case _:
            return Meaning()


def _message(said: dict[str, Any]) -> Meaning:
    text = _word(said, "text")
    found = Meaning(opens_window=True)
    keyword = match_keyword(text) if text else None
    if keyword in ("opt_out", "opt_in"):
        found.choice = keyword
    quick_reply = said.get("quick_reply")
    if quick_reply is None:
        return found
    if not isinstance(quick_reply, dict):
        raise Unappliable("quick_reply is not an object")
    return _tapped(_word(quick_reply, "payload"), found)


def _tapped(payload: str | None, found: Meaning) -> Meaning:
    payload = (payload or "").strip()
    choice = _PAYLOAD_CHOICES.get(payload.upper())
    # When the words and the button disagree, the one that sends less counts.
    if choice is not None and found.choice != "opt_out":
        found.choice = choice
    if payload.startswith(_NOTIFY_ME):
        sku = payload.removeprefix(_NOTIFY_ME).strip()
        if not 0 < len(sku) <= _LONGEST_NAME:
            raise Unappliable("the payload NOTIFY_ME names no product")
        found.sku = sku
    return found


def _optin(said: dict[str, Any]) -> Meaning:
    if said.get("type") != "notification_messages":
        return Meaning()
    found = Meaning()
    zone = said.get("notification_messages_timezone")
    # A zone that nobody knows is no evidence; the rest of the event still counts.
    found.zone = known_zone(zone) if isinstance(zone, str) else None
    topic = next((name for name in (said.get("payload"), said.get("title")) if _is_name(name)), None)
    status = said.get("notification_messages_status")
    if isinstance(status, str) and status.upper().startswith("STOP"):
        found.choice, found.topic = "opt_out", topic
    elif topic is not None:
        # Without a topic it speaks of one we cannot name; it must not undo what was said about everything.
        found.choice, found.topic = "opt_in", topic
    return found


def _delivery(said: dict[str, Any]) -> Meaning:
    mids = said.get("mids")
    if mids is not None and not isinstance(mids, list):
        raise Unappliable("mids is not a list")
    named = [mid for mid in mids or [] if isinstance(mid, str) and mid]
    watermark = milliseconds(said.get("watermark"))
    if not named and watermark is None:
        raise Unappliable("the delivery names no message and has no watermark")
    return Meaning(delivery=(named, watermark))


def _word(said: dict[str, Any], name: str) -> str | None:
    value = said.get(name)
    if value is not None and not isinstance(value, str):
        # It might have been a STOP: better that a person looks than that we guess.
        raise Unappliable(f"{name} is not text")
    return value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST_NAME
