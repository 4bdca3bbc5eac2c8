"""Holding somebody back: until a person has looked, or while another has the thread.

Who has a thread follows from the newest instant of each thing that can be told of it, so it does not matter in which
order they become known. Of things told for the same instant, the one that holds counts.

Another app has the thread of an address. A person talks to a person: what somebody of the team has of an address that
was merged, they have of whoever stands for the person, too, until it is handed back there or at either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.lock import lock_contact
from scheduler.contacts.persons import lock_persons
from scheduler.outbox.wake import wake_contacts

_HOLD = text("UPDATE contact SET held_at = :now WHERE id = ANY(:ids) AND held_at IS NULL")
_RELEASE = text("UPDATE contact SET held_at = NULL WHERE id = :id AND held_at IS NOT NULL RETURNING id")

_REMEMBER = text("""
    INSERT INTO contact_thread AS t (contact_id, away_ms, person_ms, spoke_ms, returned_ms)
    SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:away AS bigint[]), CAST(:person AS bigint[]),
        CAST(:spoke AS bigint[]), CAST(:returned AS bigint[]))
    ON CONFLICT (contact_id) DO UPDATE SET away_ms = greatest(t.away_ms, excluded.away_ms),
        person_ms = greatest(t.person_ms, excluded.person_ms), spoke_ms = greatest(t.spoke_ms, excluded.spoke_ms),
        returned_ms = greatest(t.returned_ms, excluded.returned_ms)
""")
#: Who takes it after it was given back took it after that, whatever a clock says; and the other way round.
_TAKE = text("""
    INSERT INTO contact_thread AS t (contact_id, taken_ms) VALUES (:id, :ms)
    ON CONFLICT (contact_id) DO UPDATE SET taken_ms = greatest(excluded.taken_ms, t.returned_ms)
""")
_GIVE_BACK = text("""
    UPDATE contact_thread SET returned_ms = 1 + greatest(CAST(:ms AS bigint), taken_ms, away_ms, person_ms, returned_ms)
    WHERE contact_id = :id
""")
_SETTLE = """
    UPDATE contact c SET handover_by = s.by, handover_at = s.at
    FROM (
        SELECT each.*, CASE WHEN each.by IS NOT NULL THEN greatest(
            CASE each.by WHEN 'operator' THEN taken_ms WHEN 'person' THEN person_ms ELSE away_ms END, spoke_ms
        ) / 1000 END AS at
        FROM (
            SELECT t.*, CASE
                WHEN t.taken_ms >= coalesce(t.returned_ms, 0) THEN 'operator'
                WHEN t.person_ms >= coalesce(t.returned_ms, 0) THEN 'person'
                WHEN t.away_ms >= coalesce(greatest(t.returned_ms, k.heard_ms), 0) THEN 'platform'
            END AS by
            FROM contact_thread t JOIN contact k ON k.id = t.contact_id
            WHERE t.contact_id = ANY(:ids) {only}
        ) each
    ) s
    WHERE c.id = s.contact_id AND (c.handover_by IS DISTINCT FROM s.by OR c.handover_at IS DISTINCT FROM s.at)
    RETURNING c.id, s.by IS NULL AS ours
"""
_SETTLE_ALL = text(_SETTLE.format(only=""))
#: What a person of the team has, the platform's routing does not show to be ours.
_SETTLE_PLATFORM = text(_SETTLE.format(only="AND k.handover_by = 'platform'"))
_WHO = text("SELECT handover_by FROM contact WHERE id = :id")

#: Another app has the thread; a person of the team took it in Duly; a person of the team wrote from the page's inbox.
PLATFORM = "platform"
OPERATOR = "operator"
PERSON = "person"


@dataclass(slots=True)
class ThreadNews:
    """What events told of somebody's thread: the newest instant of each, milliseconds; None: nothing."""

    #: Another app got it.
    away_ms: int | None = None
    #: A person of the team wrote from the page's inbox.
    person_ms: int | None = None
    #: Anybody else than Duly wrote for the page: whoever has the thread is still at it.
    spoke_ms: int | None = None
    #: It was given back to our app.
    returned_ms: int | None = None


def hold_contact(session: Session, contact_id: int, now: int) -> None:
    """Send nothing to the contact until ``release_contact``: something they said could not be understood."""
    hold_contacts(session, (contact_id,), now)


def hold_contacts(session: Session, contact_ids: Collection[int], now: int) -> None:
    """``hold_contact`` for many."""
    if contact_ids:
        # What could not be understood may have been a STOP, and a STOP is the person's.
        survivors = lock_persons(session, contact_ids)
        session.connection().execute(_HOLD, {"ids": sorted({*contact_ids, *survivors.values()}), "now": now})


def release_contact(session: Session, contact_id: int, now: int) -> bool:
    """End the hold; their messages are decided anew. False when they were not held."""
    lock_contact(session, contact_id)
    released = session.connection().execute(_RELEASE, {"id": contact_id}).first() is not None
    if released:
        wake_contacts(session, [contact_id], now)
    return released


def hand_over(session: Session, contact_id: int, *, by: str, at: int, now: int) -> bool:
    """Somebody else has the conversation: automation waits for ``hand_back``. False when that was known.

    ``by`` is ``platform`` (another app has the thread) or ``operator`` (a person of the team took it), ``at`` when.
    What a person has stays theirs when the platform says that another app has it.
    """
    connection = session.connection()
    who = _addresses(session, contact_id)
    before = connection.execute(_WHO, {"id": contact_id}).scalar_one_or_none()
    if by != OPERATOR:
        # An answer's instant is known to the second: what the person wrote in that second, they wrote before it.
        record_threads(session, {contact_id: ThreadNews(away_ms=at * 1000 + 999)}, now)
    elif before != OPERATOR:
        for each in who:
            connection.execute(_TAKE, {"id": each, "ms": at * 1000})
        connection.execute(_SETTLE_ALL, {"ids": who})
    return bool(connection.execute(_WHO, {"id": contact_id}).scalar_one_or_none() != before)


def hand_back(session: Session, contact_id: int, now: int) -> bool:
    """The conversation is ours again; what waited is decided anew. False when nobody else had it."""
    connection = session.connection()
    who = _addresses(session, contact_id)
    for each in who:
        connection.execute(_GIVE_BACK, {"id": each, "ms": now * 1000})
    ours = [row.id for row in connection.execute(_SETTLE_ALL, {"ids": who}) if row.ours]
    wake_contacts(session, sorted(ours), now)
    return bool(ours)


def record_threads(session: Session, news: Mapping[int, ThreadNews], now: int) -> None:
    """Keep what events told of these contacts' threads (contact id → news), and let follow who has them.

    What waits for somebody whose thread was given back is decided anew, also where a later event had told so already.
    """
    if not news:
        return
    news = dict(news)
    for address, person in lock_persons(session, news.keys()).items():
        if news[address].person_ms is not None:
            theirs = news.get(person, ThreadNews())
            news[person] = replace(theirs, person_ms=max(theirs.person_ms or 0, news[address].person_ms or 0))
    ids = sorted(news)
    values: dict[str, object] = {"ids": ids}
    for name in ("away", "person", "spoke", "returned"):
        told = [getattr(news[each], f"{name}_ms") for each in ids]
        # What a clock ahead of ours says must not outrank what is done here after it.
        values[name] = [None if ms is None else min(ms, newest_ms(now)) for ms in told]
    session.connection().execute(_REMEMBER, values)
    rows = session.connection().execute(_SETTLE_ALL, {"ids": ids}).all()
    ours = {row.id for row in rows if row.ours} | {each for each in ids if news[each].returned_ms is not None}
    wake_contacts(session, sorted(ours), now)


def _addresses(session: Session, contact_id: int) -> list[int]:
    """The contact, and whoever stands for them; locked."""
    return [contact_id, *lock_persons(session, (contact_id,)).values()]


def newest_ms(now: int) -> int:
    """The newest instant, milliseconds, that counts of what is told of threads at ``now``, epoch seconds."""
    return now * 1000 + 999


def settle_platform_threads(session: Session, contact_ids: Collection[int]) -> None:
    """These people spoke to our own app (``contact.heard_ms``): handovers by the platform that are older are over.

    The caller holds the contacts' rows, and wakes what waits for them.
    """
    if contact_ids:
        session.connection().execute(_SETTLE_PLATFORM, {"ids": sorted(set(contact_ids))})
