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

_ROWS = text("""
    SELECT r.id, r.action, r.source, r.occurred_at, r.recorded_at, r.topic, r.category, r.scope, r.kind, r.expires_at,
        r.by_arrival, r.event_id, r.evidence, r.actor, w.version AS wording_version, w.text AS wording
    FROM consent_record r LEFT JOIN consent_wording w ON w.id = r.wording_id
    WHERE r.contact_id = :id AND r.occurred_at <= :at ORDER BY r.occurred_at, r.id
""")
_ERASE = tuple(
    text(statement)
    for statement in (
        "DELETE FROM consent_record WHERE contact_id = ANY(:ids)",
        "DELETE FROM consent WHERE contact_id = ANY(:ids)",
        "DELETE FROM consent_review WHERE contact_id = ANY(:ids)",
        "DELETE FROM permission_token WHERE contact_id = ANY(:ids)",
        "DELETE FROM suppression WHERE contact_id = ANY(:ids) AND lifted_at IS NOT NULL",
    )
)
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


def forget(session: Session, contact_ids: Sequence[int]) -> None:
    """Erase what these contacts said, what proves it, and what followed from it, save the bars that are in force.

    The one reason for which rows leave the ledger. Those bars stand on nothing then: in the same transaction whoever
    calls writes the one that outlasts it (``blocks.suppress``, ``erased``). The caller holds the contacts' rows.
    """
    if contact_ids:
        connection = session.connection()
        connection.execute(text("SELECT set_config('duly.erasing', 'on', true)"))
        for statement in _ERASE:
            connection.execute(statement, {"ids": sorted(set(contact_ids))})
        connection.execute(text("SELECT set_config('duly.erasing', 'off', true)"))
