"""What the ledger says of an instant: was this send consented at 14:02?

Two times count. What Duly *knew* at the instant decided then; what came to be known later (a webhook that was late, an
opt-out somebody forgot to pass on) is shown beside it and changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.fold import Bar, Said, Standing, barred, bars, standing
from scheduler.consent.projection import project
from scheduler.contacts.lock import lock_contacts
from scheduler.outbox.wake import wake_contacts

_ROWS = text("""
    SELECT r.id, r.action, r.source, r.occurred_at, r.recorded_at, r.topic, r.category, r.scope, r.kind, r.expires_at,
        r.event_id, r.evidence, r.actor, w.version AS wording_version, w.text AS wording
    FROM consent_record r LEFT JOIN consent_wording w ON w.id = r.wording_id
    WHERE r.contact_id = :id AND r.occurred_at <= :at ORDER BY r.occurred_at, r.id
""")
_COLUMNS = """
    action, source, topic, category, scope, kind, wording_id, event_id, evidence, actor, expires_at, occurred_at
"""
# Each word once, however often two contacts are found to be one.
_CARRY = text(f"""
    INSERT INTO consent_record (contact_id, recorded_at, {_COLUMNS})
    SELECT :into, :now, {_COLUMNS} FROM consent_record r
    WHERE r.contact_id = :gone AND r.action IN ('granted', 'withdrawn', 'opt_out', 'opt_in', 'block', 'unblock')
    AND NOT EXISTS (
        SELECT 1 FROM consent_record k WHERE k.contact_id = :into
        AND (k.action, k.source, k.occurred_at) = (r.action, r.source, r.occurred_at)
        AND (k.topic, k.category, k.scope, k.kind, k.wording_id, k.event_id, k.evidence, k.expires_at) IS NOT DISTINCT
            FROM (r.topic, r.category, r.scope, r.kind, r.wording_id, r.event_id, r.evidence, r.expires_at))
    ORDER BY r.id
""")  # noqa: S608 - our own column names
_ERASE = text("DELETE FROM consent_record WHERE contact_id = ANY(:ids)")
_SAID = tuple(Said.__slots__)


@dataclass(slots=True, kw_only=True)
class State:
    """What stood at an instant, as it was known at an instant."""

    bars: list[Bar]
    #: Grants in force, of any topic: not taken back, and not expired by their own terms.
    consents: list[Standing]
    #: The bar that a message of the topic and category met; None: none.
    barred: Bar | None


@dataclass(slots=True, kw_only=True)
class Proof:
    """What was said up to an instant, and what followed from it."""

    at: int
    #: As Duly knew it then.
    known: State
    #: As it is known now to have been.
    hindsight: State
    #: The rows of the ledger, in the order in which they were said; those recorded after ``at`` were not known then.
    rows: list[dict[str, Any]] = field(default_factory=list)


def consent_at(
    session: Session, contact_id: int, at: int, *, topic: str | None = None, category: str = "promotional"
) -> Proof:
    """What stood for a contact at ``at`` (epoch seconds) about messages of this topic and category, with its proof."""
    session.flush()
    found = session.connection().execute(_ROWS, {"id": contact_id, "at": at}).mappings()
    rows = [dict(row) for row in found]
    said = [Said(**{name: row[name] for name in _SAID}) for row in rows]
    return Proof(
        at=at,
        known=_state([row for row in said if row.recorded_at <= at], at, topic, category),
        hindsight=_state(said, at, topic, category),
        rows=rows,
    )


def _state(said: Sequence[Said], at: int, topic: str | None, category: str) -> State:
    found = bars(said)
    alive = [grant for grant in standing(said) if grant.expires_at is None or at < grant.expires_at]
    return State(bars=found, consents=alive, barred=barred(found, topic=topic, category=category))


def carry_over(session: Session, gone: int, into: int, now: int) -> None:
    """Two contacts are one person: what the contact ``gone`` said counts for ``into`` too, from now on.

    The rows of ``gone`` stay where they are. Either's opt-out stands for both, until one of them takes it back.
    """
    lock_contacts(session, (gone, into))
    session.flush()
    session.connection().execute(_CARRY, {"gone": gone, "into": into, "now": now})
    if into in project(session, (into,), now):
        wake_contacts(session, [into], now)


def forget(session: Session, contact_ids: Sequence[int]) -> None:
    """Erase what these contacts said, and what proves it: the one reason for which rows leave the ledger.

    What bars them is left as it is; whoever calls writes the bar that outlasts it (``blocks.suppress``, ``erased``).
    """
    if contact_ids:
        connection = session.connection()
        connection.execute(text("SELECT set_config('duly.erasing', 'on', true)"))
        connection.execute(_ERASE, {"ids": sorted(set(contact_ids))})
        connection.execute(text("SELECT set_config('duly.erasing', 'off', true)"))
