"""What people chose: opt-outs and opt-ins. The ledger keeps every word, the suppression is what decisions read.

Events arrive late and out of order, so both verbs go by when the person spoke: an older opt-in never undoes a newer
opt-out, and an older opt-out is not put in force against a newer opt-in.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.lock import lock_contact
from scheduler.outbox.wake import wake_contacts

_LEDGER = text(
    """
    INSERT INTO consent_record (contact_id, action, topic, source, event_id, actor, occurred_at, recorded_at)
    VALUES (:id, :action, :topic, :source, :event_id, :actor, :at, :now)
    """
)

#: An opt-in for everything answers every older opt-out, one for a topic only those of that topic.
_ANSWERED = text(
    """
    SELECT 1 FROM consent_record
    WHERE contact_id = :id AND action = 'opt_in' AND occurred_at > :at
      AND (topic IS NULL OR topic = CAST(:topic AS text))
    LIMIT 1
    """
)

_SUPPRESS = text(
    """
    INSERT INTO suppression (contact_id, reason, topic, since) VALUES (:id, 'opted_out', :topic, :at)
    ON CONFLICT (contact_id, reason, coalesce(topic, '')) WHERE lifted_at IS NULL
    DO UPDATE SET since = greatest(suppression.since, excluded.since)
    """
)

_LIFT = text(
    """
    UPDATE suppression SET lifted_at = :now
    WHERE contact_id = :id AND reason = 'opted_out' AND lifted_at IS NULL AND since <= :at
      AND (CAST(:topic AS text) IS NULL OR topic = CAST(:topic AS text))
    RETURNING id
    """
)


def record_opt_out(
    session: Session,
    contact_id: int,
    *,
    topic: str | None = None,
    source: str,
    event_id: int | None = None,
    actor: str | None = None,
    at: int,
    now: int,
) -> bool:
    """Keep that a person does not want messages (of ``topic``, or any). True when it is in force.

    ``at`` is when they said it, ``source`` how (``message``, ``postback``, ``optin``, ``api``, ``operator``),
    ``event_id`` the raw platform event that proves it. In force for every send begun after this transaction.
    """
    lock_contact(session, contact_id)
    # What a clock ahead of ours says must not outrank what is said later by ours.
    at = min(at, now)
    connection = session.connection()
    answered = connection.execute(_ANSWERED, {"id": contact_id, "topic": topic, "at": at}).first() is not None
    said = {"id": contact_id, "topic": topic, "source": source, "event_id": event_id, "actor": actor}
    connection.execute(_LEDGER, {**said, "action": "opt_out", "at": at, "now": now})
    if not answered:
        connection.execute(_SUPPRESS, {"id": contact_id, "topic": topic, "at": at})
    return not answered


def record_opt_in(
    session: Session,
    contact_id: int,
    *,
    topic: str | None = None,
    source: str,
    event_id: int | None = None,
    actor: str | None = None,
    at: int,
    now: int,
) -> bool:
    """Keep that a person wants messages (of ``topic``, or any). True when it lifted an opt-out.

    Without a topic every opt-out ends, with one only that topic's. Arguments as in ``record_opt_out``.
    """
    lock_contact(session, contact_id)
    at = min(at, now)
    connection = session.connection()
    said = {"id": contact_id, "topic": topic, "source": source, "event_id": event_id, "actor": actor}
    connection.execute(_LEDGER, {**said, "action": "opt_in", "at": at, "now": now})
    lifted = connection.execute(_LIFT, {"id": contact_id, "topic": topic, "at": at, "now": now}).first() is not None
    if lifted:
        wake_contacts(session, [contact_id], now)
    return lifted
