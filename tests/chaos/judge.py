"""The judgement: the witness's log against the ledger, message by message. No counter of the product has a say."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.ledger import ACCEPTED, TERMINAL, Ledger
from workers.sandbox.log import read_log
from workers.sandbox.witness import judge as judge_log

DAY = 24 * 3600
#: ``unconfirmed`` may be at most this share of the messages that were begun.
UNCONFIRMED_SHARE = 0.02


@dataclass(slots=True, kw_only=True)
class Doubts:
    """Why attempts may have ended without anybody knowing."""

    #: Attempts that were ``sending`` when a process was killed or stopped, or the database went away.
    at_kills: Collection[int] = ()
    #: Whether there were faults at all: without them nothing may be unconfirmed.
    faults: bool = True
    #: How many of the messages that were begun may end unconfirmed.
    share: float = UNCONFIRMED_SHARE


@dataclass(slots=True)
class Judgement:
    """What was found. Each list has one line a finding; a run passes when ``failures`` is empty."""

    outside_policy: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    #: Doubts that nothing which was done to the run explains, or too many of them.
    doubts: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """Everything found, each with its kind."""
        return [
            f"{kind}: {words}"
            for kind in ("outside_policy", "doubled", "lost", "disagreements", "doubts")
            for words in getattr(self, kind)
        ]


@dataclass(slots=True, kw_only=True)
class _Request:
    message: int
    attempt: int
    psid: str
    at: float
    promotional: bool
    mid: str | None = None
    status: int | None = None
    code: int | None = None
    fault: str | None = None


@dataclass(slots=True)
class _Seen:
    """What the witness saw."""

    requests: list[_Request] = field(default_factory=list)
    #: mid of echoes that were acknowledged.
    echoed: set[str] = field(default_factory=set)
    #: (message, attempt) whose request the line swallowed, and how many connections it slammed.
    swallowed: set[tuple[int, int]] = field(default_factory=set)
    slams: int = 0
    #: psid of those whose STOP was acknowledged.
    stopped: set[str] = field(default_factory=set)
    stops_sent: int = 0


def judge(
    log: Path, ledger: Ledger, doubts: Doubts, *, cap: int | None = None, wanted: Collection[str] = ()
) -> Judgement:
    """Judge a run that has come to rest. ``cap``: promotional messages a person may get in 24 h; ``wanted``: the keys
    of the business events that Duly acknowledged."""
    found = Judgement()
    verdict = judge_log(log)
    for violation in verdict.violations:
        words = f"{violation.kind}: message {violation.message} to {violation.psid}: {violation.detail}"
        (found.doubled if violation.kind == "doubled" else found.outside_policy).append(words)
    seen = _read(log)
    _caps(found, seen, cap)
    _lost(found, seen, ledger, wanted)
    _disagreements(found, seen, ledger)
    _unconfirmed(found, seen, ledger, doubts)
    found.figures |= {
        "messages": len(ledger.messages),
        "begun": sum(message["attempts"] > 0 for message in ledger.messages.values()),
        "attempts": len(ledger.attempts),
        "requests": verdict.requests,
        "accepted": verdict.accepted,
        "refused_by_code": dict(verdict.refused),
        "races_with_an_opt_out": verdict.races,
        "opt_outs_sent": seen.stops_sent,
        "opt_outs_acknowledged": len(seen.stopped),
        "faulty_answers": dict(Counter(request.fault for request in seen.requests if request.fault)),
        "swallowed": len(seen.swallowed),
        "slammed": seen.slams,
        "states": ledger.states,
        "reasons": ledger.reasons,
    }
    return found


def _read(log: Path) -> _Seen:
    seen = _Seen()
    by_number: dict[int, _Request] = {}
    acknowledged: set[str] = set()
    stops: dict[str, str] = {}
    for record in read_log(log):
        match record["kind"]:
            case "request":
                request = _request(record)
                if request is not None:
                    by_number[record["n"]] = request
                    seen.requests.append(request)
            case "answer" if record["n"] in by_number:
                request = by_number[record["n"]]
                request.mid, request.status = record.get("mid"), record["status"]
                request.code, request.fault = record.get("code"), record.get("fault")
            case "told" if record["what"] == "echo" and record["known"]:
                seen.echoed.add(record["mid"])
            case "line" if record["what"] == "swallowed":
                seen.swallowed.add((int(record["message"]), int(record["attempt"])))
            case "line":
                seen.slams += 1
            case "inbound" if record["intent"] == "stop":
                stops[record["id"]] = record["psid"]
            case "acknowledged":
                acknowledged.add(record["id"])
    seen.stops_sent = len(stops)
    seen.stopped = {psid for event, psid in stops.items() if event in acknowledged}
    return seen


def _request(record: dict[str, Any]) -> _Request | None:
    try:
        body = json.loads(record["body"])
        message, attempt, _mac = body["message"]["metadata"].split(".")
        psid = body["recipient"]["id"]
        promotional = body["messaging_type"] != "UTILITY"
    except (ValueError, KeyError, TypeError):
        return None  # the witness calls it unidentified
    return _Request(message=int(message), attempt=int(attempt), psid=psid, at=record["at"], promotional=promotional)


def _caps(found: Judgement, seen: _Seen, cap: int | None) -> None:
    if cap is None:
        return
    accepted: dict[str, list[float]] = defaultdict(list)
    for request in seen.requests:
        if request.promotional and request.mid:
            accepted[request.psid].append(request.at)
    for psid, instants in accepted.items():
        instants.sort()
        for place, at in enumerate(instants):
            if place + 1 - bisect_right(instants, at - DAY) > cap:
                found.outside_policy.append(f"frequency_cap: more than {cap} promotions to {psid} within 24 h")
                break


def _lost(found: Judgement, seen: _Seen, ledger: Ledger, wanted: Collection[str]) -> None:
    for number, message in ledger.messages.items():
        state = message["state"]
        if state not in TERMINAL:
            found.lost.append(f"message {number} hangs in {state} ({message['reason']}, due {message['due_at']})")
        elif state not in ACCEPTED and not message["reason"]:
            found.lost.append(f"message {number} ended as {state} without a reason")
    for campaign, (audience, missing) in ledger.campaigns.items():
        if missing:
            found.lost.append(f"campaign {campaign} has no message for {missing} of {audience} people")
    for key in wanted:
        if ledger.events.get(key) != 1:
            found.lost.append(f"event {key} was acknowledged and has {ledger.events.get(key, 'no')} messages")
    for psid in seen.stopped - ledger.opted_out:
        found.lost.append(f"the opt-out of {psid} was acknowledged and is not in force")


def _disagreements(found: Judgement, seen: _Seen, ledger: Ledger) -> None:
    say = found.disagreements.append
    # A ledger that contradicts itself says nothing of what happened.
    found.disagreements += [f"the log of {fault}" for fault in ledger.faults]
    accepted: dict[int, set[str]] = defaultdict(set)
    per_attempt = Counter(request.attempt for request in seen.requests)
    for request in seen.requests:
        attempt = ledger.attempts.get(request.attempt)
        if attempt is None or attempt["message_id"] != request.message:
            say(f"the witness saw attempt {request.attempt} of message {request.message}, which the ledger has not")
            continue
        outcome = attempt["outcome"]
        if request.mid:
            accepted[request.message].add(request.mid)
            if outcome in ("refused", "not_sent"):
                say(f"attempt {request.attempt} was accepted and is called {outcome}")
        elif outcome == "sent":
            say(f"attempt {request.attempt} was not accepted and is called sent")
        if outcome == "refused" and request.code != attempt["code"]:
            say(f"attempt {request.attempt} was refused with {request.code}, not {attempt['code']}")
    for attempt_id, count in per_attempt.items():
        if count > 1:
            say(f"attempt {attempt_id} was requested {count} times")
    for number, message in ledger.messages.items():
        mids = accepted.get(number, set())
        if message["state"] in ACCEPTED:
            if not mids:
                say(f"message {number} is called {message['state']}, and the witness accepted none")
            elif message["mid"] not in mids:
                say(f"message {number} has the id {message['mid']}, the witness gave {mids}")
        elif mids and message["state"] not in ("unconfirmed", "dead"):
            say(f"message {number} was accepted and is called {message['state']}")
        elif mids & seen.echoed:
            say(f"message {number} is called {message['state']} though its echo was acknowledged")


def _unconfirmed(found: Judgement, seen: _Seen, ledger: Ledger, doubts: Doubts) -> None:
    broken = {(request.message, request.attempt) for request in seen.requests if request.fault} | seen.swallowed
    ends: dict[int, list[int]] = defaultdict(list)
    for attempt_id, attempt in ledger.attempts.items():
        if attempt["outcome"] in ("unconfirmed", "in_doubt"):
            ends[attempt["message_id"]].append(attempt_id)
    by_kill = by_line = 0
    unexplained = []
    for number, message in ledger.messages.items():
        if message["state"] not in ("unconfirmed", "dead"):
            continue
        mine = ends[number]
        if any((number, attempt) in broken for attempt in mine):
            by_line += 1
        elif any(attempt in doubts.at_kills for attempt in mine):
            by_kill += 1
        else:
            unexplained.append(number)
    total = by_kill + by_line + len(unexplained)
    begun = sum(message["attempts"] > 0 for message in ledger.messages.values())
    found.figures |= {
        "unconfirmed": total,
        "unconfirmed_sending_at_a_kill": by_kill,
        "unconfirmed_cut_off_by_the_line": by_line,
        "unconfirmed_slammed_or_unexplained": len(unexplained),
        "sending_at_kills": len(set(doubts.at_kills)),
        "unconfirmed_share": round(total / begun, 5) if begun else 0.0,
    }
    if not doubts.faults and total:
        found.doubts.append(f"{total} messages are unconfirmed though nothing went wrong")
    # A slammed connection never tells whose it was.
    if len(unexplained) > seen.slams:
        found.doubts.append(f"nothing explains why {len(unexplained)} messages are unconfirmed: {unexplained[:10]}")
    if begun and total > doubts.share * begun:
        found.doubts.append(f"{total} of {begun} messages are unconfirmed: over {doubts.share:.0%}")
