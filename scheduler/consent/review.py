"""Words that may have been an opt-out: kept for a person to judge, and acted upon until then.

While a suggested opt-out waits, promotional messages to its contact wait too (``policies`` reads it as a hold):
"any reasonable means" (47 CFR 64.1200(a)(10)) covers words that no list has, and nobody should get an offer between
saying so and being understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.contacts.lock import lock_contact
from scheduler.contacts.persons import lock_persons
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.outbox.wake import wake_contacts
from scheduler.store.direct import fetch

Decision = Literal["opt_out", "opt_in", "nothing"]
DECISIONS: tuple[Decision, ...] = ("opt_out", "opt_in", "nothing")

_MEANINGS = ("opt_out", "opt_in", "help")
_LONGEST = 500

_SUGGEST = text("""
    INSERT INTO consent_review (contact_id, event_id, meaning, phrase, said_at, suggested_at)
    SELECT contact_id, event_id, meaning, phrase, said_at, :now
    FROM unnest(CAST(:contacts AS bigint[]), CAST(:events AS bigint[]), CAST(:meanings AS text[]),
                CAST(:phrases AS text[]), CAST(:moments AS bigint[]))
        AS given (contact_id, event_id, meaning, phrase, said_at)
    ON CONFLICT (event_id) WHERE event_id IS NOT NULL DO NOTHING
    RETURNING id
""")
_COLUMNS = """
    r.id, p.external_id AS page, c.psid, r.meaning, r.phrase, r.said_at, r.suggested_at, r.decided_at, r.decision,
    r.decided_by, r.event_id, COALESCE(
        e.body -> 'message' ->> 'text', e.body -> 'message_edit' ->> 'text', e.body -> 'postback' ->> 'title',
        e.body -> 'postback' ->> 'payload', e.body -> 'referral' ->> 'ref', e.body -> 'optin' ->> 'ref'
    ) AS words
"""
_FROM = """
    FROM consent_review r JOIN contact c ON c.id = r.contact_id JOIN page p ON p.id = c.page_id
    LEFT JOIN platform_event e ON e.id = r.event_id
"""
_ONE = text("SELECT id, contact_id, event_id, said_at, decided_at FROM consent_review WHERE id = :id")
_OPEN = text("""
    SELECT id FROM consent_review WHERE contact_id = :id AND decided_at IS NULL AND meaning = 'opt_out'
""")
_MOVE = text("UPDATE consent_review SET contact_id = :into WHERE contact_id = :from AND decided_at IS NULL")
_DECIDE = text("""
    UPDATE consent_review SET decided_at = :now, decision = :decision, decided_by = :actor
    WHERE id = :id AND decided_at IS NULL RETURNING id
""")


@dataclass(slots=True, kw_only=True)
class Suggestion:
    """Something a person wrote that is not a keyword and may have meant one."""

    contact_id: int
    #: The raw platform event it is in.
    event_id: int | None
    #: ``opt_out`` | ``opt_in`` | ``help``.
    meaning: str
    #: The phrase that was found.
    phrase: str
    #: When they said it, epoch seconds.
    at: int


def suggest(session: Session, rows: Sequence[Suggestion], now: int) -> int:
    """Put these on the review list, each event once; returns how many are new. Their contacts are locked.

    From then on promotional messages to contacts with a suggested opt-out wait until ``decide``.
    """
    wanted = [row for row in rows if row.meaning in _MEANINGS]
    if len(wanted) != len(rows):
        raise Invalid("suggests nothing known", field="meaning", way_out=f"use one of {', '.join(_MEANINGS)}")
    if not rows:
        return 0
    # Their words are the person's, whatever address of theirs they came from, as their choices are.
    survivors = lock_persons(session, {row.contact_id for row in rows})
    found = fetch(
        session,
        _SUGGEST,
        {
            "contacts": [survivors.get(row.contact_id, row.contact_id) for row in rows],
            "events": [row.event_id for row in rows],
            "meanings": [row.meaning for row in rows],
            "phrases": [row.phrase[:_LONGEST].replace("\x00", "") for row in rows],
            "moments": [min(row.at, now) for row in rows],
            "now": now,
        },
    )
    return len(found)


def open_reviews(session: Session, contact_id: int) -> list[int]:
    """The ids of what may have been an opt-out of this contact's and was not judged yet."""
    return list(session.connection().execute(_OPEN, {"id": contact_id}).scalars())


def move_reviews(session: Session, from_id: int, into_id: int) -> None:
    """What was not judged yet of one contact's words holds another, who stands for them. The caller holds both rows."""
    session.connection().execute(_MOVE, {"from": from_id, "into": into_id})


def list_reviews(
    session: Session, *, page_id: int | None = None, decided: bool = False, before: int | None = None, limit: int
) -> list[dict[str, Any]]:
    """What waits to be judged (or, ``decided``, what was), the newest first, with the words they were found in.

    ``before`` is an id: those that are older than it.
    """
    where = ["r.decided_at IS NOT NULL" if decided else "r.decided_at IS NULL"]
    values: dict[str, object] = {"limit": limit}
    if page_id is not None:
        where.append("c.page_id = :page_id")
        values["page_id"] = page_id
    if before is not None:
        where.append("r.id < :before")
        values["before"] = before
    statement = text(f"SELECT {_COLUMNS} {_FROM} WHERE {' AND '.join(where)} ORDER BY r.id DESC LIMIT :limit")
    return [dict(row) for row in session.connection().execute(statement, values).mappings()]


def read_review(session: Session, review_id: int) -> dict[str, Any]:
    """One suggestion as ``list_reviews`` has it. Raises NotFound."""
    statement = text(f"SELECT {_COLUMNS} {_FROM} WHERE r.id = :id")
    row = session.connection().execute(statement, {"id": review_id}).mappings().first()
    if row is None:
        raise _not_there(review_id)
    return dict(row)


def decide(session: Session, review_id: int, decision: Decision, *, actor: str, now: int) -> None:
    """A person judged: it was an opt-out (of everything, as of when they said it), an opt-in, or nothing. Audited.

    Their messages are decided anew. Raises NotFound, Invalid for another word, and Conflict when somebody was faster.
    """
    if decision not in DECISIONS:
        raise Invalid(f"`{decision[:32]}` is not a judgement", field="decision", way_out=f"use {', '.join(DECISIONS)}")
    connection = session.connection()
    found = connection.execute(_ONE, {"id": review_id}).first()
    if found is None:
        raise _not_there(review_id)
    lock_contact(session, found.contact_id)
    values = {"id": review_id, "decision": decision, "actor": actor, "now": now}
    if connection.execute(_DECIDE, values).first() is None:
        raise Conflict("somebody judged it before", field="id", way_out="read it again")
    if decision != "nothing":
        choose = record_opt_out if decision == "opt_out" else record_opt_in
        choose(
            session, found.contact_id, source="message", event_id=found.event_id, evidence=f"review:{review_id}",
            actor=actor, at=found.said_at, now=now,
        )  # fmt: skip
    record(
        session, actor=actor, action="consent.review", subject=f"contact:{found.contact_id}",
        detail={"review": review_id, "decision": decision}, now=now,
    )  # fmt: skip
    wake_contacts(session, [found.contact_id], now)


def _not_there(review_id: int) -> NotFound:
    return NotFound(f"there is no suggestion {review_id}", field="id", way_out="`duly consent reviews` shows all")
