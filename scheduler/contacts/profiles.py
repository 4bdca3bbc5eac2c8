"""Wishes to read somebody's profile on the platform. Workers fulfil them: nothing here touches the network."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from policies.facts import UTC_OFFSETS
from scheduler.clock import real_seconds
from scheduler.contacts.evidence import set_offset
from scheduler.contacts.lock import lock_contact

#: Real seconds until a claimed read is offered again, because whoever claimed it may have died, and the first
#: pause after a failure, doubled with each further one.
_LEASE = 60
_FIRST_PAUSE = 5
_LAST_PAUSE = 3600

#: A profile that could not be read this often is given up; the person's zone stays unknown.
_TRIES = 8

_WANT = text(
    """
    INSERT INTO profile_read (contact_id, due_at, attempts)
    SELECT id, :now, 0 FROM contact
    WHERE id = ANY(:ids) AND timezones IS NULL AND utc_offset IS NULL
    ORDER BY id
    ON CONFLICT (contact_id) DO NOTHING
    """
)

_CLAIM = text(
    """
    UPDATE profile_read SET due_at = :lease_ends, attempts = profile_read.attempts + 1
    FROM (
        SELECT read.contact_id FROM profile_read AS read
        JOIN contact ON contact.id = read.contact_id
        JOIN page ON page.id = contact.page_id
        WHERE read.done_at IS NULL AND read.due_at <= :now AND page.stopped_at IS NULL
        ORDER BY read.due_at, read.contact_id
        LIMIT :limit
        FOR UPDATE OF read SKIP LOCKED
    ) AS picked, contact
    WHERE profile_read.contact_id = picked.contact_id AND contact.id = picked.contact_id
    RETURNING contact.id, contact.page_id, contact.psid, profile_read.attempts
    """
)

_DONE = text("UPDATE profile_read SET done_at = :now, outcome = :outcome WHERE contact_id = :id AND done_at IS NULL")

_AGAIN = text("UPDATE profile_read SET due_at = :due, outcome = :outcome WHERE contact_id = :id AND done_at IS NULL")

_NAMES = text(
    """
    UPDATE contact SET name = coalesce(name, :name), first_name = coalesce(first_name, :first_name),
                       locale = coalesce(locale, :locale)
    WHERE id = :id
    """
)


@dataclass(slots=True, kw_only=True)
class DueRead:
    """A profile to read now: ``GET /{psid}`` with the token of the page."""

    contact_id: int
    page_id: int
    psid: str
    #: How often it was tried, this time included.
    attempts: int


def want_profile(session: Session, contact_ids: Collection[int], now: int) -> None:
    """Wish to read the profiles of those contacts whose zone nothing tells yet. Asked once a contact."""
    if contact_ids:
        session.connection().execute(_WANT, {"ids": sorted(set(contact_ids)), "now": now})


def due_profile_reads(session: Session, now: int, limit: int) -> list[DueRead]:
    """Claim up to ``limit`` reads that are due, oldest first.

    Each is leased for a real minute: commit, do the request outside any transaction, then call ``profile_read_done``.
    Reads that another worker holds are skipped, and so are those of stopped pages.
    """
    rows = session.connection().execute(_CLAIM, {"now": now, "limit": limit, "lease_ends": now + real_seconds(_LEASE)})
    found = [DueRead(contact_id=row.id, page_id=row.page_id, psid=row.psid, attempts=row.attempts) for row in rows]
    return sorted(found, key=lambda read: read.contact_id)


def profile_read_done(
    session: Session, contact_id: int, profile: Mapping[str, object] | None, outcome: str, now: int
) -> None:
    """Settle a claimed read.

    ``profile`` is the platform's answer; its ``timezone`` (hours, maybe fractional), ``locale`` and names are kept
    where nothing was known. Without a profile, ``outcome`` = ``retry`` asks again later, with growing pauses and at
    most eight times; any other word (``unavailable``, ``refused``) settles it for good.
    """
    lock_contact(session, contact_id)
    connection = session.connection()
    if profile is not None:
        connection.execute(
            _NAMES,
            {"id": contact_id, **{name: _text(profile.get(name)) for name in ("name", "first_name", "locale")}},
        )
        minutes = offset_minutes(profile.get("timezone"))
        if minutes is not None:
            set_offset(session, contact_id, minutes, now)
        connection.execute(_DONE, {"id": contact_id, "now": now, "outcome": outcome})
        return
    attempts = connection.execute(
        text("SELECT attempts FROM profile_read WHERE contact_id = :id"), {"id": contact_id}
    ).scalar_one_or_none()
    if outcome == "retry" and attempts is not None and attempts < _TRIES:
        pause = min(_LAST_PAUSE, _FIRST_PAUSE * 2 ** max(0, attempts - 1))
        connection.execute(_AGAIN, {"id": contact_id, "due": now + real_seconds(pause), "outcome": outcome})
    else:
        settled = "given_up" if outcome == "retry" else outcome
        connection.execute(_DONE, {"id": contact_id, "now": now, "outcome": settled})


def offset_minutes(hours: object) -> int | None:
    """The platform's ``timezone`` (hours east of UTC, maybe fractional) in minutes; None when it is no such number."""
    if isinstance(hours, bool) or not isinstance(hours, (int, float, str)):
        return None
    try:
        number = float(hours)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    minutes = round(number * 60)
    return minutes if UTC_OFFSETS[0] <= minutes <= UTC_OFFSETS[1] else None


def _text(value: object) -> str | None:
    # A NUL is legal JSON and illegal in PostgreSQL; a lone surrogate cannot be encoded at all.
    if not isinstance(value, str):
        return None
    cleaned = value.replace("\x00", "").encode("utf-8", "ignore").decode()[:200].strip()
    return cleaned or None
