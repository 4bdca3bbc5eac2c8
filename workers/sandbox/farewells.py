"""The one message that may follow a STOP: it says that no more will come, and nothing else.

Built from the log alone; the witness judges by it. Source: 47 CFR 64.1200(a)(12): one message, within five minutes,
that does nothing but confirm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workers.sandbox.words import FAREWELLS

#: Seconds after the STOP.
WITHIN = 5 * 60

#: Written words; a tap on a button has shown its own answer.
_WRITTEN = frozenset({"message", "quick_reply"})
_TEXTS = frozenset(FAREWELLS.values())


@dataclass(slots=True)
class _Stop:
    at: float
    #: The message that confirmed it; it may be sent again when it did not arrive.
    confirmed_by: str | None = None


class Farewells:
    """Who has just said STOP in writing, and which message confirmed it."""

    def __init__(self) -> None:
        """Nobody has."""
        self._stops: dict[str, _Stop] = {}

    def learn(self, record: dict[str, Any]) -> None:
        """Take in one thing that happened. A second STOP after the first needs no second answer."""
        if record["kind"] != "inbound":
            return
        if record["intent"] == "start":
            self._stops.pop(record["psid"], None)
        elif record["intent"] == "stop" and record.get("event") in _WRITTEN:
            self._stops.setdefault(record["psid"], _Stop(record["at"]))

    def permits(self, psid: str, body: dict[str, Any], message_id: str | None, at: float) -> bool:
        """Whether this request is the confirmation of the person's STOP: its words alone, once, and in time."""
        stop, message = self._stops.get(psid), body.get("message")
        if stop is None or message_id is None or not isinstance(message, dict):
            return False
        if body.get("messaging_type") != "UPDATE" or not set(message) <= {"text", "metadata"}:
            return False
        if message.get("text") not in _TEXTS or not stop.at <= at <= stop.at + WITHIN:
            return False
        if stop.confirmed_by not in (None, message_id):
            return False
        stop.confirmed_by = message_id
        return True
