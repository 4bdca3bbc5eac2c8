"""Pulls waiting messages to a new decision when something happened that may permit more; and takes back what waits.

Waking moves ``scheduled`` messages to ``due``: dispatch decides again under the contact's lock, and sends, waits or
denies. A message that is not permitted after all costs one decision and no request.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import TextClause, text
from sqlmodel import Session

from scheduler.outbox.tables import WakeOrder
from scheduler.store.direct import Ask, run

#: Parked messages that one transaction wakes.
CHUNK = 5_000

#: Any number, the same everywhere: see ``hold_wakes``.
_WAKES = 0x77616B65
#: What ``hold_wakes`` runs, for whoever sends it along with other statements.
HOLD_WAKES = f"SELECT pg_advisory_xact_lock_shared({_WAKES})"

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
#: What waits for a person to write is theirs to end: no page has a say in it.
_WAKE_PAGE = text(_WAKE.format(whose="page_id = :id AND wakes_on IS DISTINCT FROM 'inbound'"))
# What is parked until somebody lets it go on, in the order of its own index.
_WAKE_PARKED = text("""
    WITH waiting AS (
        SELECT id FROM message
        WHERE state = 'scheduled' AND due_at IS NULL AND wakes_on = 'resume' AND id > :cursor
        AND (CAST(:page AS integer) IS NULL OR page_id = :page)
        AND (CAST(:campaign AS bigint) IS NULL OR campaign_id = :campaign)
        AND (CAST(:category AS text) IS NULL OR category = :category)
        ORDER BY id LIMIT :limit FOR NO KEY UPDATE
    ), woken AS (
        UPDATE message m SET state = 'due', state_at = :now, due_at = :now, wakes_on = NULL
        FROM waiting WHERE m.id = waiting.id RETURNING m.id
    ), logged AS (
        INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
        SELECT id, :now, 'scheduled', 'due', 'woken', 'wake' FROM woken
    )
    SELECT count(*) AS woken, max(id) AS last FROM woken
""")
_NEXT_ORDER = text("""
    SELECT id, page_id, campaign_id, category, cursor FROM wake_order ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
""")
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
    session.connection().execute(text(HOLD_WAKES))


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
    return run(session, *waking(contact_ids, now))


def waking(contact_ids: Sequence[int], now: int) -> Ask:
    """What ``wake_contacts`` runs, for whoever runs it together with something else."""
    return _WAKE_CONTACTS, {"ids": list(contact_ids), "now": now}


def wake_page(session: Session, page_id: int, now: int) -> int:
    """Decide a page's waiting messages anew (policy activated, page restored, switch released); returns how many."""
    _gate(session)
    return _changed(session, _WAKE_PAGE, id=page_id, now=now)


def wake_parked(
    session: Session,
    now: int,
    *,
    page_id: int | None = None,
    campaign_id: int | None = None,
    category: str | None = None,
    limit: int = CHUNK,
) -> int:
    """Decide anew what is parked until somebody lets it go on, in this scope; None does not narrow it.

    Wakes up to ``limit`` at once and leaves the rest, if any, to ``wake_more``; returns how many it woke. What waits
    for an instant needs no waking: it was decided when nothing held it, and is decided again when it is due.
    """
    _gate(session)
    order = WakeOrder(page_id=page_id, campaign_id=campaign_id, category=category, ordered_at=now)
    woken = _wake_chunk(session, order, now, limit)
    if woken == limit:
        session.add(order)
        session.flush()
    return woken


def wake_more(session: Session, now: int, limit: int = CHUNK) -> int:
    """Go on with what ``wake_parked`` left, up to ``limit`` messages; returns how many, 0 when nothing is left.

    No gate: whoever decides by now reads that the release is in force.
    """
    row = session.execute(_NEXT_ORDER).first()
    if row is None:
        return 0
    order = session.get_one(WakeOrder, row.id, populate_existing=True)
    woken = _wake_chunk(session, order, now, limit)
    if woken < limit:
        session.delete(order)
    session.flush()
    return woken


def _wake_chunk(session: Session, order: WakeOrder, now: int, limit: int) -> int:
    scope = {"page": order.page_id, "campaign": order.campaign_id, "category": order.category}
    found = session.execute(_WAKE_PARKED, {**scope, "cursor": order.cursor, "now": now, "limit": limit}).one()
    order.cursor = found.last or order.cursor
    return int(found.woken)


def cancel_campaign_messages(session: Session, campaign_id: int, actor: str, now: int) -> int:
    """Take back what has not been sent of a campaign; returns how many. What is on the wire stays on the wire."""
    return _changed(session, _CANCEL_CAMPAIGN, id=campaign_id, actor=actor, now=now)


def _gate(session: Session) -> None:
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WAKES})


def _changed(session: Session, statement: TextClause, **values: object) -> int:
    # One row of the log a message that moved.
    return run(session, statement, values)
