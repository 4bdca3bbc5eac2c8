"""Wishes become messages: decided in bulk, written in bulk. Preview runs the same code and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlmodel import Session

from policies.ahead import Outlook, look_ahead
from policies.calendars import holidays_version
from policies.decision import Decision
from policies.facts import Facts, Planned, facts_to_json
from policies.local_time import tzdata_version
from scheduler.clock import guard_seconds
from scheduler.facts.decisions import contact_facts, for_message, switches
from scheduler.facts.planned import in_order, planned_before, scheduled_messages
from scheduler.governance.active import active_policies
from scheduler.outbox.priorities import priority_of

PLANNER = "planner"


@dataclass(slots=True, kw_only=True)
class Wish:
    """What a campaign or an event wants said, before anybody is looked at. Instants are epoch seconds UTC."""

    page_id: int
    template_id: int
    category: str
    topic: str | None = None
    not_before: int | None = None
    expires_at: int | None = None
    #: Whether its messages wait until ``expires_at`` for people who cannot be written to yet; else they are denied.
    may_wait: bool = False
    campaign_id: int | None = None
    event_id: int | None = None
    #: The person asked for it.
    requested: bool = False
    #: What its campaign asks for among promotions.
    own_priority: int = 0
    #: The opt-out, a row of the ledger, that it does nothing but confirm.
    confirms_record_id: int | None = None
    #: What the event adds to the template's variables.
    variables: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError where it may wait without an end."""
        if self.may_wait and self.expires_at is None:
            raise ValueError("a wish that may wait needs `expires_at`")

    @property
    def lane(self) -> str:
        """The queue its messages wait in."""
        # What confirms an opt-out is for the next minutes.
        hurried = self.category == "utility" or self.confirms_record_id is not None
        return "utility" if hurried else "promotional"

    @property
    def priority(self) -> int:
        """Its place among one person's messages."""
        # Whoever opts out by a message is answered.
        requested = self.requested or self.confirms_record_id is not None
        return priority_of(self.category, requested=requested, own=self.own_priority)


@dataclass(slots=True, kw_only=True)
class Decided:
    """One contact of a wish, decided."""

    contact_id: int
    facts: Facts
    decision: Decision
    #: Null: the page has no policy, and everything is denied.
    policy_version: str | None
    #: The send guard that the decision was taken with, seconds.
    guard: int
    #: What it comes to in the end, where the decision only waits to see whether what is planned before it goes.
    expected: Decision
    #: Whose messages it waits for, or is lost to; see ``policies.ahead``.
    after: tuple[Planned, ...] = ()

    @property
    def state(self) -> str:
        """The state its message begins in."""
        return "denied" if self.decision.verdict == "deny" else "scheduled"

    def due_at(self, now: int) -> int | None:
        """When it is to be looked at next; None while an open-ended hold lasts, or never."""
        if self.decision.verdict == "send":
            return now
        return self.decision.at if self.decision.verdict == "defer" else None


def decide_wish(
    session: Session,
    wish: Wish,
    contact_ids: Sequence[int],
    now: int,
    *,
    coming: Mapping[int, Sequence[Planned]] | None = None,
) -> list[Decided]:
    """Decide the wish for each contact, in the order given, with the send guard that dispatch uses.

    Gaps and caps count what is scheduled for them already and is of no lower priority, and of what is still to be
    planned what ``coming`` (contact id → messages) foretells. Unknown contacts are left out. Reads only. A page without
    an active policy has everything denied; raises Conflict when it has one that cannot be read, for then nothing can be
    said.
    """
    facts_of = contact_facts(session, contact_ids, now)
    scheduled = scheduled_messages(session, contact_ids, now, least=wish.priority)
    coming = coming or {}
    policy = active_policies(session, [wish.page_id]).of(wish.page_id)
    thrown = switches(session)
    guard = guard_seconds()
    decided = []
    for contact_id in contact_ids:
        known = facts_of.get(contact_id)
        if known is None:
            continue
        facts = for_message(known, wish, thrown)
        if contact_id in scheduled or contact_id in coming:
            ahead = planned_before(scheduled.get(contact_id, ()), wish.priority)
            facts.planned = in_order((*ahead, *coming.get(contact_id, ())))
        found = _no_policy() if policy is None else look_ahead(policy, facts, now, min_remaining=guard)
        decided.append(
            Decided(
                contact_id=contact_id,
                facts=facts,
                decision=found.decision,
                policy_version=None if policy is None else policy.version,
                guard=guard,
                expected=found.expected,
                after=found.after,
            )
        )
    return decided


def store_planned(
    session: Session, wish: Wish, decided: Sequence[Decided], now: int, *, actor: str = PLANNER
) -> dict[str, int]:
    """Write the wish's messages and the first row of each one's log, by COPY; returns how many began in which state.

    ``send`` and ``defer`` become ``scheduled`` (parked, without an instant, where nobody knows until when), ``deny``
    becomes ``denied``. The caller's transaction also moves its cursor, so that no message is ever planned twice.
    """
    if not decided:
        return {}
    session.flush()
    ids = _next_ids(session, len(decided))
    driver: Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]  # the engine's driver is psycopg
    _copy(driver, _MESSAGE, (_message(wish, each, id_, now) for each, id_ in zip(decided, ids, strict=True)))
    data = (tzdata_version(), holidays_version())
    _copy(driver, _LOG, (_log(each, id_, now, actor, data) for each, id_ in zip(decided, ids, strict=True)))
    return dict(Counter(each.state for each in decided))


#: Column → type, in the order the rows have them.
_MESSAGE = (
    "message",
    {
        "id": "int8", "page_id": "int4", "contact_id": "int8", "template_id": "int8", "campaign_id": "int8",
        "event_id": "int8", "lane": "text", "category": "text", "topic": "text", "variables": "jsonb",
        "not_before": "int8", "expires_at": "int8", "may_wait": "bool", "state": "text", "state_at": "int8",
        "due_at": "int8",
        "deadline": "int8", "reason": "text", "wakes_on": "text", "ground": "text", "policy_version": "text",
        "attempts": "int4", "crashes": "int4", "created_at": "int8", "confirms_record_id": "int8", "priority": "int2",
    },
)  # fmt: skip
_LOG = (
    "message_log",
    {
        "message_id": "int8", "at": "int8", "to_state": "text", "reason": "text", "actor": "text", "verdict": "text",
        "until": "int8", "because": "varchar[]", "ground": "text", "policy_version": "text", "tzdata": "text",
        "holidays": "text", "guard": "int4", "facts": "jsonb",
    },
)  # fmt: skip


def _message(wish: Wish, each: Decided, id_: int, now: int) -> tuple[Any, ...]:
    decision = each.decision
    return (
        id_, wish.page_id, each.contact_id, wish.template_id, wish.campaign_id,
        wish.event_id, wish.lane, wish.category, wish.topic, Jsonb(wish.variables),
        wish.not_before, wish.expires_at, wish.may_wait, each.state, now, each.due_at(now),
        wish.expires_at if decision.awaits_person else decision.deadline,
        decision.reason, decision.wakes_on, decision.ground, each.policy_version,
        0, 0, now, wish.confirms_record_id, wish.priority,
    )  # fmt: skip


def _log(each: Decided, message_id: int, now: int, actor: str, data: tuple[str, str]) -> tuple[Any, ...]:
    decision = each.decision
    return (
        message_id, now, each.state, decision.reason, actor, decision.verdict,
        decision.at if decision.verdict == "defer" else None, list(decision.because), decision.ground,
        each.policy_version, *data, each.guard, Jsonb(facts_to_json(each.facts)),
    )  # fmt: skip


def _next_ids(session: Session, count: int) -> list[int]:
    # In bulk and first: the log's rows name messages that the same transaction copies in.
    rows = session.connection().execute(_IDS, {"count": count})
    return list(rows.scalars())


_IDS = text("SELECT nextval(pg_get_serial_sequence('message', 'id')) FROM generate_series(1, :count)")


def _copy(driver: Connection[Any], table: tuple[str, dict[str, str]], rows: Iterable[tuple[Any, ...]]) -> None:
    name, columns = table
    statement = f"COPY {name} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


def _no_policy() -> Outlook:
    # Nobody said what this page may send. Fail closed.
    denied = Decision(verdict="deny", because=("rule_error",), reason="rule_error")
    return Outlook(decision=denied, expected=denied)
