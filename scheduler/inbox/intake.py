"""The inbox: a webhook body becomes stored events and what follows from them, in the caller's one transaction.

Locks are taken in one order everywhere: events by their key, new contacts by their psid, contacts by their id,
messages last. So requests about the same people wait for each other and never deadlock.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlmodel import Session

from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.contacts.evidence import state_zone
from scheduler.contacts.holds import PLATFORM, hand_back, hand_over, heard_from, hold_contacts, spoke
from scheduler.contacts.inbound import record_inbounds
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.registry import ensure_contacts, find_contacts
from scheduler.errors import DulyError, Unavailable
from scheduler.followups.interests import ask_back_in_stock
from scheduler.inbox import raw
from scheduler.inbox.arrivals import Arrival, arrivals, unreadable
from scheduler.inbox.meaning import Meaning, Unappliable, meaning_of
from scheduler.logs import get_logger
from scheduler.outbox.evidence import lock_echoed, record_delivery, record_echo, record_read
from scheduler.outbox.metadata import read_metadata
from scheduler.pages.registry import app_of_page, pages_of_app

log = get_logger(__name__)

#: How we know of a choice, by the kind of event that brought it.
_SOURCES = {"message": "message", "postback": "postback", "optin": "optin"}

#: Events about what *we* sent: they make nobody a contact.
_EVIDENCE = frozenset({"echo", "delivery", "read"})

#: How far ahead of our clock an event may be, milliseconds, before it is pulled back.
_AHEAD_MS = 60_000


@dataclass(slots=True, kw_only=True)
class Received:
    """What became of a webhook body."""

    #: Events that were new, of those the ones that could not be applied, and copies of events known before.
    new: int = 0
    failed: int = 0
    known: int = 0
    #: Whether people did something, so that there may be messages to send and profiles to read now.
    people: bool = False


@dataclass(slots=True)
class _Event:
    """A new event on its way through ``receive``."""

    id: int
    arrival: Arrival
    page_id: int | None
    contact_id: int | None = None
    meaning: Meaning | None = None
    error: str | None = None


def receive(session: Session, app_id: int, body: object, now: int) -> Received:
    """Store and apply every event in a verified webhook body (JSON as read), each once, in the order they happened.

    ``app_id`` is the app whose secret signed it: events of other apps' pages are kept, not applied. What cannot be
    applied is kept with its error and its contact is held; the others are applied all the same. Raises only when
    nothing should be kept: the database failed, and the platform will deliver again.
    """
    return _receive(session, app_id, arrivals(body), now)


def receive_unreadable(session: Session, app_id: int, body: bytes, now: int) -> Received:
    """Keep a correctly signed body that is not JSON, for a person to look at."""
    return _receive(session, app_id, [unreadable(body)], now)


def _receive(session: Session, app_id: int, found: list[Arrival], now: int) -> Received:
    pages = pages_of_app(session, app_id, sorted({arrival.page for arrival in found if arrival.page}))
    stored = raw.store(session, found, app_id=app_id, pages=pages, now=now)
    events = [
        _Event(event_id, arrival, pages.get(arrival.page) if arrival.page else None) for event_id, arrival in stored
    ]
    events.sort(key=lambda event: _occurred_ms(event, now))
    for event in events:
        _understand(event)
    _meet(session, events, now)
    _open_windows(session, events, now)
    echoes = [event.meaning.echo[0] for event in events if event.meaning is not None and event.meaning.echo is not None]
    if len(echoes) > 1:
        lock_echoed(session, echoes)
    for event in events:
        if event.meaning is not None and not event.meaning.only_opens_window:
            _apply(session, event, now)
    # After the handovers, whichever came first: the later of the two tells who has the thread.
    _hear(session, events, now)
    _settle(session, events, now)
    failed = sum(event.error is not None for event in events)
    if failed:
        log.warning("events_not_applied", count=failed, kinds=sorted({e.arrival.kind for e in events if e.error}))
    return Received(
        new=len(events),
        failed=failed,
        known=len(found) - len(events),
        people=any(event.contact_id is not None and event.arrival.kind not in _EVIDENCE for event in events),
    )


def _understand(event: _Event) -> None:
    if event.page_id is None and event.arrival.problem is None:
        event.error = "its page is not registered with the app that signed it"
        return
    try:
        event.meaning = meaning_of(event.arrival)
    except Unappliable as error:
        event.error = str(error)


def _meet(session: Session, events: list[_Event], now: int) -> None:
    """Find or make the contacts of all events, and lock them."""
    wanted: dict[int, set[str]] = defaultdict(set)
    looked_up: dict[int, set[str]] = defaultdict(set)
    for event in events:
        if event.page_id is not None and event.arrival.psid is not None:
            side = looked_up if event.arrival.kind in _EVIDENCE else wanted
            side[event.page_id].add(event.arrival.psid)
    known: dict[tuple[int, str], int] = {}
    for page_id in sorted(wanted.keys() | looked_up.keys()):
        ids = ensure_contacts(session, page_id, wanted[page_id], now)
        ids.update(find_contacts(session, page_id, looked_up[page_id] - wanted[page_id]))
        known.update({(page_id, psid): contact_id for psid, contact_id in ids.items()})
    lock_contacts(session, known.values())
    for event in events:
        if event.page_id is not None and event.arrival.psid is not None:
            event.contact_id = known.get((event.page_id, event.arrival.psid))


def _open_windows(session: Session, events: list[_Event], now: int) -> None:
    newest: dict[int, int] = {}
    for event in events:
        if event.meaning is not None and event.meaning.opens_window and event.contact_id is not None:
            # In order: the last one is the newest.
            newest[event.contact_id] = _occurred_ms(event, now) // 1000
    record_inbounds(session, newest, now)


def _hear(session: Session, events: list[_Event], now: int) -> None:
    """Who wrote to us, and not to another app that has their thread."""
    heard = {
        event.contact_id: _occurred_ms(event, now) // 1000
        for event in events
        if event.meaning is not None and event.meaning.opens_window and event.contact_id is not None
        if not event.arrival.standby
    }
    heard_from(session, heard, now)


def _apply(session: Session, event: _Event, now: int) -> None:
    """Apply one event in a savepoint of its own, so that what fails leaves nothing half-done."""
    try:
        with session.begin_nested():
            _effects(session, event, now)
    except (DataError, IntegrityError) as error:
        event.error = f"the database refused it ({type(error.orig).__name__})"
    except (DBAPIError, Unavailable):
        # Not the event's fault: nothing is answered, and the platform delivers again.
        raise
    except DulyError as error:
        event.error = str(error)
    except Exception as error:
        log.exception("event_crashed", event_id=event.id, kind=event.arrival.kind)
        event.error = f"unexpected {type(error).__name__}"


def _effects(session: Session, event: _Event, now: int) -> None:
    meaning, contact_id, page_id = event.meaning, event.contact_id, event.page_id
    assert meaning is not None  # who could not be understood does not get here
    assert page_id is not None
    at = _occurred_ms(event, now) // 1000
    psid = event.arrival.psid or ""
    if meaning.echo is not None:
        metadata, mid = meaning.echo
        if contact_id is not None and (metadata is None or read_metadata(metadata) is None):
            spoke(session, contact_id, at=at, now=now)
        record_echo(session, page_id, metadata, mid, at, now)
    if meaning.delivery is not None:
        mids, watermark = meaning.delivery
        record_delivery(session, page_id, psid, mids, watermark, now)
    if meaning.read_ms is not None:
        record_read(session, page_id, psid, meaning.read_ms, now)
    if contact_id is None:
        return
    if meaning.thread_owner is not None:
        if meaning.thread_owner == app_of_page(session, page_id):
            hand_back(session, contact_id, now)
        else:
            hand_over(session, contact_id, by=PLATFORM, at=at, now=now)
    if meaning.choice is not None:
        choose = record_opt_out if meaning.choice == "opt_out" else record_opt_in
        source = _SOURCES.get(event.arrival.kind, "message")
        choose(session, contact_id, topic=meaning.topic, source=source, event_id=event.id, at=at, now=now)
    if meaning.zone is not None:
        state_zone(session, contact_id, [meaning.zone], source="optin", now=now)
    if meaning.sku is not None:
        ask_back_in_stock(session, contact_id, page_id, meaning.sku, at, now)


def _settle(session: Session, events: list[_Event], now: int) -> None:
    failed = {event.id: event.error for event in events if event.error is not None}
    held = {event.contact_id for event in events if event.error is not None and event.contact_id is not None}
    hold_contacts(session, held, now)
    raw.settle(session, [event.id for event in events if event.error is None], failed, now)


def _occurred_ms(event: _Event, now: int) -> int:
    given = event.arrival.occurred_ms
    return now * 1000 if given is None else min(given, now * 1000 + _AHEAD_MS)
