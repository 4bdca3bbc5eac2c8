"""What only waits gives way to what is more urgent: a message of lower priority does not use up a cap before it.

Planned messages of a higher priority push back those of the same person that they share a cap or a gap with. What has
begun is begun, and counts. A message whose own time would run out before the other's comes is denied; else it waits at
least until that one's fate is known, and is decided then by what was sent.

That is planning, and is done when a message is planned and again when one comes up before its planned time, whoever
woke it: the person wrote, a campaign was resumed. The decision on a message that begins is taken afterwards, from what
was sent alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from policies.ahead import look_ahead
from policies.decision import Decision
from policies.facts import Facts
from policies.policy import Policy
from scheduler.clock import guard_seconds
from scheduler.facts.decisions import cancelled_campaigns, contact_facts, for_message, switches
from scheduler.facts.planned import above, planned_before, scheduled_messages
from scheduler.governance.active import ActivePolicies, active_policies
from scheduler.outbox.candidates import Candidate, Chosen, lock_chosen
from scheduler.outbox.plan import Decided, Wish
from scheduler.outbox.verdicts import Verdict, put_aside

# Whoever has an attempt on the wire is left alone: what comes of it counts when the rest of theirs is decided.
_LOWER = text("""
    SELECT id, contact_id, page_id, template_id, campaign_id, category, priority, topic, not_before, expires_at,
        may_wait, due_at, NULL AS confirms_record_id
    FROM message m
    WHERE contact_id = ANY(:contacts) AND state IN ('scheduled', 'due') AND due_at IS NOT NULL AND priority < :priority
    AND confirms_record_id IS NULL
    AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.contact_id = m.contact_id AND a.outcome = 'sending')
    ORDER BY id
""")
_STAND_BACK = text("""
    WITH waiting AS (
        SELECT id FROM message WHERE id = ANY(:ids) AND state = 'scheduled' ORDER BY id FOR NO KEY UPDATE
    ), woken AS (
        UPDATE message m SET state = 'due', state_at = :now FROM waiting WHERE m.id = waiting.id RETURNING m.id
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, 'scheduled', 'due', 'gives_way', 'wake' FROM woken
""")


def give_way(session: Session, wish: Wish, planned: Sequence[Decided], now: int) -> int:
    """Decide anew what waits for these people and is of lower priority than what was just planned; how many gave way.

    The caller holds the contacts' rows and has stored what it planned. One query where nothing of theirs is lower.
    """
    contacts = [each.contact_id for each in planned if each.due_at(now) is not None]
    if not contacts:
        return 0
    lower = session.connection().execute(_LOWER, {"contacts": contacts, "priority": wish.priority}).all()
    policy = active_policies(session, [wish.page_id]).of(wish.page_id) if lower else None
    if policy is None:
        return 0
    moved = _decide(session, lower, policy, now)
    if moved:
        session.connection().execute(_STAND_BACK, {"ids": sorted(moved), "now": now})
        chosen = [Chosen(row.id, row.contact_id, row.page_id, None) for row in lower if row.id in moved]
        put_aside(
            session,
            [
                _verdict(candidate, decision, facts, policy)
                for candidate in lock_chosen(session, chosen)
                for decision, facts in (moved[candidate.id],)
            ],
            now,
            actor="wake",
        )
    return len(moved)


def plan_anew(session: Session, candidates: Sequence[Candidate], policies: ActivePolicies, now: int) -> list[Candidate]:
    """Put off those of a batch that would take a cap or a gap from something more urgent; returns those that go on.

    The caller has locked the candidates with their contacts. Costs nothing where nobody has anything more urgent
    planned.
    """
    behind = [each for each in candidates if each.comes_after]
    if not behind:
        return list(candidates)
    called_off = cancelled_campaigns(session, {each.campaign_id for each in behind if each.campaign_id is not None})
    behind = [each for each in behind if each.campaign_id not in called_off]
    contacts = [each.contact_id for each in behind]
    facts_of = contact_facts(session, contacts, now)
    scheduled = scheduled_messages(session, contacts, now, least=min(each.priority for each in behind) + 1)
    thrown, guard = switches(session), guard_seconds()
    aside: list[Verdict] = []
    for candidate in behind:
        policy = policies.of(candidate.page_id)
        if policy is None:
            continue
        facts = for_message(facts_of[candidate.contact_id], candidate, thrown)
        facts.planned = above(scheduled.get(candidate.contact_id, ()), candidate.priority)
        found = look_ahead(policy, facts, now, min_remaining=guard)
        # Later for reasons of its own, or for what was sent: the decision says so, without any forecast.
        if found.after and found.decision.verdict != "send":
            aside.append(_verdict(candidate, found.decision, facts, policy))
    put_aside(session, aside, now, actor="wake")
    gone = {each.candidate.id for each in aside}
    return [each for each in candidates if each.id not in gone]


def _verdict(candidate: Candidate, decision: Decision, facts: Facts, policy: Policy) -> Verdict:
    return Verdict(
        candidate=candidate, state="denied" if decision.verdict == "deny" else "scheduled", decision=decision,
        facts=facts, version=policy.version, reason=decision.reason, guard=guard_seconds(), due_at=decision.at,
        wakes_on=decision.wakes_on,
    )  # fmt: skip


def _decide(session: Session, lower: Sequence[Any], policy: Policy, now: int) -> dict[int, tuple[Decision, Facts]]:
    """Message id → its new decision and facts, for those that are to go later than they would have, or never."""
    contacts = sorted({row.contact_id for row in lower})
    facts_of = contact_facts(session, contacts, now)
    scheduled = scheduled_messages(session, contacts, now, least=min(row.priority for row in lower))
    thrown, guard = switches(session), guard_seconds()
    moved = {}
    for row in lower:
        facts = for_message(facts_of[row.contact_id], row, thrown)
        facts.planned = planned_before(scheduled.get(row.contact_id, ()), row.priority, row.id)
        found = look_ahead(policy, facts, now, min_remaining=guard)
        at = found.decision.at
        if found.after and (at is None or at > row.due_at):
            moved[row.id] = (found.decision, facts)
    return moved
