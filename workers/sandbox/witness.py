"""The witness: judges, from the sandbox's log alone, every request that arrived.

Its truth is the script's: where a person is, what a person meant. A request is judged by the instant it arrived,
whatever was answered. What is not ``messaging_type`` UTILITY counts as promotional.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.sandbox.clock import words_of
from workers.sandbox.farewells import Farewells
from workers.sandbox.log import LogUnreadable, Record, read_log
from workers.sandbox.permissions import Permissions, Use, use_of
from workers.sandbox.zones import local

#: Seconds that a person's action opens the window for; at its very end it is closed.
WINDOW = 24 * 3600
#: Local hours in which promotions may arrive, half-open.
FIRST_HOUR, LAST_HOUR = 8, 21
#: Real seconds after an opt-out's acknowledgement in which a request may have been on its way.
RACE = 0.250

KINDS = (
    "outside_window", "quiet_hours", "opted_out", "doubled", "unidentified", "wrong_page",
    # A message on a token: one that nobody granted, that was stopped, that ended, that was spent, where the platform
    # does not take such tokens, or before it had rested.
    "token_unknown", "token_stopped", "token_expired", "token_reused", "token_region", "token_too_soon",
)  # fmt: skip


@dataclass(slots=True)
class Violation:
    """One rule that one request broke. ``at`` is the platform's instant, epoch seconds."""

    kind: str
    message: str | None
    psid: str | None
    at: float
    detail: str

    def as_json(self) -> dict[str, Any]:
        """As ``/sandbox/verdict`` shows it."""
        return {
            "kind": self.kind,
            "message": self.message,
            "psid": self.psid,
            "at": words_of(self.at),
            "detail": self.detail,
        }


@dataclass(slots=True)
class Verdict:
    """What the witness has to say."""

    requests: int = 0
    accepted: int = 0
    #: Requests by ``messaging_type``; SENDER_ACTION and NONE for those without one.
    by_kind: Counter[str] = field(default_factory=Counter)
    #: Refused requests by error code.
    refused: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    races: int = 0

    def summary(self) -> str:
        """The verdict in one line."""
        return f"{self.requests} requests, {len(self.violations)} violations"

    def details(self) -> str:
        """The counts in one line: per kind, refused by code, races."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.by_kind.items())) or "none"
        refused = ", ".join(f"{code} {count}" for code, count in sorted(self.refused.items())) or "none"
        broken = Counter(violation.kind for violation in self.violations)
        words = f"accepted {self.accepted}; by kind: {kinds}; refused by code: {refused}; races: {self.races}"
        if broken:
            words += "; violations: " + ", ".join(f"{kind} {count}" for kind, count in sorted(broken.items()))
        return words

    def as_json(self) -> dict[str, Any]:
        """As ``/sandbox/verdict`` answers it."""
        return {
            "summary": self.summary(),
            "requests": self.requests,
            "accepted": self.accepted,
            "by_kind": dict(self.by_kind),
            "refused": dict(self.refused),
            "violations": [violation.as_json() for violation in self.violations],
            "races": self.races,
        }


@dataclass(slots=True)
class _OptOut:
    """A STOP: in force from its acknowledgement until the person's next START was sent. Real seconds."""

    acknowledged: float
    lifted: float = float("inf")


def judge(log_path: Path) -> Verdict:
    """Judge a log. Raises LogUnreadable."""
    records = list(read_log(log_path))
    try:
        return _judge(records)
    except (KeyError, TypeError, ValueError) as error:
        raise LogUnreadable(f"{log_path}: a record lacks what the witness needs ({error})") from None


def _judge(records: list[Record]) -> Verdict:
    verdict = Verdict()
    acknowledged = _acknowledged(records)
    opt_outs = _opt_outs(records, acknowledged)
    people: dict[str, Record] = {}
    newest: dict[str, float] = {}
    permissions, farewells = Permissions(), Farewells()
    requests: dict[int, tuple[Record, str | None, str | None]] = {}
    carried: set[str] = set()
    for record in records:
        match record["kind"]:
            case "person":
                people[record["psid"]] = record
            case "inbound" if record["opens"]:
                newest[record["psid"]] = max(newest.get(record["psid"], float("-inf")), record["at"])
            case "request":
                body = _body(record["body"])
                use = use_of(body)
                psid = permissions.person(use) if use is not None else _psid(body)
                asked = _Asked(record, body, use, psid)
                message = _judge_request(verdict, asked, people, newest, opt_outs, farewells)
                if use is not None:
                    _judge_use(verdict, asked, message, permissions, people, acknowledged)
                requests[record["n"]] = (record, message, psid)
            case "answer":
                _judge_answer(verdict, record, *requests[record["n"]], carried)
        permissions.learn(record)
        farewells.learn(record)
    return verdict


@dataclass(slots=True)
class _Asked:
    """A request: what it says, what it wants to send on, whom it would reach."""

    record: Record
    body: dict[str, Any]
    use: Use | None
    psid: str | None


def _acknowledged(records: list[Record]) -> dict[str, float]:
    """When what people did was acknowledged, real seconds. A copy may be so again: the first time counts."""
    found: dict[str, float] = {}
    for record in records:
        if record["kind"] == "acknowledged":
            found[record["id"]] = min(found.get(record["id"], float("inf")), record["real"])
    return found


def _opt_outs(records: list[Record], acknowledged: dict[str, float]) -> dict[str, list[_OptOut]]:
    """Acknowledged opt-outs by psid."""
    found: dict[str, list[_OptOut]] = defaultdict(list)
    for record in records:
        if record["kind"] != "inbound":
            continue
        if record["intent"] == "stop" and record["id"] in acknowledged:
            found[record["psid"]].append(_OptOut(acknowledged[record["id"]]))
        elif record["intent"] == "start":
            for opt_out in found[record["psid"]]:
                opt_out.lifted = min(opt_out.lifted, record["real"])
    return found


def _judge_request(
    verdict: Verdict,
    asked: _Asked,
    people: dict[str, Record],
    newest: dict[str, float],
    opt_outs: dict[str, list[_OptOut]],
    farewells: Farewells,
) -> str | None:
    """Judge one request; returns the id of its message."""
    request, psid = asked.record, asked.psid
    kind = asked.use.kind.upper() if asked.use is not None else _kind(asked.body)
    message = _message_id(asked.body)
    verdict.requests += 1
    verdict.by_kind[kind] += 1
    at = request["at"]

    def broken(rule: str, detail: str) -> None:
        verdict.violations.append(Violation(rule, message, psid, at, detail))

    if kind != "SENDER_ACTION" and message is None:
        broken("unidentified", "message.metadata does not say which message this is")
    person = people.get(psid) if psid is not None else None
    if psid is None or person is None:
        return message  # nobody it could have reached
    if person["page_id"] != request["page_id"]:
        broken("wrong_page", f"page {request['page_id']} wrote to a person of page {person['page_id']}")
    if farewells.permits(psid, asked.body, message, at):
        return message  # who writes STOP, at any hour, may be told that it was heard
    _judge_opt_out(verdict, request, opt_outs.get(psid, []), broken)
    if kind in ("UTILITY", "SENDER_ACTION"):
        return message
    opened = newest.get(psid)
    if asked.use is not None:
        pass  # its token permits it, or not
    elif opened is None:
        broken("outside_window", "the person never wrote")
    elif at >= opened + WINDOW:
        broken("outside_window", f"the window closed at {words_of(opened + WINDOW)}")
    wall = local(at, person["zone"])
    if not FIRST_HOUR <= wall.hour < LAST_HOUR:
        broken("quiet_hours", f"it was {wall:%H:%M} in {person['zone']}")
    return message


def _judge_opt_out(
    verdict: Verdict, request: Record, opt_outs: list[_OptOut], broken: Callable[[str, str], None]
) -> None:
    real = request["real"]
    in_force = [each for each in opt_outs if each.acknowledged < real <= each.lifted]
    if not in_force:
        return
    late = max(real - each.acknowledged for each in in_force)
    # Instants are kept to the microsecond; a difference of two must not fail for what lies below.
    if round(late, 6) <= RACE:
        verdict.races += 1
    else:
        broken("opted_out", f"it arrived {late:.3f} real seconds after the opt-out was acknowledged")


def _judge_use(
    verdict: Verdict,
    asked: _Asked,
    message: str | None,
    permissions: Permissions,
    people: dict[str, Record],
    acknowledged: dict[str, float],
) -> None:
    """Judge what a request wants to send on."""
    request, use = asked.record, asked.use
    assert use is not None  # the caller looked
    country = people[asked.psid]["country"] if asked.psid in people else None
    broken = permissions.broken(use, country, request["at"])
    if broken == "token_stopped":
        stopped = permissions.known[use.token].stopped_by
        late = request["real"] - acknowledged.get(stopped or "", float("inf"))
        if late < 0:
            return  # the page cannot know yet
        if round(late, 6) <= RACE:
            verdict.races += 1
            return
    if broken is not None:
        detail = f"a {use.kind} message on a token that does not permit it"
        verdict.violations.append(Violation(broken, message, asked.psid, request["at"], detail))


def _judge_answer(
    verdict: Verdict, answer: Record, request: Record, message: str | None, psid: str | None, carried: set[str]
) -> None:
    if answer.get("mid") is None:
        if answer.get("code") is not None:
            verdict.refused[str(answer["code"])] += 1
        return
    verdict.accepted += 1
    if message is not None and message in carried:
        detail = "the platform had accepted this message before"
        verdict.violations.append(Violation("doubled", message, psid, request["at"], detail))
    elif message is not None:
        carried.add(message)


def _body(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _kind(body: dict[str, Any]) -> str:
    if "sender_action" in body and "message" not in body:
        return "SENDER_ACTION"
    kind = body.get("messaging_type")
    return kind if isinstance(kind, str) and kind else "NONE"


def _message_id(body: dict[str, Any]) -> str | None:
    message = body.get("message")
    metadata = message.get("metadata") if isinstance(message, dict) else None
    if not isinstance(metadata, str):
        return None
    return metadata.partition(".")[0] or None


def _psid(body: dict[str, Any]) -> str | None:
    recipient = body.get("recipient")
    psid = recipient.get("id") if isinstance(recipient, dict) else None
    return psid if isinstance(psid, str) else None
