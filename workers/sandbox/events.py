"""Webhook bodies as the platform writes them: one event a body, Unicode and slashes escaped, lower-case hex.

Source: the platform's "Webhook events" reference (2026-09).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from workers.sandbox.people import Page, Person
from workers.sandbox.permissions import ONE_TIME
from workers.sandbox.script import Act


def inbound(page: Page, person: Person, act: Act) -> bytes:
    """What the page is told of something the person did. A block is never told."""
    said: dict[str, Any]
    match act.kind:
        case "message":
            said = {"message": {"mid": mid(act.id), "text": act.text or ""}}
        case "quick_reply":
            reply = {"payload": act.payload or ""}
            said = {"message": {"mid": mid(act.id), "text": act.text or "", "quick_reply": reply}}
        case "postback":
            said = {"postback": {"mid": mid(act.id), "title": act.text or "", "payload": act.payload or ""}}
        case "optin":
            granted = {"token_expiry_timestamp": _ms(act.expires_at)} if act.expires_at is not None else {}
            said = {
                "optin": {
                    "type": "notification_messages",
                    "payload": act.payload or "updates",
                    "notification_messages_token": str(_number(act.id)),
                    "notification_messages_timezone": person.zone,
                    "user_token_status": "NOT_REFRESHED",
                    "title": act.text or "Updates",
                    **granted,
                }
            }
        case "one_time":
            said = {
                "optin": {
                    "type": "one_time_notif_req",
                    "payload": act.payload or "updates",
                    "one_time_notif_token": str(_number(act.id)),
                }
            }
        case "stop_updates" | "resume_updates":
            word = "STOP" if act.kind == "stop_updates" else "RESUME"
            said = {
                "optin": {
                    "type": "notification_messages",
                    "payload": act.payload or "updates",
                    "notification_messages_status": f"{word} NOTIFICATIONS",
                    "title": act.text or "Updates",
                }
            }
        case "block":
            raise ValueError("no webhook tells of a block")
    return _body(page.id, act.at, {"sender": {"id": person.psid}, "recipient": {"id": page.id}}, said)


def token_told(act: Act) -> dict[str, Any] | None:
    """What the log keeps of an act that grants a token, stops one or lets it go on."""
    topic = act.payload or "updates"
    match act.kind:
        case "optin":
            expires_at, kind = act.expires_at, "notification_messages"
        case "one_time":
            expires_at, kind = act.at + ONE_TIME, "one_time"
        case "stop_updates" | "resume_updates":
            return {"status": "stopped" if act.kind == "stop_updates" else "resumed", "topic": topic}
        case _:
            return None
    return {"status": "granted", "kind": kind, "text": str(_number(act.id)), "topic": topic, "expires_at": expires_at}


def echo(page: Page, psid: str, at: float, message_id: str, content: dict[str, Any]) -> bytes:
    """What the page is told of a message it sent; ``content`` is the request's ``message``."""
    said: dict[str, Any] = {"mid": message_id, "is_echo": True, "app_id": int(page.app_id)}
    if isinstance(content.get("metadata"), str):
        said["metadata"] = content["metadata"]
    if isinstance(content.get("text"), str):
        said["text"] = content["text"]
    else:
        said["attachments"] = [{"type": "template", "payload": {}}]
    return _body(page.id, at, {"sender": {"id": page.id}, "recipient": {"id": psid}}, {"message": said})


def delivery(page: Page, psid: str, at: float, message_id: str) -> bytes:
    """The person's device has the message."""
    said = {"delivery": {"mids": [message_id], "watermark": _ms(at)}}
    return _body(page.id, at, {"sender": {"id": psid}, "recipient": {"id": page.id}}, said)


def read(page: Page, psid: str, at: float) -> bytes:
    """The person has seen everything sent before ``at``."""
    return _body(page.id, at, {"sender": {"id": psid}, "recipient": {"id": page.id}}, {"read": {"watermark": _ms(at)}})


def signatures(secret: str, body: bytes) -> dict[str, str]:
    """The headers that prove a body is ours: HMAC over its very bytes, in both of the platform's spellings."""
    return {
        "X-Hub-Signature": "sha1=" + hmac.new(secret.encode(), body, "sha1").hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest(),
    }


def mid(seed: str) -> str:
    """A message id in the platform's manner; the same for the same ``seed``."""
    return "m_" + hashlib.sha256(seed.encode()).hexdigest()


def _body(page_id: str, at: float, between: dict[str, Any], said: dict[str, Any]) -> bytes:
    event = {**between, "timestamp": _ms(at), **said}
    document = {"object": "page", "entry": [{"time": _ms(at), "id": page_id, "messaging": [event]}]}
    return json.dumps(document, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def _ms(at: float) -> int:
    return round(at * 1000)


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7])
