"""What becomes of due messages whose contacts are locked: decided anew, and put aside if they may not go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from policies.calendars import holidays_version
from policies.decision import Decision
from policies.engine import decide
from policies.facts import Facts, facts_to_json
from policies.local_time import tzdata_version
from scheduler.clock import guard_seconds
from scheduler.content.render import Rendered
from scheduler.facts.decisions import cancelled_campaigns, contact_facts, for_message, switches
from scheduler.governance.active import ActivePolicies
from scheduler.outbox.candidates import Candidate
from scheduler.outbox.states import LogRow, append_log
from scheduler.outbox.wake import wake_paced

#: Bars, not the clock, ended these: never ``expired``.
_NOT_TIME = frozenset({"suppression", "consent"})

#: It will not be sent any more.
_ENDED = frozenset({"denied", "expired", "cancelled", "refused"})

#: The reason of what is parked until the person writes.
_SHUT = "window_closed"

_PUT_ASIDE = text("""
    UPDATE message m SET state = d.state, state_at = :now, due_at = d.due_at, deadline = d.deadline,
        reason = d.reason, wakes_on = d.wakes_on, ground = d.ground, policy_version = d.version
    FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[]), CAST(:dues AS bigint[]),
                CAST(:deadlines AS bigint[]), CAST(:reasons AS text[]), CAST(:wakes AS text[]),
                CAST(:grounds AS text[]), CAST(:versions AS text[]))
        AS d (id, state, due_at, deadline, reason, wakes_on, ground, version)
    WHERE m.id = d.id AND m.state = 'due'
""")


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What becomes of one candidate."""

    candidate: Candidate
    state: str
    decision: Decision | None
    facts: Facts
    version: str | None
    reason: str | None
    #: The send guard that was asked for, seconds.
    guard: int
    due_at: int | None = None
    #: What ends an open-ended hold.
    wakes_on: str | None = None
    content: Rendered | None = None


def judge(session: Session, candidates: Sequence[Candidate], policies: ActivePolicies, now: int) -> list[Verdict]:
    """Decide the candidates anew, from facts read now; writes nothing. ``sending``: it may go.

    ``policies`` are the active ones of their pages. Raises Conflict for a page whose policy cannot be read.
    """
    facts_of = contact_facts(session, [candidate.contact_id for candidate in candidates], now)
    thrown = switches(session)
    # What was on the wire when its campaign was cancelled may have come back unsent.
    campaigns = {candidate.campaign_id for candidate in candidates if candidate.campaign_id is not None}
    called_off = cancelled_campaigns(session, campaigns)
    guard = guard_seconds()
    verdicts = []
    for candidate in candidates:
        facts = for_message(facts_of[candidate.contact_id], candidate, thrown)
        policy = policies.of(candidate.page_id)
        if candidate.campaign_id in called_off:
            verdicts.append(
                Verdict(
                    candidate=candidate, state="cancelled", decision=None, facts=facts, version=None,
                    reason="cancelled", guard=guard,
                )
            )  # fmt: skip
            continue
        if policy is None:
            # Nobody said what this page may send. Fail closed.
            verdicts.append(
                Verdict(
                    candidate=candidate, state="denied", decision=None, facts=facts, version=None,
                    reason="rule_error", guard=guard,
                )
            )  # fmt: skip
            continue
        decision = decide(policy, facts, now, min_remaining=guard)
        state, due_at, wakes_on, reason = "sending", None, decision.wakes_on, decision.reason
        if decision.verdict == "defer":
            state, due_at = "scheduled", decision.at
        elif decision.verdict == "deny":
            state = "expired" if _ran_out(candidate, decision, now + guard) else "denied"
            if state == "denied" and _held_shut(candidate, decision):
                state, wakes_on, reason = "scheduled", "inbound", _SHUT
        verdicts.append(
            Verdict(
                candidate=candidate, state=state, decision=decision, facts=facts, version=policy.version,
                reason=reason, guard=guard, due_at=due_at, wakes_on=wakes_on,
            )
        )  # fmt: skip
    return verdicts


def _held_shut(candidate: Candidate, decision: Decision) -> bool:
    """Whether the platform itself called the window closed when this went, and nothing but that is in its way still:
    it waits for the person to write (see ``settle.py``), whoever else woke it."""
    refused = candidate.attempts > 0 and candidate.reason == _SHUT
    return refused and "messaging_window" in decision.because


def _ran_out(candidate: Candidate, decision: Decision, by: int) -> bool:
    # It was permitted once, or waited for the person (only then it has a deadline), and it is the clock that ended it.
    if candidate.deadline is None or decision.reason == "rule_error":
        return False
    # What confirms an opt-out is barred by it once its minutes are over: there it is the clock all the same.
    confirms = candidate.confirms_record_id is not None and decision.reason == "opted_out"
    if not confirms and not _NOT_TIME.isdisjoint(decision.because):
        return False
    end = candidate.deadline if candidate.expires_at is None else min(candidate.deadline, candidate.expires_at)
    return by >= end


def put_aside(session: Session, verdicts: Sequence[Verdict], now: int, *, actor: str = "deliver") -> None:
    """Move those that do not go to where their verdicts put them, and log the decisions."""
    if not verdicts:
        return
    session.execute(
        _PUT_ASIDE,
        {
            "now": now,
            "ids": [verdict.candidate.id for verdict in verdicts],
            "states": [verdict.state for verdict in verdicts],
            "dues": [verdict.due_at for verdict in verdicts],
            "deadlines": [deadline_of(verdict) for verdict in verdicts],
            "reasons": [verdict.reason for verdict in verdicts],
            "wakes": [verdict.wakes_on for verdict in verdicts],
            "grounds": [ground_of(verdict) for verdict in verdicts],
            "versions": [verdict.version for verdict in verdicts],
        },
    )
    append_log(session, [log_row(verdict, now, None, actor=actor) for verdict in verdicts])
    # What was to come after these need not wait for them any more.
    wake_paced(session, [each.candidate.contact_id for each in verdicts if _out_of_the_way(each)], now)


def _out_of_the_way(verdict: Verdict) -> bool:
    return verdict.state in _ENDED or (verdict.state == "scheduled" and verdict.due_at is None)


def log_row(verdict: Verdict, now: int, attempt_id: int | None, *, actor: str = "deliver") -> LogRow:
    """The arrow from ``due`` with the decision behind it."""
    decision = verdict.decision
    if verdict.state == "cancelled":
        # Nobody decided anything.
        return LogRow(
            message_id=verdict.candidate.id, at=now, from_state="due", to_state="cancelled", actor=actor,
            reason="cancelled", page_id=verdict.candidate.page_id if actor == "deliver" else None,
        )  # fmt: skip
    return LogRow(
        message_id=verdict.candidate.id,
        at=now,
        from_state="due",
        to_state=verdict.state,
        actor=actor,
        attempt_id=attempt_id,
        reason=verdict.reason,
        verdict=decision.verdict if decision else "deny",
        until=decision.at if decision and decision.verdict == "defer" else None,
        because=list(decision.because) if decision else ["rule_error"],
        ground=ground_of(verdict),
        policy_version=verdict.version,
        tzdata=tzdata_version(),
        holidays=holidays_version(),
        guard=verdict.guard,
        facts=facts_to_json(verdict.facts),
        page_id=verdict.candidate.page_id if actor == "deliver" and verdict.state != "sending" else None,
    )


def ground_of(verdict: Verdict) -> str | None:
    """On what ground it may go."""
    return verdict.decision.ground if verdict.decision else None


def deadline_of(verdict: Verdict) -> int | None:
    """The end of the last permitted interval, or of the wait for the person, epoch seconds."""
    if verdict.decision is not None and verdict.decision.awaits_person:
        return verdict.candidate.expires_at
    # A denial keeps the deadline it had: it tells when the message could have gone.
    found = verdict.decision.deadline if verdict.decision else None
    return found if found is not None else verdict.candidate.deadline
