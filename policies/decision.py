"""What comes out: the verdict on one message to one contact, and each rule's finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["send", "defer", "deny"]

#: Rule names, in the order of precedence that picks a decision's reason.
PRECEDENCE = (
    "suppression", "consent", "kill_switch", "messaging_window", "schedule", "handover", "minimum_gap",
    "frequency_cap", "quiet_hours", "unknown_zone",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Decision:
    """A verdict. Instants are epoch seconds UTC. Not frozen, because millions are made."""

    verdict: Verdict
    #: ``send``: the instant judged. ``defer``: the next instant it may go, null while nothing but an event can say.
    at: int | None = None
    #: Why it may be sent at ``at``.
    ground: str | None = None
    #: The end of the permitted interval that holds ``at``.
    closes_at: int | None = None
    #: The end of the last permitted interval, at most the horizon. None on a ``deny``, and while a message waits for
    #: the person: nothing is permitted yet.
    deadline: int | None = None
    #: The rules to blame, by precedence. Empty on a ``send``.
    because: tuple[str, ...] = ()
    #: The code of the first of them. None on a ``send``.
    reason: str | None = None
    #: What ends the wait: "handback", "zone_evidence", "resume", "page_restored", or "inbound" (the person writes).
    wakes_on: str | None = None

    @property
    def awaits_person(self) -> bool:
        """Nothing is permitted before the person writes, or their zone is known: a message that may wait does."""
        return self.verdict == "defer" and self.at is None and self.deadline is None


@dataclass(slots=True, kw_only=True)
class Finding:
    """What one rule says about one message now, with the numbers it looked at."""

    rule: str
    #: The text that the rule reads: "permitted_hours.house", "KR.kr-night", "platform.standard_window"; the rule's name
    #: where it has none.
    clause: str
    #: The rule's reason code; None while it permits.
    reason: str | None
    permits_now: bool
    #: When this rule alone would next permit, epoch seconds UTC; None: not before the horizon, or nobody knows.
    next_at: int | None
    numbers: dict[str, object]
    citation: str | None
    #: By what the text binds: "house", "platform", or a pack's basis such as "statute". None: by no text.
    binds: str | None
    words: str
