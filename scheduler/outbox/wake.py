"""Pulls waiting messages to a new decision when something happened that may permit more; and takes back what waits.

Waking moves ``scheduled`` messages to ``due``: dispatch decides again under the contact's lock, and sends, waits or
denies. A message that is not permitted after all costs one decision and no request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import TextClause, text
from sqlmodel import Session

from scheduler.outbox.tables import WakeOrder
from scheduler.store.direct import Ask, run

#: Messages that whoever lets them go wakes before they are answered; that one chunk of the rest wakes, and looks at.
AT_ONCE = 1_000
CHUNK = 5_000
LOOK = 20_000

#: The longest that a message of the person's opens the window for, and so how long ago whoever a page's news may
#: concern wrote at most, seconds.
_RECENT = 7 * 86_400

#: Any number, the same everywhere: see ``hold_wakes``.
_WAKES = 0x77616B65
#: What ``hold_wakes`` runs, for whoever sends it along with other statements.
HOLD_WAKES = f"SELECT pg_advisory_xact_lock_shared({_WAKES})"

# What may wait for its person has an end that may be weeks away: among what is due it takes the place of somebody who
# wrote just now, whose window closes in a day.
_WAKE = """
    WITH waiting AS (
        SELECT id FROM message WHERE state = 'scheduled' AND contact_id = ANY(:ids) {parked}
        ORDER BY id FOR NO KEY UPDATE
    ), woken AS (
        UPDATE message m SET state = 'due', state_at = :now, due_at = :now, wakes_on = NULL,
            deadline = CASE WHEN m.may_wait AND m.due_at IS NULL THEN least(m.deadline, :now + 86400)
                ELSE m.deadline END
        FROM waiting WHERE m.id = waiting.id RETURNING m.id
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, 'scheduled', 'due', 'woken', 'wake' FROM woken
"""
_WAKE_CONTACTS = text(_WAKE.format(parked=""))
_WAKE_PARKED_OF = text(_WAKE.format(parked="AND due_at IS NULL"))
#: What a full cap or a gap put off: something that was to go before it may not have gone after all.
_PACED = "state = 'scheduled' AND due_at > :now AND reason IN ('frequency_cap', 'minimum_gap')"
_THEN_WAKE = """
    ), woken AS (
        UPDATE message m SET state = 'due', state_at = :now, due_at = :now
        FROM waiting WHERE m.id = waiting.id RETURNING m.id
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, 'scheduled', 'due', 'woken', 'wake' FROM woken
"""
# Whoever has one of these rows is waking it, making it due or ending it, so nothing is waited for.
_WAKE_PACED = text(f"""
    WITH waiting AS (
        SELECT id FROM message WHERE contact_id = ANY(:ids) AND {_PACED} ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    {_THEN_WAKE}
""")  # noqa: S608 - our own words
_WAKE_PACED_BEHIND = text(f"""
    WITH waiting AS (
        SELECT id FROM message
        WHERE page_id = (SELECT page_id FROM campaign WHERE id = :id) AND {_PACED}
        AND contact_id IN (SELECT contact_id FROM message WHERE campaign_id = :id AND state = 'cancelled')
        ORDER BY id FOR NO KEY UPDATE
    {_THEN_WAKE}
""")  # noqa: S608
# A bounded look at what waits on the page, in the order of its own index: those of it that the order means are woken.
# What waits for a person to write is theirs to end. What is news for all of a page (a new policy, an approved template)
# concerns of it only what the platform has not refused: those who wrote lately, and templates that need no window.
_WAKE_CHUNK = text("""
    WITH looked AS MATERIALIZED (
        SELECT id, due_at, wakes_on, campaign_id, category, contact_id, template_id,
            may_wait AND attempts = 0 AS untried
        FROM message
        WHERE state = 'scheduled' AND page_id = :page AND id > :cursor ORDER BY id LIMIT :look
    ), chosen AS MATERIALIZED (
        SELECT id FROM looked
        WHERE CASE WHEN CAST(:wakes_on AS text) IS NULL THEN wakes_on IS DISTINCT FROM 'inbound' OR (untried AND (
                EXISTS (SELECT 1 FROM contact c WHERE c.id = looked.contact_id
                    AND greatest(c.last_inbound_at, c.ad_inbound_at) > :recent)
                OR EXISTS (SELECT 1 FROM template t WHERE t.id = looked.template_id AND t.utility_approved)))
            ELSE due_at IS NULL AND wakes_on = CAST(:wakes_on AS text) END
        AND (CAST(:campaign AS bigint) IS NULL OR campaign_id = :campaign)
        AND (CAST(:category AS text) IS NULL OR category = :category)
        ORDER BY id LIMIT :limit
    ), waiting AS (
        SELECT m.id FROM message m JOIN chosen USING (id) WHERE m.state = 'scheduled'
        ORDER BY m.id FOR NO KEY UPDATE OF m
    ), woken AS (
        UPDATE message m SET state = 'due', state_at = :now, due_at = :now, wakes_on = NULL
        FROM waiting WHERE m.id = waiting.id RETURNING m.id, m.contact_id
    ), logged AS (
        INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
        SELECT id, :now, 'scheduled', 'due', 'woken', 'wake' FROM woken
    )
    SELECT (SELECT array_agg(id ORDER BY id) FROM woken) AS ids,
        (SELECT array_agg(contact_id ORDER BY id) FROM woken) AS contacts,
        (SELECT CASE WHEN count(*) = :limit THEN max(id) END FROM chosen) AS full_at,
        (SELECT CASE WHEN count(*) = :look THEN max(id) END FROM looked) AS seen_to
""")
_PAGES = text("""
    SELECT id FROM page WHERE (CAST(:page AS integer) IS NULL OR id = :page) AND (
        CAST(:campaign AS bigint) IS NULL OR id = (SELECT page_id FROM campaign WHERE id = :campaign)) ORDER BY id
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


def wake_parked_of(session: Session, contact_ids: Sequence[int], now: int) -> int:
    """Decide anew what is parked for these contacts, who want no more messages: nothing is to wait for them.

    Returns how many. What waits for an instant is decided then. The caller holds the contacts' rows.
    """
    return run(session, _WAKE_PARKED_OF, {"ids": list(contact_ids), "now": now}) if contact_ids else 0


def waking(contact_ids: Sequence[int], now: int) -> Ask:
    """What ``wake_contacts`` runs, for whoever runs it together with something else."""
    return _WAKE_CONTACTS, {"ids": list(contact_ids), "now": now}


def wake_paced(session: Session, contact_ids: Sequence[int], now: int) -> int:
    """Decide anew what caps and gaps put off for these contacts; returns how many messages that is.

    For whoever ended one of their messages unsent, or parked it: what is parked has no instant and is in nobody's way.
    Waits for no lock.
    """
    return run(session, _WAKE_PACED, {"ids": list(contact_ids), "now": now}) if contact_ids else 0


def wake_page(session: Session, page_id: int, now: int, *, wakes_on: str | None = None, limit: int = AT_ONCE) -> int:
    """Decide a page's waiting messages anew: all of them, or those parked until ``wakes_on``, which came.

    Up to ``limit`` at once; an order for the rest is left for ``anew.py``. Returns how many it woke.
    """
    _gate(session)
    return _order(session, [WakeOrder(page_id=page_id, wakes_on=wakes_on, ordered_at=now)], now, limit)


def wake_parked(
    session: Session,
    now: int,
    *,
    page_id: int | None = None,
    campaign_id: int | None = None,
    category: str | None = None,
    limit: int = AT_ONCE,
) -> int:
    """Decide anew what is parked until somebody lets it go on, in this scope; None does not narrow it.

    Wakes as ``wake_page`` does. What waits for an instant needs no waking: it was decided when nothing held it, and is
    decided again when it is due.
    """
    _gate(session)
    pages = session.execute(_PAGES, {"page": page_id, "campaign": campaign_id}).scalars().all()
    orders = [
        WakeOrder(page_id=page, campaign_id=campaign_id, category=category, wakes_on="resume", ordered_at=now)
        for page in pages
    ]
    return _order(session, orders, now, limit)


@dataclass(slots=True, kw_only=True)
class Woken:
    """What a chunk of an order woke: (message id, contact id) each; whether more of it may be left."""

    messages: list[tuple[int, int]]
    more: bool


def wake_chunk(session: Session, order: WakeOrder, now: int, *, limit: int, look: int = LOOK) -> Woken:
    """Wake up to ``limit`` messages of an order, looking at ``look`` at most, and move its cursor behind them."""
    values = {
        "page": order.page_id, "campaign": order.campaign_id, "category": order.category, "wakes_on": order.wakes_on,
        "cursor": order.cursor, "now": now, "recent": now - _RECENT, "limit": limit, "look": look,
    }  # fmt: skip
    found = session.execute(_WAKE_CHUNK, values).one()
    messages = list(zip(found.ids or (), found.contacts or (), strict=True))
    behind = found.full_at if found.full_at is not None else found.seen_to
    order.cursor = order.cursor if behind is None else behind
    order.woken += len(messages)
    return Woken(messages=messages, more=behind is not None)


def _order(session: Session, orders: Sequence[WakeOrder], now: int, limit: int) -> int:
    woken = 0
    session.flush()
    for order in orders:
        more = True
        if woken < limit:
            chunk = wake_chunk(session, order, now, limit=limit - woken)
            woken += len(chunk.messages)
            more = chunk.more
        if more:
            session.add(order)
    session.flush()
    return woken


def cancel_campaign_messages(session: Session, campaign_id: int, actor: str, now: int) -> int:
    """Take back what has not been sent of a campaign; returns how many. What is on the wire stays on the wire.

    What had to come after it is decided anew.
    """
    cancelled = _changed(session, _CANCEL_CAMPAIGN, id=campaign_id, actor=actor, now=now)
    if cancelled:
        run(session, _WAKE_PACED_BEHIND, {"id": campaign_id, "now": now})
    return cancelled


def _gate(session: Session) -> None:
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WAKES})


def _changed(session: Session, statement: TextClause, **values: object) -> int:
    # One row of the log a message that moved.
    return run(session, statement, values)
