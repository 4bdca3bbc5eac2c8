"""What an event means for what may be sent. Pure: the same event always means the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from policies.keywords import Suggestion, read
from policies.platform_pack import platform_pack
from scheduler.contacts.places import known_zone
from scheduler.inbox.arrivals import Arrival
from scheduler.inbox.echoes import by_a_person, of_the_platform
from scheduler.inbox.lenient import identifier, message_id, milliseconds
from scheduler.inbox.taps import Choice, Tap, read_tap

#: What a button or quick reply carries when it asks to be told that a product is back.
_NOTIFY_ME = "NOTIFY_ME:"

#: Of what a keyword may mean, what changes anything.
_CHOICES: dict[str, Choice] = {"opt_out": "opt_out", "opt_in": "opt_in"}

#: A topic or a product longer than this is not a name.
_LONGEST_NAME = 200

#: The longest token that the platform would give.
_LONGEST_TOKEN = 4096

#: A one-time token is good for a year.
_ONE_YEAR = 365 * 86_400

_PACK = "platform/messenger"


class Unappliable(Exception):
    """An event that cannot be understood; its words go to a person."""


@dataclass(slots=True, kw_only=True)
class TokenWord:
    """What an opt-in event says of a permission to write outside the window."""

    action: Literal["grant", "stop", "resume"]
    kind: Literal["notification_messages", "one_time"] = "notification_messages"
    #: None: any topic.
    topic: str | None = None
    #: Of a grant: the token, and until when it is good (epoch seconds, or seconds from then).
    token: str = ""
    expires_at: int | None = None
    lasts: int | None = None


@dataclass(slots=True, kw_only=True)
class Meaning:
    """What to do about an event; most do one thing, many do nothing."""

    #: The person did something that opens the messaging window.
    opens_window: bool = False
    #: It is the first message after a click on an advertisement.
    from_ad: bool = False
    #: Of ``topic`` or (None) of everything; ``wording`` is what the person had read.
    choice: Choice | None = None
    topic: str | None = None
    wording: str | None = None
    #: What a phrase in the words may mean: for a person to judge.
    suggestion: Suggestion | None = None
    token: TokenWord | None = None
    #: The IANA zone the platform says the person is in.
    zone: str | None = None
    #: The product the person wants to hear of.
    sku: str | None = None
    #: (metadata, message id) of a message the platform says was sent.
    echo: tuple[str | None, str] | None = None
    #: Of an echo: a person of the team wrote it; or the platform itself did, for nobody.
    by_person: bool = False
    automatic: bool = False
    #: (message ids, watermark in milliseconds or None) of what was delivered.
    delivery: tuple[list[str], int | None] | None = None
    #: Everything sent before this instant, milliseconds, was read.
    read_ms: int | None = None
    #: The app that has the thread from now on, by the platform's id; empty: another one than ours, not named.
    thread_owner: str | None = None
    #: The message that its author took back.
    unsent: str | None = None
    #: Of the page: ``warning`` | ``block`` | ``unblock``.
    enforcement: str | None = None
    #: Of the page's utility template: its name, language, status and the reason.
    template: tuple[str, str, str, str | None] | None = None
    #: Of the page: its standing with the platform changed.
    integrity: bool = False


def meaning_of(arrival: Arrival) -> Meaning:
    """What ``arrival`` means. Raises Unappliable, in words for an operator."""
    if arrival.problem is not None:
        raise Unappliable(arrival.problem)
    said = arrival.said
    match arrival.kind:
        case "message":
            return _message(said)
        case "postback":
            return _tapped(read_tap(_label(said), _word(said, "payload"), said.get("referral")), _opens("postback"))
        case "optin":
            return _optin(said)
        case "message_edit":
            # Opens nothing, but whoever corrects their words to STOP has said it. Correcting a STOP away takes back
            # nothing: that would be a START.
            text = _word(said, "text")
            meaning, suggestion = read(text) if text else (None, None)
            if meaning == "opt_out":
                return Meaning(choice="opt_out")
            return Meaning(suggestion=suggestion)
        case "reaction":
            # Taking a reaction back is on no list of what opens the window.
            return Meaning(opens_window=_opens("reaction") and said.get("action") == "react")
        case "referral":
            return _tapped(read_tap(None, None, said), _referral_opens(said))
        case "echo":
            mid = message_id(said.get("mid"))
            metadata = said.get("metadata")
            if mid is None:
                raise Unappliable("the echo names no message")
            echoed = (metadata if isinstance(metadata, str) else None, mid)
            return Meaning(echo=echoed, by_person=by_a_person(said), automatic=of_the_platform(said))
        case "deletion":
            mid = message_id(said.get("mid"))
            if mid is None:
                raise Unappliable("it does not say which message was taken back")
            return Meaning(unsent=mid)
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
        case "policy_enforcement":
            action = said.get("action")
            if action not in ("warning", "block", "unblock"):
                raise Unappliable("it does not say whether the page is warned, blocked or unblocked")
            return Meaning(enforcement=action)
        case "template_status":
            return _template(said)
        case "business_integrity":
            return Meaning(integrity=True)
        case _:
            return Meaning()


@cache
def _opens(action: str) -> bool:
    """Whether the platform's pack says that this action opens the messaging window."""
    return action in platform_pack(_PACK).opened_by


def _message(said: dict[str, Any]) -> Meaning:
    text = _word(said, "text")
    from_ad = _from_ad(said.get("referral"))
    found = Meaning(opens_window=_opens("ad_message" if from_ad else "message"), from_ad=from_ad)
    quick_reply = said.get("quick_reply")
    if quick_reply is not None and not isinstance(quick_reply, dict):
        raise Unappliable("quick_reply is not an object")
    if quick_reply is not None:
        # The words are those on the button: nobody typed them.
        _follow(read_tap(text, _word(quick_reply, "payload"), said.get("referral")), found)
    else:
        if text:
            _hear(text, found)
        if said.get("referral") is not None:
            _follow(read_tap(None, None, said["referral"]), found)
    # A command that was chosen from the page's menu comes with its name, with or without the words.
    commands = said.get("commands")
    for command in commands if isinstance(commands, list) else ():
        name = command.get("name") if isinstance(command, dict) else None
        if isinstance(name, str):
            _follow(read_tap(name, None, None), found)
    found.zone = _appointment_zone(said.get("attachments"))
    return found


def _hear(text: str, found: Meaning) -> None:
    meaning, found.suggestion = read(text)
    found.choice = _CHOICES.get(meaning or "")


def _tapped(tap: Tap, opens_window: bool) -> Meaning:
    found = Meaning(opens_window=opens_window)
    _follow(tap, found)
    return found


def _follow(tap: Tap, found: Meaning) -> None:
    # When the words and the button disagree, the one that sends less counts.
    if tap.choice is not None and found.choice != "opt_out":
        found.choice = tap.choice
    found.suggestion = found.suggestion or tap.suggestion
    if found.choice == "opt_out":
        found.suggestion = None
    if tap.payload.startswith(_NOTIFY_ME):
        sku = tap.payload.removeprefix(_NOTIFY_ME).strip()
        if not 0 < len(sku) <= _LONGEST_NAME:
            raise Unappliable("the payload NOTIFY_ME names no product")
        found.sku = sku


def _label(said: dict[str, Any]) -> str | None:
    title = said.get("title")
    return str(title) if isinstance(title, int | float) else _word(said, "title")


def _from_ad(referral: object) -> bool:
    return isinstance(referral, dict) and str(referral.get("source")).upper() == "ADS"


def _referral_opens(said: dict[str, Any]) -> bool:
    # An m.me link into the conversation; a click on an advertisement opens nothing until they write.
    if said.get("source") == "SHORTLINK":
        return _opens("link")
    return "LEAD_COMPLETE" in (said.get("source"), said.get("type")) and _opens("lead_form")


def _appointment_zone(attachments: object) -> str | None:
    """The zone in which somebody booked an appointment; only a real IANA name counts."""
    for attachment in attachments if isinstance(attachments, list) else ():
        if isinstance(attachment, dict) and attachment.get("type") == "appointment_booking":
            payload = attachment.get("payload")
            zone = payload.get("timezone") if isinstance(payload, dict) else None
            if isinstance(zone, str) and (known := known_zone(zone)):
                return known
    return None


def _optin(said: dict[str, Any]) -> Meaning:
    kind = said.get("type")
    if kind == "one_time_notif_req":
        return _one_time(said)
    if kind != "notification_messages":
        # A plugin on a website, whose person is known once they wrote: until then it has a user_ref alone.
        return _tapped(
            read_tap(None, None, said), "ref" in said and "user_ref" not in said and _opens("plugin_message")
        )
    found = Meaning()
    zone = said.get("notification_messages_timezone")
    # A zone that nobody knows is not evidence; the rest of the event still counts.
    found.zone = known_zone(zone) if isinstance(zone, str) else None
    topic = _topic(said)
    title = said.get("title")
    found.wording = title if isinstance(title, str) and _is_name(title) else topic
    status = said.get("notification_messages_status")
    word = status.strip().upper() if isinstance(status, str) else ""
    if status is not None and not word.startswith(("STOP", "RESUME")):
        raise Unappliable("its status is neither STOP nor RESUME NOTIFICATIONS")
    if word.startswith("STOP"):
        found.choice, found.topic = "opt_out", topic
        found.token = TokenWord(action="stop", topic=topic)
        return found
    if topic is not None:
        # Without a topic it speaks of one we cannot name; it must not undo what was said about everything.
        found.choice, found.topic = "opt_in", topic
    if word.startswith("RESUME"):
        found.token = TokenWord(action="resume", topic=topic)
    token = said.get("notification_messages_token")
    if token is None:
        return found
    text = _token(token)
    ends = milliseconds(said.get("token_expiry_timestamp"))
    granted = TokenWord(action="grant", topic=topic, token=text, expires_at=ends // 1000 if ends else None)
    # A resumed token is the one that was granted before; what brings a token and no status is a grant.
    found.token = found.token or granted
    return found


def _one_time(said: dict[str, Any]) -> Meaning:
    token = said.get("one_time_notif_token")
    if token is None:
        raise Unappliable("the opt-in brings no token")
    word = TokenWord(action="grant", kind="one_time", topic=_topic(said), token=_token(token), lasts=_ONE_YEAR)
    return Meaning(token=word)


def _token(value: object) -> str:
    token = identifier(value) if isinstance(value, int) else value
    if not isinstance(token, str) or not 0 < len(token) <= _LONGEST_TOKEN or "\ufffd" in token:
        raise Unappliable("its token is none")
    return token


def _topic(said: dict[str, Any]) -> str | None:
    for name in (said.get("payload"), said.get("title")):
        if isinstance(name, str) and _is_name(name):
            return name.strip()
    return None


def _template(said: dict[str, Any]) -> Meaning:
    name, status = said.get("message_template_name"), said.get("event")
    if not isinstance(name, str) or not name or not isinstance(status, str) or not status:
        raise Unappliable("it does not say which template, or what became of it")
    language, reason = said.get("message_template_language"), said.get("reason")
    kept = reason[:_LONGEST_NAME] if isinstance(reason, str) and reason.upper() != "NONE" else None
    return Meaning(
        template=(name[:_LONGEST_NAME], str(language or "")[:35], status.strip().casefold()[:_LONGEST_NAME], kept)
    )


def _delivery(said: dict[str, Any]) -> Meaning:
    mids = said.get("mids")
    if mids is not None and not isinstance(mids, list):
        raise Unappliable("mids is not a list")
    named = [mid for each in mids or [] if (mid := message_id(each)) is not None]
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
