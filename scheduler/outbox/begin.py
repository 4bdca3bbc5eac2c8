"""Takes due messages on their way: locks, decides again, and writes down what is about to happen before it happens.

One READ COMMITTED transaction, in this order, which is the whole point:

1. choose candidates, without locks, the earliest deadline first;
2. lock their contacts, skipping those that somebody else holds;
3. *then*, in later statements, read messages and facts. A ``SELECT … FOR UPDATE`` that waited returns facts as of its
   start; a statement that begins once the lock is held sees everything that was acknowledged before;
4. decide, and write attempts, deferrals and denials in bulk.

Whoever calls commits, and only then posts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from policies.decision import Decision
from policies.engine import decide
from policies.facts import Facts, facts_to_json
from policies.local_time import tzdata_version
from scheduler.clock import guard_seconds
from scheduler.content.render import Rendered
from scheduler.facts.decisions import cancelled_campaigns, contact_facts, for_message, switches
from scheduler.governance.active import active_policies
from scheduler.outbox.candidates import Candidate, lock_candidates
from scheduler.outbox.content_of import content_of
from scheduler.outbox.metadata import make_metadata
from scheduler.outbox.states import LogRow, append_log
from scheduler.outbox.wake import hold_wakes

#: The most messages of one batch, and of one page in it: what is decided must be on the wire within 250 ms.
BATCH = 32
BATCH_OF_A_PAGE = 10

#: Bars, not the clock, ended these: never ``expired``.
_NOT_TIME = frozenset({"suppression", "consent"})

_ATTEMPTS = text("""
    INSERT INTO attempt (message_id, contact_id, page_id, category, ground, begun_at, outcome)
    SELECT message_id, contact_id, page_id, category, ground, :now, 'sending'
    FROM unnest(CAST(:messages AS bigint[]), CAST(:contacts AS bigint[]), CAST(:pages AS integer[]),
                CAST(:categories AS text[]), CAST(:grounds AS text[]))
        AS wanted (message_id, contact_id, page_id, category, ground)
    ON CONFLICT DO NOTHING
    RETURNING id, message_id
""")
_SENDING = text("""
    UPDATE message m SET state = 'sending', state_at = :now, attempts = m.attempts + 1, ground = d.ground,
        deadline = d.deadline, reason = NULL, wakes_on = NULL, policy_version = d.version
    FROM unnest(CAST(:ids AS bigint[]), CAST(:grounds AS text[]), CAST(:deadlines AS bigint[]),
                CAST(:versions AS text[])) AS d (id, ground, deadline, version)
    WHERE m.id = d.id AND m.state = 'due'
""")
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
class Begun:
    """A message that is about to be posted: its attempt is written, its content rendered, nothing left to look up."""

    message_id: int
    attempt_id: int
    contact_id: int
    page_id: int
    psid: str
    content: Rendered
    metadata: str


@dataclass(slots=True, kw_only=True)
class _Verdict:
    """What becomes of one candidate."""

    candidate: Candidate
    state: str
    decision: Decision | None
    facts: Facts
    version: str | None
    reason: str | None
    due_at: int | None = None
    content: Rendered | None = None


def begin(session: Session, lane: str, quotas: Mapping[int, int], now: int, *, limit: int = BATCH) -> list[Begun]:
    """Decide up to ``limit`` due messages of ``lane`` anew, at most ``quotas[page id]`` (≤ 10) a page, one a contact.

    Returns those that may go now, as ``sending`` with their attempts; the others went back to ``scheduled``, were
    parked, ``denied``, ``expired``, ``cancelled`` with their campaign or (content that cannot be rendered) ``refused``.
    Empty: nothing due is free.
    """
    quotas = {page: min(quota, BATCH_OF_A_PAGE) for page, quota in quotas.items() if quota > 0}
    if not quotas:
        return []
    hold_wakes(session)
    candidates = lock_candidates(session, lane, quotas, min(limit, BATCH))
    if not candidates:
        return []
    verdicts = _judge(session, candidates, now)
    sending = _render(session, [verdict for verdict in verdicts if verdict.state == "sending"])
    begun = _begin_attempts(session, sending, now)
    _put_aside(session, [verdict for verdict in verdicts if verdict.state != "sending"], now)
    return begun


def _judge(session: Session, candidates: Sequence[Candidate], now: int) -> list[_Verdict]:
    facts_of = contact_facts(session, [candidate.contact_id for candidate in candidates], now)
    policies = active_policies(session, sorted({candidate.page_id for candidate in candidates}))
    thrown = switches(session)
    # What was on the wire when its campaign was cancelled may have come back unsent.
    campaigns = {candidate.campaign_id for candidate in candidates if candidate.campaign_id is not None}
    called_off = cancelled_campaigns(session, campaigns)
    guard = guard_seconds()
    verdicts = []
    for candidate in candidates:
        facts = for_message(facts_of[candidate.contact_id], candidate, thrown)
        policy = policies.get(candidate.page_id)
        if candidate.campaign_id in called_off:
            verdicts.append(
                _Verdict(
                    candidate=candidate, state="cancelled", decision=None, facts=facts, version=None, reason="cancelled"
                )
            )
            continue
        if policy is None:
            # Nobody said what this page may send. Fail closed.
            verdicts.append(
                _Verdict(
                    candidate=candidate, state="denied", decision=None, facts=facts, version=None, reason="rule_error"
                )
            )
            continue
        decision = decide(policy, facts, now, min_remaining=guard)
        state, due_at = "sending", None
        if decision.verdict == "defer":
            state, due_at = "scheduled", decision.at
        elif decision.verdict == "deny":
            state = "expired" if _ran_out(candidate, decision, now + guard) else "denied"
        verdicts.append(
            _Verdict(
                candidate=candidate, state=state, decision=decision, facts=facts, version=policy.version,
                reason=decision.reason, due_at=due_at,
            )
        )  # fmt: skip
    return verdicts


def _ran_out(candidate: Candidate, decision: Decision, by: int) -> bool:
    # It was permitted once (only then it has a deadline), and it is the clock that ended it.
    if candidate.deadline is None or decision.reason == "rule_error" or not _NOT_TIME.isdisjoint(decision.because):
        return False
    end = candidate.deadline if candidate.expires_at is None else min(candidate.deadline, candidate.expires_at)
    return by >= end


def _render(session: Session, sending: Sequence[_Verdict]) -> list[_Verdict]:
    contents = content_of(session, [verdict.candidate for verdict in sending])
    good = []
    for verdict in sending:
        verdict.content = contents.get(verdict.candidate.id)
        if verdict.content is None:
            verdict.state, verdict.reason = "refused", "render_error"
        else:
            good.append(verdict)
    return good


def _begin_attempts(session: Session, sending: Sequence[_Verdict], now: int) -> list[Begun]:
    if not sending:
        return []
    # INVARIANT: the partial unique indexes fence the way into ``sending``. Losing to another attempt of the message or
    # of the contact is no error: that message simply stays due.
    rows = session.execute(
        _ATTEMPTS,
        {
            "now": now,
            "messages": [verdict.candidate.id for verdict in sending],
            "contacts": [verdict.candidate.contact_id for verdict in sending],
            "pages": [verdict.candidate.page_id for verdict in sending],
            "categories": [verdict.candidate.category for verdict in sending],
            "grounds": [_ground(verdict) for verdict in sending],
        },
    )
    attempts = {row.message_id: row.id for row in rows}
    won = [verdict for verdict in sending if verdict.candidate.id in attempts]
    if not won:
        return []
    session.execute(
        _SENDING,
        {
            "now": now,
            "ids": [verdict.candidate.id for verdict in won],
            "grounds": [_ground(verdict) for verdict in won],
            "deadlines": [_deadline(verdict) for verdict in won],
            "versions": [verdict.version for verdict in won],
        },
    )
    append_log(session, [_log_row(verdict, now, attempts[verdict.candidate.id]) for verdict in won])
    return [_begun(verdict, attempts[verdict.candidate.id]) for verdict in won]


def _put_aside(session: Session, verdicts: Sequence[_Verdict], now: int) -> None:
    if not verdicts:
        return
    session.execute(
        _PUT_ASIDE,
        {
            "now": now,
            "ids": [verdict.candidate.id for verdict in verdicts],
            "states": [verdict.state for verdict in verdicts],
            "dues": [verdict.due_at for verdict in verdicts],
            "deadlines": [_deadline(verdict) for verdict in verdicts],
            "reasons": [verdict.reason for verdict in verdicts],
            "wakes": [verdict.decision.wakes_on if verdict.decision else None for verdict in verdicts],
            "grounds": [_ground(verdict) for verdict in verdicts],
            "versions": [verdict.version for verdict in verdicts],
        },
    )
    append_log(session, [_log_row(verdict, now, None) for verdict in verdicts])


def _begun(verdict: _Verdict, attempt_id: int) -> Begun:
    candidate = verdict.candidate
    assert verdict.content is not None
    return Begun(
        message_id=candidate.id,
        attempt_id=attempt_id,
        contact_id=candidate.contact_id,
        page_id=candidate.page_id,
        psid=candidate.psid,
        content=verdict.content,
        metadata=make_metadata(candidate.id, attempt_id),
    )


def _log_row(verdict: _Verdict, now: int, attempt_id: int | None) -> LogRow:
    decision = verdict.decision
    if verdict.state == "cancelled":
        # Nobody decided anything.
        return LogRow(
            message_id=verdict.candidate.id, at=now, from_state="due", to_state="cancelled", actor="deliver",
            reason="cancelled",
        )  # fmt: skip
    return LogRow(
        message_id=verdict.candidate.id,
        at=now,
        from_state="due",
        to_state=verdict.state,
        actor="deliver",
        attempt_id=attempt_id,
        reason=verdict.reason,
        verdict=decision.verdict if decision else "deny",
        until=decision.at if decision and decision.verdict == "defer" else None,
        because=list(decision.because) if decision else ["rule_error"],
        ground=_ground(verdict),
        policy_version=verdict.version,
        tzdata=tzdata_version(),
        facts=facts_to_json(verdict.facts),
    )


def _ground(verdict: _Verdict) -> str | None:
    return verdict.decision.ground if verdict.decision else None


def _deadline(verdict: _Verdict) -> int | None:
    # A denial keeps the deadline it had: it tells when the message could have gone.
    found = verdict.decision.deadline if verdict.decision else None
    return found if found is not None else verdict.candidate.deadline
