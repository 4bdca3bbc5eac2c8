"""The messaging window: when somebody last did something that lets us write back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.blocks import lift_blocks, liftable_ask
from scheduler.contacts.activity import activity_counted, places_ask
from scheduler.contacts.holds import newest_ms, settle_platform_threads
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.profiles import FRESH, profile_wish
from scheduler.outbox.wake import waking
from scheduler.store.direct import run, together

#: How far ahead of our clock a platform's timestamp may be, seconds, before it is pulled back: a window must not
#: be opened from the future.
_AHEAD = 60

#: Newest wins, whatever order events arrive in.
_ADVANCE = text(
    """
    UPDATE contact SET last_inbound_at = greatest(contact.last_inbound_at, given.at),
        heard_ms = greatest(contact.heard_ms, given.heard)
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[]), CAST(:heard AS bigint[])) AS given (id, at, heard)
    WHERE contact.id = given.id AND contact.id = ANY(CAST(:ids AS bigint[])) AND (
        contact.last_inbound_at IS NULL OR contact.last_inbound_at < given.at
        OR contact.heard_ms < given.heard OR (contact.heard_ms IS NULL AND given.heard IS NOT NULL))
    RETURNING contact.id, contact.handover_by = 'platform' AS elsewhere,
        contact.timezones IS NULL AND (contact.utc_offset IS NULL OR contact.utc_offset_read_at <= :old) AS nowhere
    """
)

_ADVERTISED = text(
    """
    UPDATE contact SET ad_inbound_at = given.at
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    WHERE contact.id = given.id AND (contact.ad_inbound_at IS NULL OR contact.ad_inbound_at < given.at)
    """
)

_HOLD_SHUT = text(
    """
    UPDATE contact SET window_closed_at = greatest(contact.window_closed_at, given.at)
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    WHERE contact.id = given.id AND (contact.last_inbound_at IS NULL OR contact.last_inbound_at <= given.at)
    RETURNING contact.id
    """
)


def hold_windows_shut(session: Session, moments: Mapping[int, int]) -> set[int]:
    """The platform refused at those instants (contact id → epoch seconds) because the window was closed.

    Returns the contacts who have not written since: their window counts as closed until they do.
    """
    lock_contacts(session, moments.keys())
    rows = session.connection().execute(_HOLD_SHUT, {"ids": list(moments), "moments": list(moments.values())})
    return {row.id for row in rows}


def record_inbound(session: Session, contact_id: int, at: int, now: int) -> None:
    """Keep that the person did something that opens the window at ``at`` (the platform's own timestamp)."""
    record_inbounds(session, {contact_id: at}, now)


def record_inbounds(
    session: Session,
    newest: Mapping[int, int],
    now: int,
    *,
    heard_ms: Mapping[int, int] | None = None,
    seen: Mapping[int, Sequence[int]] | None = None,
    made: Collection[int] = (),
) -> None:
    """``record_inbound`` for many: contact id → instant, epoch seconds.

    Opens or prolongs the window, lifts blocks that are older, asks for the profile of people without zone evidence,
    and lets their scheduled messages be decided anew. ``heard_ms`` names, of these people, those who spoke to our own
    app (contact id → milliseconds): the platform routes to whoever has the thread, so older handovers by it are over.
    What was ``seen`` is counted as by ``count_activity``, on the same way to the database. Who was ``made`` in this
    transaction has their window already, and nothing that waits or bars.
    """
    if not newest:
        return
    heard = {contact_id: min(ms, newest_ms(now)) for contact_id, ms in (heard_ms or {}).items()}
    lock_contacts(session, newest.keys())
    clamped = {contact_id: min(at, now + _AHEAD) for contact_id, at in newest.items() if contact_id not in made}
    values = {
        "ids": list(clamped), "moments": list(clamped.values()), "heard": [heard.get(each) for each in clamped],
        "old": now - FRESH,
    }  # fmt: skip
    asked = [places_ask(seen or {}), *([(_ADVANCE, values), liftable_ask(clamped)] if clamped else [])]
    places, *answers = together(session, *asked)
    advanced, liftable = answers or ([], [])
    settle_platform_threads(session, [row.id for row in advanced if row.elsewhere])
    lift_blocks(session, clamped, now, liftable=liftable)
    follows = [activity_counted(places, seen or {}, now)]
    if nowhere := [row.id for row in advanced if row.nowhere] + [each for each in newest if each in made]:
        follows.append(profile_wish(nowhere, now))
    if advanced:
        follows.append(waking(sorted(row.id for row in advanced), now))
    together(session, *(each for each in follows if each is not None))


def record_ad_inbounds(session: Session, moments: Mapping[int, int], now: int) -> None:
    """Keep when people (contact id → epoch seconds) sent the first message after a click on an advertisement.

    The newest counts. Beside ``record_inbounds``, which opens the ordinary window and wakes what waits.
    """
    if moments:
        lock_contacts(session, moments.keys())
        clamped = [min(at, now + _AHEAD) for at in moments.values()]
        run(session, _ADVERTISED, {"ids": list(moments), "moments": clamped})
