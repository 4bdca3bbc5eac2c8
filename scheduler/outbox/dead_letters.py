"""What a person does about dead letters: send them again, as new messages that policy decides anew, or discard them.

INVARIANT: a dead letter is dealt with once. Its ``handled_at`` is set under its row's lock, so that a double click, or
two people at once, make one message and no more. It stays in the record either way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, text
from sqlmodel import Session

from policies.calendars import holidays_version
from policies.decision import Decision
from policies.engine import decide
from policies.facts import Facts, facts_to_json
from policies.local_time import tzdata_version
from scheduler.audit.record import record
from scheduler.clock import guard_seconds
from scheduler.contacts.lock import lock_contacts
from scheduler.errors import Invalid
from scheduler.facts.decisions import cancelled_campaigns, contact_facts, for_message, switches
from scheduler.governance.active import active_policies
from scheduler.logs import request_id
from scheduler.outbox.states import LogRow, append_log
from scheduler.outbox.tables import DeadLetterAct
from scheduler.outbox.wake import hold_wakes

#: Dead letters that one act takes on at most.
MOST = 5_000
#: Dead letters that one act looks at, for those among them that policy lets go, and so many of them at a time.
LOOKED_AT = 20_000
_CHUNK = 1_000
#: Ids that the audit names of one act.
_NAMED = 100
#: Nobody knows whether these arrived.
DOUBTFUL = ("unconfirmed", "dead")

_ROWS = """
    SELECT id, state, contact_id, page_id, template_id, campaign_id, category, topic, not_before, expires_at, may_wait,
        NULL AS confirms_record_id
    FROM message WHERE id = ANY(:ids) AND state IN ('refused', 'unconfirmed', 'dead') AND handled_at IS NULL ORDER BY id
"""
_LOOK = text(_ROWS)
_LOCK = text(f"{_ROWS} FOR NO KEY UPDATE")
_CONTACTS = text("SELECT DISTINCT contact_id FROM message WHERE id = ANY(:ids)")
_RESENT = text("SELECT message_id, resent_as FROM dead_letter_act WHERE message_id = ANY(:ids) AND act = 'redrive'")
# What it says, to whom, until when: as before. What broke off stays counted, over all that it sends again.
_SEND_AGAIN = text("""
    INSERT INTO message (page_id, contact_id, template_id, campaign_id, event_id, resend_of, lane, category, priority,
        topic, variables, not_before, expires_at, may_wait, state, state_at, due_at, deadline, reason, wakes_on, ground,
        policy_version, attempts, crashes, created_at)
    SELECT o.page_id, o.contact_id, o.template_id, o.campaign_id, o.event_id, o.id, o.lane, o.category, o.priority,
        o.topic, o.variables, o.not_before, o.expires_at, o.may_wait, 'scheduled', :now, d.due_at, d.deadline, d.reason,
        d.wakes_on, d.ground, d.version, 0, o.crashes, :now
    FROM message o JOIN unnest(CAST(:ids AS bigint[]), CAST(:dues AS bigint[]), CAST(:deadlines AS bigint[]),
            CAST(:reasons AS text[]), CAST(:wakes AS text[]), CAST(:grounds AS text[]), CAST(:versions AS text[]))
        AS d (id, due_at, deadline, reason, wakes_on, ground, version) ON d.id = o.id
    ORDER BY o.id RETURNING id, resend_of
""")
_HANDLED = text("UPDATE message SET handled_at = :now WHERE id = ANY(:ids)")


@dataclass(slots=True, kw_only=True)
class Outlook:
    """What policy says, now, to sending dead letters again."""

    now: int = 0
    later: int = 0
    never: int = 0
    #: ``later`` | ``never`` → reason → messages.
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Of those that may go now or later: nobody knows whether they arrived, so they may arrive twice.
    may_arrive_twice: int = 0


@dataclass(slots=True, kw_only=True)
class Redriven:
    """What a redrive did."""

    outlook: Outlook
    #: Dead letter → the new message that goes in its place.
    resent: dict[int, int] = field(default_factory=dict)
    #: Those sent again before → the message that went in their place.
    before: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Judged:
    row: Any
    facts: Facts
    decision: Decision
    version: str | None

    @property
    def goes(self) -> bool:
        return self.decision.verdict != "deny"


def weigh(session: Session, ids: Sequence[int], now: int) -> Outlook:
    """What sending these dead letters again would come to, decided as dispatch decides. Writes and locks nothing.

    Raises Conflict for a page whose policy cannot be read.
    """
    return _outlook(_judge(session, session.execute(_LOOK, {"ids": list(ids)}).all(), now))


@dataclass(slots=True, kw_only=True)
class Picked:
    """Dead letters that policy lets go now or later, picked from a long list."""

    ids: list[int]
    #: Of all that were looked at.
    outlook: Outlook
    looked_at: int
    #: The last that was looked at, where there may be more behind it.
    last: int | None


def pick(session: Session, find: Callable[[int, int], Sequence[int]], *, limit: int, after: int, now: int) -> Picked:
    """Up to ``limit`` dead letters that policy lets go, behind the id ``after``; those that it forbids are passed over.

    ``find`` gives ids in their order: so many, behind an id. Looks at 20,000 at most. Writes and locks nothing. Raises
    Conflict for a page whose policy cannot be read.
    """
    judged: list[_Judged] = []
    going: list[int] = []
    while len(going) < limit and len(judged) < LOOKED_AT:
        ids = find(after, _CHUNK)
        if not ids:
            return Picked(ids=going, outlook=_outlook(judged), looked_at=len(judged), last=None)
        for each in _judge(session, session.execute(_LOOK, {"ids": list(ids)}).all(), now):
            judged.append(each)
            after = each.row.id
            if each.goes:
                going.append(each.row.id)
            if len(going) == limit:
                break
        else:
            # Whoever was dealt with in between is behind us, too.
            after = ids[-1]
    return Picked(ids=going, outlook=_outlook(judged), looked_at=len(judged), last=after)


def redrive(
    session: Session,
    ids: Sequence[int],
    *,
    why: str,
    actor: str,
    now: int,
    may_arrive_twice: bool = False,
) -> Redriven:
    """Send these dead letters again: one new, linked message each, decided anew. Those that policy forbids stay.

    ``may_arrive_twice`` must be said where nobody knows whether one arrived; raises Invalid otherwise, and without a
    reason. Those sent again before are told, not sent a third time.
    """
    _check(ids, why, actor)
    # Before any row is locked: see ``hold_wakes``.
    hold_wakes(session)
    lock_contacts(session, session.execute(_CONTACTS, {"ids": list(ids)}).scalars().all())
    judged = _judge(session, session.execute(_LOCK, {"ids": list(ids)}).all(), now)
    outlook = _outlook(judged)
    if outlook.may_arrive_twice and not may_arrive_twice:
        raise Invalid(
            f"nobody knows whether {outlook.may_arrive_twice} of these arrived: sent again, they may arrive twice",
            field="may_arrive_twice",
            way_out="say that they may, or leave out those that are unconfirmed or dead",
        )
    going = [each for each in judged if each.goes]
    done = Redriven(outlook=outlook, resent=_send_again(session, going, actor, now) if going else {})
    _keep(session, "redrive", going, done.resent, why=why, actor=actor, now=now)
    others = [id_ for id_ in ids if id_ not in done.resent]
    done.before = {row.message_id: row.resent_as for row in session.execute(_RESENT, {"ids": others})}
    return done


def discard(session: Session, ids: Sequence[int], *, why: str, actor: str, now: int) -> list[int]:
    """Acknowledge these dead letters: they need nobody any more. Returns those that were not dealt with before."""
    _check(ids, why, actor)
    rows = session.execute(_LOCK, {"ids": list(ids)}).all()
    judged = [_Judged(row, Facts(), Decision(verdict="deny"), None) for row in rows]
    _keep(session, "discard", judged, {}, why=why, actor=actor, now=now)
    return [row.id for row in rows]


def _check(ids: Sequence[int], why: str, actor: str) -> None:
    if not actor.strip() or "\x00" in actor:
        raise Invalid("who does it must be named", field="as", way_out="give the name of a person or a key")
    if not why.strip() or len(why) > 500 or "\x00" in why:
        raise Invalid("a reason is needed", field="why", way_out="say in 1 to 500 characters why")
    if len(ids) > MOST:
        raise Invalid(f"{len(ids)} are too many at once", field="ids", way_out=f"take {MOST} at most")


def _judge(session: Session, rows: Sequence[Any], now: int) -> list[_Judged]:
    facts_of = contact_facts(session, sorted({row.contact_id for row in rows}), now)
    policies = active_policies(session, sorted({row.page_id for row in rows}))
    thrown = switches(session)
    called_off = cancelled_campaigns(session, {row.campaign_id for row in rows if row.campaign_id is not None})
    guard = guard_seconds()
    judged = []
    for row in rows:
        policy = policies.of(row.page_id)
        facts = for_message(facts_of[row.contact_id], row, thrown)
        if row.campaign_id in called_off:
            decision = Decision(verdict="deny", reason="cancelled")
        elif policy is None:
            decision = Decision(verdict="deny", because=("rule_error",), reason="rule_error")
        else:
            decision = decide(policy, facts, now, min_remaining=guard)
        judged.append(_Judged(row, facts, decision, policy.version if policy is not None else None))
    return judged


def _outlook(judged: Sequence[_Judged]) -> Outlook:
    word = {"send": "now", "defer": "later", "deny": "never"}
    counts = Counter(word[each.decision.verdict] for each in judged)
    outlook = Outlook(now=counts["now"], later=counts["later"], never=counts["never"])
    for each in judged:
        if each.decision.reason is not None:
            reasons = outlook.reasons.setdefault(word[each.decision.verdict], {})
            reasons[each.decision.reason] = reasons.get(each.decision.reason, 0) + 1
    outlook.may_arrive_twice = sum(each.goes and each.row.state in DOUBTFUL for each in judged)
    return outlook


def _send_again(session: Session, going: Sequence[_Judged], actor: str, now: int) -> dict[int, int]:
    decisions = [each.decision for each in going]
    dues = [now if one.verdict == "send" else one.at for one in decisions]
    rows = session.execute(
        _SEND_AGAIN,
        {
            "now": now,
            "ids": [each.row.id for each in going],
            "dues": dues,
            "deadlines": [one.deadline for one in decisions],
            "reasons": [one.reason for one in decisions],
            "wakes": [one.wakes_on for one in decisions],
            "grounds": [one.ground for one in decisions],
            "versions": [each.version for each in going],
        },
    )
    made = {row.resend_of: row.id for row in rows}
    guard, tzdata, holidays = guard_seconds(), tzdata_version(), holidays_version()
    append_log(
        session,
        [
            LogRow(
                message_id=made[each.row.id], at=now, from_state=None, to_state="scheduled", actor=actor,
                reason=each.decision.reason, verdict=each.decision.verdict,
                until=each.decision.at if each.decision.verdict == "defer" else None,
                because=list(each.decision.because), ground=each.decision.ground, policy_version=each.version,
                tzdata=tzdata, holidays=holidays, guard=guard, facts=facts_to_json(each.facts),
            )
            for each in going
        ],
    )  # fmt: skip
    return made


def _keep(
    session: Session,
    act: str,
    taken: Sequence[_Judged],
    resent: dict[int, int],
    *,
    why: str,
    actor: str,
    now: int,
) -> None:
    if not taken:
        return
    request = request_id()
    ids = [each.row.id for each in taken]
    session.execute(_HANDLED, {"ids": ids, "now": now})
    session.execute(
        insert(DeadLetterAct),
        [
            {
                "message_id": each.row.id, "act": act, "was": each.row.state, "why": why, "actor": actor, "at": now,
                "resent_as": resent.get(each.row.id), "request_id": request,
            }
            for each in taken
        ],
    )  # fmt: skip
    states = dict(Counter(each.row.state for each in taken))
    record(
        session,
        actor=actor,
        action=f"dead_letter.{act}",
        subject=f"message:{ids[0]}" if len(ids) == 1 else "messages",
        # Of one message its own row says why: that goes when the person is erased, and the audit stays.
        detail={"count": len(ids), "states": states, "messages": ids[:_NAMED]} | ({"why": why} if len(ids) > 1 else {}),
        now=now,
    )
