"""Pulls waiting messages to a new decision when something happened that may permit more; and takes back what waits.

Waking moves ``scheduled`` messages to ``due``: dispatch decides again under the contact's lock, and sends, waits or
denies. A message that is not permitted after all costs one decision and no request.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import TextClause, text
from sqlmodel import Session

#: Any number, the same everywhere: see ``hold_wakes``.
_WAKES = 0x77616B65

_WAKE = """
    WITH waiting AS (
        SELECT id FROM message WHERE state = 'scheduled' AND {whose} ORDER BY id FOR NO KEY UPDATE
    ), woken AS (
        UPDATE message m SET state = 'due', state_at = :now, due_at = :now, wakes_on = NULL
        FROM waiting WHERE m.id = waiting.id RETURNING m.id
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, 'scheduled', 'due', 'woken', 'wake' FROM woken
"""
_WAKE_CONTACTS = text(_WAKE.format(whose="contact_id = ANY(:ids)"))
_WAKE_PAGE = text(_WAKE.format(whose="page_id = :id"))
_WAKE_CAMPAIGN = text(_WAKE.format(whose="campaign_id = :id"))
_CANCEL_CAMPAIGN = text("""
    WITH unsent AS (
        SELECT id, state FROM message WHERE state IN ('scheduled', 'due') AND campaign_id = :id
        ORDER BY id FOR NO KEY UPDATE
    ), cancelled AS (
        UPDATE message m SET state = 'cancelled', state_at = :now, reason = 'cancelled', due_at = NULL, wakes_on = NULL
        FROM unsent WHERE m.id = unsent.id RETURNING m.id, unsent.state AS was
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, was, 'cancelled', 'cancelled', :actor FROM cancelled
""")


def hold_wakes(session: Session) -> None:
    """Until this transaction ends, let nobody wake a page or a campaign.

    For whoever decides and then parks: take it before the facts are read. Otherwise a resume that commits between the
    read and the park finds nothing to wake, and the message sleeps on. (Contacts need no
    such gate: their row is locked.)
    """
    session.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _WAKES})


def wait_for_deciders(session: Session) -> None:
    """Let those who are deciding finish, and nobody decide until this transaction ends.

    For whoever forbids something that is not a contact's (a kill switch, a pause, an allow-list): a batch that read the
    facts before would otherwise still begin after the answer that says nothing begins any more.
    """
    _gate(session)


def wake_contacts(session: Session, contact_ids: Sequence[int], now: int) -> int:
    """Decide the contacts' waiting messages anew; returns how many. The caller holds the contacts' rows."""
    if not contact_ids:
        return 0
    return _changed(session, _WAKE_CONTACTS, ids=list(contact_ids), now=now)


def wake_page(session: Session, page_id: int, now: int) -> int:
    """Decide a page's waiting messages anew (policy activated, page restored, switch released); returns how many."""
    _gate(session)
    return _changed(session, _WAKE_PAGE, id=page_id, now=now)


def wake_campaign(session: Session, campaign_id: int, now: int) -> int:
    """Decide all waiting messages of a campaign anew (resumed); returns how many."""
    _gate(session)
    return _changed(session, _WAKE_CAMPAIGN, id=campaign_id, now=now)


def cancel_campaign_messages(session: Session, campaign_id: int, actor: str, now: int) -> int:
    """Take back what has not been sent of a campaign; returns how many. What is on the wire stays on the wire."""
    return _changed(session, _CANCEL_CAMPAIGN, id=campaign_id, actor=actor, now=now)


def _gate(session: Session) -> None:
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WAKES})


def _changed(session: Session, statement: TextClause, **values: object) -> int:
    # One row of the log a message that moved.
    return int(session.connection().execute(statement, values).rowcount)
