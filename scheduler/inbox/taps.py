"""What a tap asks for: the words on a button, what it carries, and what the link carried that somebody followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from policies.keywords import Label, Suggestion, read_label
from policies.payloads import Asked, read_payload

Choice = Literal["opt_out", "opt_in"]

#: Our own payloads. An opt-in has no other: what a button of another bot calls START may start anything.
_OWN: dict[str, Choice] = {"STOP": "opt_out", "START": "opt_in"}


@dataclass(slots=True, frozen=True)
class Tap:
    """One tap."""

    choice: Choice | None = None
    #: What it may mean: for a person to judge.
    suggestion: Suggestion | None = None
    payload: str = ""


def read_tap(label: str | None, payload: str | None, referral: object) -> Tap:
    """What a tap means by its words, its payload and the ``ref`` of a referral; an opt-out in any of them counts.

    Words opt out and never in. What is also said of bookings and games (CANCEL) suggests, unless the payload names what
    it is about (``CANCEL_ORDER_7``).
    """
    payload = (payload or "").strip()
    own = _OWN.get(payload.upper())
    if own == "opt_out":
        return Tap("opt_out", payload=payload)
    shown = read_label(label) if label else Label()
    carried = read_payload(payload) if payload and not own else Asked()
    ref = referral.get("ref") if isinstance(referral, dict) else None
    led = read_payload(ref) if ref and isinstance(ref, str) else Asked()
    if shown.opt_out or carried.opt_out or led.opt_out:
        return Tap("opt_out", payload=payload)
    suggestion = None if shown.unsure and carried.specific else shown.suggestion
    return Tap(own, carried.suggestion or suggestion or led.suggestion, payload)
