"""Tokens that people granted, as the platform keeps them: who may be written to on one, and what one was used for.

Built from the log alone; the Send API refuses by it, and the witness judges by it. Source: the platform's pages on
Marketing Messages, the Marketing Message API for Messenger and one-time notifications (2026-06).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

#: Seconds between two messages on a token of the free notifications, and between two paid ones to a person.
REST, PAID_REST = 48 * 3600, 24 * 3600
#: Seconds that a one-time token lasts.
ONE_TIME = 365 * 24 * 3600
#: 2026-02-10: since then the free notifications reach only the regions that the paid ones do not.
DISCONTINUED = 1_770_681_600
#: Where: the European Union, the United Kingdom, Japan, South Korea, Australia.
FREE_REGIONS = frozenset(
    {
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "GB", "JP", "KR", "AU",
    }
)  # fmt: skip

#: What a message goes on, by what its request names it.
_RECIPIENTS = {"notification_messages_token": "recurring", "one_time_notif_token": "one_time"}


@dataclass(slots=True)
class Permission:
    """A token, and what became of it. Instants are the platform's, epoch seconds."""

    #: ``notification_messages`` or ``one_time``.
    kind: str
    psid: str
    topic: str
    expires_at: float | None
    #: The event by which the person stopped it.
    stopped_by: str | None = None
    #: When messages went on it, by what they were: ``recurring``, ``marketing``, ``one_time``.
    used: dict[str, list[float]] = field(default_factory=dict)


@dataclass(slots=True)
class Use:
    """What a request wants to send on: the kind of message, and the token as it names it."""

    kind: str
    token: str


@dataclass(slots=True)
class Permissions:
    """All tokens, by their texts."""

    known: dict[str, Permission] = field(default_factory=dict)
    _pending: dict[int, tuple[Use, float]] = field(default_factory=dict)

    def learn(self, record: dict[str, Any]) -> None:
        """Take in one record of the log: what people did, what was asked for and what was accepted."""
        if record["kind"] == "inbound" and "token" in record:
            self._said(record)
        elif record["kind"] == "request":
            use = _written_in(record["body"])
            if use is not None:
                self._pending[record["n"]] = use, record["at"]
        elif record["kind"] == "answer" and record["n"] in self._pending:
            use, at = self._pending.pop(record["n"])
            if use.token in self.known and record.get("mid") is not None:
                self.known[use.token].used.setdefault(use.kind, []).append(at)

    def person(self, use: Use) -> str | None:
        """The psid of whoever granted the token."""
        permission = self.known.get(use.token)
        return None if permission is None else permission.psid

    def broken(self, use: Use, country: str | None, at: float) -> str | None:
        """What forbids a message on the token at ``at`` to somebody in ``country``: a word, or None."""
        permission = self.known.get(use.token)
        if permission is None or (use.kind == "one_time") != (permission.kind == "one_time"):
            return "token_unknown"
        if permission.stopped_by is not None:
            return "token_stopped"
        if permission.expires_at is not None and at >= permission.expires_at:
            return "token_expired"
        if use.kind == "one_time":
            return "token_reused" if permission.used else None
        free = country in FREE_REGIONS
        if (use.kind == "recurring" and not free and at >= DISCONTINUED) or (use.kind == "marketing" and free):
            return "token_region"
        rest = REST if use.kind == "recurring" else PAID_REST
        mine = [permission] if use.kind == "recurring" else self._of_person(permission.psid)
        used = [each for one in mine for each in one.used.get(use.kind, [])]
        # In whole seconds, as the page is told.
        return "token_too_soon" if any(int(at) - int(each) < rest for each in used) else None

    def _of_person(self, psid: str) -> list[Permission]:
        return [each for each in self.known.values() if each.psid == psid]

    def _said(self, record: dict[str, Any]) -> None:
        told = record["token"]
        if told["status"] == "granted":
            self.known[told["text"]] = Permission(
                kind=told["kind"], psid=record["psid"], topic=told["topic"], expires_at=told["expires_at"]
            )
            return
        for each in self._of_person(record["psid"]):
            if each.topic == told["topic"]:
                each.stopped_by = record["id"] if told["status"] == "stopped" else None


def _written_in(body: str) -> Use | None:
    if '_token"' not in body:
        return None
    try:
        return use_of(json.loads(body))
    except (ValueError, RecursionError):
        return None


def use_of(body: object) -> Use | None:
    """What a request's body wants to send on; None where it names a person."""
    if not isinstance(body, dict):
        return None
    paid = body.get("messenger_delivery_data")
    if isinstance(paid, dict) and isinstance(paid.get("subscription_token"), str):
        return Use("marketing", paid["subscription_token"])
    recipient = body.get("recipient")
    if isinstance(recipient, dict) and len(recipient) == 1:
        name, token = next(iter(recipient.items()))
        if name in _RECIPIENTS and isinstance(token, str):
            return Use(_RECIPIENTS[name], token)
    return None
