"""Where somebody is: what was stated, and what the platform's profile tells. Better evidence wakes their messages."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.lock import lock_contact
from scheduler.outbox.wake import wake_contacts

_STATE_ZONE = text(
    """
    UPDATE contact SET timezones = CAST(:zones AS varchar[]), timezones_source = :source
    WHERE id = :id
      AND (timezones IS DISTINCT FROM CAST(:zones AS varchar[]) OR timezones_source IS DISTINCT FROM :source)
    RETURNING id
    """
)

_SET_OFFSET = text(
    """
    UPDATE contact SET utc_offset = :minutes, utc_offset_read_at = :now
    FROM (SELECT id, utc_offset AS was FROM contact WHERE id = :id) AS old
    WHERE contact.id = old.id
    RETURNING old.was IS DISTINCT FROM :minutes AS changed
    """
)


def state_zone(session: Session, contact_id: int, zones: Sequence[str], *, source: str, now: int) -> bool:
    """Keep the stated IANA zones of a contact (several are candidates). True when that is news.

    ``source`` is ``optin``, ``import`` or ``api``. The newest statement holds; the caller has validated the names
    (``places.check_zone``).
    """
    lock_contact(session, contact_id)
    changed = session.connection().execute(
        _STATE_ZONE, {"id": contact_id, "zones": list(zones) or None, "source": source if zones else None}
    )
    news = changed.first() is not None
    if news:
        wake_contacts(session, [contact_id], now)
    return news


def set_offset(session: Session, contact_id: int, minutes: int, now: int) -> bool:
    """Keep the numeric offset of the platform's profile, minutes east of UTC, read at ``now``. True when it is news."""
    lock_contact(session, contact_id)
    changed = session.connection().execute(_SET_OFFSET, {"id": contact_id, "minutes": minutes, "now": now}).first()
    news = changed is not None and bool(changed.changed)
    if news:
        wake_contacts(session, [contact_id], now)
    return news
