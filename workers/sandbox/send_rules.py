"""What the Send API accepts, and with which code it refuses the rest. Pure: a request, the world, the instant.

Source: the platform's "Send API reference" and "Utility messages" pages (2026-09).
"""

from __future__ import annotations

from typing import Any

from workers.sandbox import graph_errors as refusals
from workers.sandbox.graph_errors import GraphError, bad_parameter
from workers.sandbox.people import Page
from workers.sandbox.permissions import Use, use_of
from workers.sandbox.world import World

#: A text and a metadata must be shorter, in characters.
TEXT_LIMIT, METADATA_LIMIT = 2000, 1000
QUICK_REPLIES = 13
#: Seconds after the person's message in which a human agent may answer.
HUMAN_AGENT = 7 * 24 * 3600

#: These message tags are refused since 2026-04-27.
RETIRED_TAGS = frozenset({"CONFIRMED_EVENT_UPDATE", "ACCOUNT_UPDATE", "POST_PURCHASE_UPDATE"})
_TYPES = frozenset({"RESPONSE", "UPDATE", "MESSAGE_TAG", "UTILITY"})
_ACTIONS = frozenset({"typing_on", "typing_off", "mark_seen"})
_NOTIFICATIONS = frozenset({"REGULAR", "SILENT_PUSH", "NO_PUSH"})
_ATTACHMENTS = frozenset({"image", "audio", "video", "file", "template"})


def refusal_of(body: object, page: Page, world: World, at: float) -> GraphError | None:
    """Why the platform refuses ``body``, sent by ``page`` at ``at``; None when it accepts."""
    if not isinstance(body, dict):
        return bad_parameter("The body must be a JSON object")
    use = use_of(body)
    if use is not None:
        return _of_message(body.get("message")) or _of_use(body, use, page, world, at)
    recipient = body.get("recipient")
    if not isinstance(recipient, dict) or len(recipient) != 1:
        return bad_parameter("Param recipient must be non-empty.")
    psid = recipient.get("id")
    if not isinstance(psid, str) or not psid.isascii() or not psid.isdigit():
        return bad_parameter('Param recipient[id] must be a valid ID string (e.g., "123")')
    refusal = _of_action(body) if "sender_action" in body else _of_form(body)
    if refusal is not None:
        return refusal
    person = world.people.get(psid)
    if person is None or person.page_id != page.id:
        return refusals.NO_SUCH_PERSON
    if world.standing(psid).blocked:
        return refusals.BLOCKED
    return None if "sender_action" in body else _of_ground(body, page, psid, world, at)


def _of_action(body: dict[str, Any]) -> GraphError | None:
    if "message" in body:
        return bad_parameter("Only one of message and sender_action may be given")
    if body["sender_action"] not in _ACTIONS:
        return bad_parameter("Param sender_action must be one of {TYPING_ON, TYPING_OFF, MARK_SEEN}")
    return None


def _of_form(body: dict[str, Any]) -> GraphError | None:
    kind = body.get("messaging_type")
    if kind is None:
        return bad_parameter("The parameter messaging_type is required")
    if kind not in _TYPES:
        return bad_parameter("Param messaging_type must be one of {RESPONSE, UPDATE, MESSAGE_TAG, UTILITY}")
    if body.get("notification_type", "REGULAR") not in _NOTIFICATIONS:
        return bad_parameter("Param notification_type must be one of {REGULAR, SILENT_PUSH, NO_PUSH}")
    tag = body.get("tag")
    if tag in RETIRED_TAGS:
        return bad_parameter("Invalid parameter: this message tag is no longer supported")
    if kind == "MESSAGE_TAG" and tag != "HUMAN_AGENT":
        return bad_parameter("Param tag must be a supported message tag")
    return _of_message(body.get("message"), utility=kind == "UTILITY")


def _of_message(message: object, *, utility: bool = False) -> GraphError | None:
    if not isinstance(message, dict):
        return bad_parameter("Param message must be an object")
    metadata = message.get("metadata", "")
    if not isinstance(metadata, str) or len(metadata) >= METADATA_LIMIT:
        return bad_parameter(f"Param message[metadata] must be shorter than {METADATA_LIMIT} characters")
    if utility:
        return _of_template(message.get("template"))
    if "template" in message:
        return bad_parameter("Param message[template] needs messaging_type UTILITY")
    return _of_content(message)


def _of_use(body: dict[str, Any], use: Use, page: Page, world: World, at: float) -> GraphError | None:
    """Why the platform refuses a message on a token. (It does not document each of these codes.)"""
    paid = use.kind == "marketing"
    if paid and str(body.get("message_id")) != page.message_campaign_id:
        return refusals.NO_CAMPAIGN
    psid = world.permissions.person(use)
    person = world.people.get(psid) if psid is not None else None
    if psid is None or person is None:
        return refusals.BAD_SUBSCRIPTION if paid else bad_parameter("Invalid notification messages token")
    if person.page_id != page.id:
        return refusals.OTHER_SUBSCRIPTION if paid else refusals.NO_SUCH_PERSON
    if world.standing(psid).blocked:
        return refusals.BLOCKED
    match world.permissions.broken(use, person.country, at):
        case None:
            return None
        case "token_stopped":
            return refusals.STOPPED_UPDATES
        case "token_too_soon":
            return refusals.TOO_SOON
        case broken:
            return bad_parameter(f"Invalid notification messages token: {broken}")


def _of_content(message: dict[str, Any]) -> GraphError | None:
    text, attachment = message.get("text"), message.get("attachment")
    if (text is None) == (attachment is None):
        return bad_parameter("Exactly one of message[text] and message[attachment] must be given")
    if attachment is not None:
        if not isinstance(attachment, dict) or attachment.get("type") not in _ATTACHMENTS:
            return bad_parameter("Param message[attachment][type] must be image, audio, video, file or template")
        if not isinstance(attachment.get("payload"), dict):
            return bad_parameter("Param message[attachment][payload] must be an object")
    elif not isinstance(text, str) or not text.strip() or not _is_utf8(text):
        return bad_parameter("Param message[text] must be a non-empty UTF-8-encoded string")
    elif len(text) >= TEXT_LIMIT:
        return bad_parameter(f"Length of param message[text] must be less than or equal to {TEXT_LIMIT - 1}")
    replies = message.get("quick_replies", [])
    if not isinstance(replies, list) or len(replies) > QUICK_REPLIES:
        return bad_parameter(f"Param message[quick_replies] must be a list of at most {QUICK_REPLIES}")
    return None


def _of_template(template: object) -> GraphError | None:
    if not isinstance(template, dict):
        return bad_parameter("Param message[template] is required for messaging_type UTILITY")
    if not isinstance(template.get("name"), str) or not template["name"]:
        return bad_parameter("Param message[template][name] is required")
    language = template.get("language")
    if not isinstance(language, dict) or not isinstance(language.get("code"), str) or not language["code"]:
        return bad_parameter("Param message[template][language][code] is required")
    components = template.get("components", [])
    if not isinstance(components, list):
        return bad_parameter("Param message[template][components] must be an array")
    for component in components:
        parameters = component.get("parameters") if isinstance(component, dict) else None
        if not isinstance(parameters, list) or not all(_is_parameter(each) for each in parameters):
            return bad_parameter("Param message[template][components] has a component without proper parameters")
    return None


def _is_parameter(parameter: object) -> bool:
    if not isinstance(parameter, dict) or not isinstance(parameter.get("type"), str):
        return False
    return parameter["type"].lower() != "text" or (isinstance(parameter.get("text"), str) and bool(parameter["text"]))


def _of_ground(body: dict[str, Any], page: Page, psid: str, world: World, at: float) -> GraphError | None:
    standing = world.standing(psid)
    if body["messaging_type"] == "UTILITY":
        template = body["message"]["template"]
        if not world.is_approved(page.id, template["name"], template["language"]["code"]):
            return bad_parameter("The template does not exist in this language, or is not approved")
        return None
    if body["messaging_type"] == "MESSAGE_TAG" and standing.last_inbound is not None:
        return None if at < standing.last_inbound + HUMAN_AGENT else refusals.CLOSED_WINDOW
    return None if standing.window_open(at) else refusals.CLOSED_WINDOW


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
