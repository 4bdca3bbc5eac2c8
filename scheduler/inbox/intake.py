"""The inbox: webhook bodies become stored events and what follows from them, in the caller's one transaction.

Locks are taken in one order everywhere: events by their key, new contacts by their psid, contacts by their id,
messages last. So requests about the same people wait for each other and never deadlock. What speaks of a whole page
locks the page, which comes before contacts: ``split`` tells it apart, for a transaction of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlmodel import Session

from scheduler.contacts.holds import hold_contacts
from scheduler.contacts.lock import holding
from scheduler.contacts.psids import is_addressable
from scheduler.contacts.registry import ensure_people, found_people, people_ask
from scheduler.errors import DulyError
from scheduler.inbox import raw
from scheduler.inbox.arrivals import OF_PAGES, arrivals, edit_keys, message_key, unreadable
from scheduler.inbox.effects import on_pages, on_people, opened
from scheduler.inbox.event import Delivery, Event, Received
from scheduler.inbox.forgetting import strip_events
from scheduler.inbox.known_pages import KnownPages
from scheduler.inbox.lenient import message_id
from scheduler.inbox.meaning import Unappliable, meaning_of
from scheduler.inbox.troubles import NO_PAGE
from scheduler.logs import get_logger
from scheduler.outbox.metadata import read_metadata
from scheduler.own_trouble import own_trouble
from scheduler.pages.registry import found_pages, pages_ask
from scheduler.privacy.suppressed import Suppressed, suppress_returned, suppressed_people, suppression_key_ask
from scheduler.store.direct import Ask, together

log = get_logger(__name__)

_Apply = Callable[[Session, Sequence[Event], int], None]

#: Events about what *we* sent: they make nobody a contact.
_EVIDENCE = frozenset({"echo", "delivery", "read"})

#: Of whom nothing is said that opens the window: no instant, and none at which they spoke.
_SILENT = (None, None)

#: How far ahead of our clock an event may be, milliseconds, before it is pulled back.
_AHEAD_MS = 60_000
#: Milliseconds after which the platform has long given up to deliver: an instant that is older proves nothing.
_TOO_OLD_MS = 7 * 86_400_000


def receive(session: Session, app_id: int, body: object, now: int) -> Received:
    """Store and apply every event in a verified webhook body (JSON as read), each once: see ``receive_all``."""
    return receive_all(session, [Delivery(app_id=app_id, found=arrivals(body))], now)[0]


def receive_unreadable(session: Session, app_id: int, body: bytes, now: int) -> Received:
    """Keep a correctly signed body that is not JSON, for a person to look at."""
    return receive_all(session, [Delivery(app_id=app_id, found=[unreadable(body)])], now)[0]


def split(deliveries: Sequence[Delivery]) -> list[list[Delivery]]:
    """The bodies' events in parts that each want a transaction of their own: what is of pages, then what is of people.

    Each part has all the bodies, in their order. Mostly there is but one.
    """
    if not any(arrival.kind in OF_PAGES for delivery in deliveries for arrival in delivery.found):
        return [list(deliveries)]
    return [
        [
            replace(each, found=[arrival for arrival in each.found if (arrival.kind in OF_PAGES) is of_pages])
            for each in deliveries
        ]
        for of_pages in (True, False)
    ]


def receive_all(
    session: Session,
    deliveries: Sequence[Delivery],
    now: int,
    *,
    careful: bool = True,
    patience: Ask | None = None,
    pages: KnownPages | None = None,
) -> list[Received]:
    """Store and apply every event of these bodies, each once, as if they had come in the order they happened.

    What cannot be applied is kept with its error and its contact is held; the others are applied all the same. Raises
    only when nothing should be kept: the database failed, and the platform will deliver again.

    ``careful`` False saves the savepoints, for a caller who goes back to the beginning and is careful when it raises.
    ``patience`` is a statement to begin with. ``pages`` saves looking up those that are known.
    """
    first = [patience] if patience is not None else []
    found = _pages(session, deliveries, pages, first)
    events = _read(deliveries, found, now)
    if not events:
        return _told(deliveries, [], [])
    people = {(event.page_id, event.arrival.psid) for event in events if event.page_id and event.arrival.psid}
    # Who is erased in between was found, or is asked for after the key was made. The other way round they would be
    # made anew.
    then = [people_ask(people), *([key] if (key := suppression_key_ask(session)) is not None else [])]
    new, (rows, *keys) = raw.store(session, events, now, first=first, then=then)
    # Of one instant, in an order that does not depend on how they arrived.
    new.sort(key=lambda event: (event.at_ms, event.key))
    understood = [event for event in new if event.error is None]
    _try(session, [event for event in understood if event.arrival.kind in OF_PAGES], now, on_pages, careful=careful)
    contacts, made, returned = _meet(session, new, found_people(rows), keys[0] if keys else (), now, careful=careful)
    unsent, perhaps = _unsent(new)
    with holding(session, contacts, raw.keys_ask(perhaps), made=made) as (erased, (taken_back,)):
        suppress_returned(session, returned, now)
        _lose(new, erased)
        raw.purge(session, unsent.union(*(perhaps[row.dedupe_key] for row in taken_back)))
        _try(
            session,
            [event for event in understood if event.arrival.kind not in OF_PAGES],
            now,
            partial(on_people, made=made),
            careful=careful,
        )
        # What was not understood is stored as that already.
        raw.fail(session, {event.id: event.error for event in understood if event.error is not None})
        failed = [event for event in new if event.error is not None]
        hold_contacts(session, {event.contact_id for event in failed if event.contact_id is not None}, now)
        strip_events(session, [event.id for event in new if event.of_erased])
    return _told(deliveries, events, new)


def _pages(
    session: Session, deliveries: Sequence[Delivery], known: KnownPages | None, first: list[Ask]
) -> Mapping[tuple[int, str], int]:
    """(app, the platform's id) → page, of those that are named. What goes ``first`` goes along, where it asks."""
    named = {
        (delivery.app_id, arrival.page)
        for delivery in deliveries
        for arrival in delivery.found
        if arrival.page is not None
    }
    found = known.all_of(named) if known is not None else None
    if found is None:
        *_, rows = together(session, *first, pages_ask({page for _, page in named}))
        first.clear()
        found = found_pages(rows)
        if known is not None:
            known.keep(found)
    return found


def _read(deliveries: Sequence[Delivery], pages: Mapping[tuple[int, str], int], now: int) -> list[Event]:
    """All events, with their pages and meanings."""
    latest = now * 1000 + _AHEAD_MS
    events = []
    for place, delivery in enumerate(deliveries):
        for arrival in delivery.found:
            given = arrival.occurred_ms
            event = Event(
                body=place,
                arrival=arrival,
                key=f"{delivery.app_id}/{arrival.dedupe_key}",
                page_id=pages.get((delivery.app_id, arrival.page)) if arrival.page is not None else None,
                at_ms=now * 1000 if given is None else min(given, latest),
                # ``None`` where it can be: the ledger looks whether it lies ahead.
                by_arrival=None if given is not None and given > now * 1000 - _TOO_OLD_MS else True,
            )
            _understand(event)
            events.append(event)
    return events


def _understand(event: Event) -> None:
    if event.page_id is None and event.arrival.problem is None and event.arrival.kind != "instagram":
        event.error = "its page is not registered with the app that signed it"
        return
    try:
        event.meaning = meaning_of(event.arrival)
    except Unappliable as error:
        event.error = str(error)
        return
    if event.meaning.echo is not None and event.meaning.echo[0] is not None:
        event.ours = read_metadata(event.meaning.echo[0]) is not None


def _meet(
    session: Session,
    events: list[Event],
    found: dict[tuple[int, str], tuple[int, int, int]],
    keys: Sequence[Any],
    now: int,
    *,
    careful: bool,
) -> tuple[set[int], set[int], dict[int, Suppressed]]:
    """The contacts of all events, made where they were not ``found``: all of them, those made with their windows, and
    who came back after they were erased.
    """
    wanted: set[tuple[int, str]] = set()
    looked_up: set[tuple[int, str]] = set()
    for event in events:
        if event.page_id is not None and event.arrival.psid is not None:
            # Whom somebody else writes to for the page is somebody the page talks with.
            evidence = event.arrival.kind in _EVIDENCE and (event.arrival.kind != "echo" or event.ours or event.error)
            # Whose id no address can name is not met; who has been so before is held, for the event is not applied.
            evidence = evidence or not is_addressable(event.arrival.psid)
            (looked_up if evidence else wanted).add((event.page_id, event.arrival.psid))
    known = {person: found[person] for person in wanted | looked_up if person in found}
    # What is of before the contact was made may be of before an erasure: they wrote again since, and are another now.
    late = {
        person
        for event in events
        if (person := (event.page_id or 0, event.arrival.psid or "")) in known and event.at < known[person][2]
    }
    strangers = [person for person in wanted | looked_up if person not in known]
    gone = suppressed_people(session, [*late, *strangers], keys=keys)
    came: set[tuple[int, str]] = set()
    for event in events:
        person = (event.page_id or 0, event.arrival.psid or "")
        if person in gone:
            # What is of before the erasure, or is the page's doing, makes nobody known again.
            again = person in known
            event.of_erased = (event.arrival.kind in _EVIDENCE and not again) or event.at <= gone[person].erased_at
            if not event.of_erased and not again:
                came.add(person)
    missing = {each for each in wanted if each not in known and each not in gone} | came
    made: set[int] = set()
    if missing:
        # Whoever came back has something that stands against them, and is told of as everybody; and where an event may
        # prove not to be applicable, so is everybody.
        told = [] if careful else [each for each in events if (each.page_id or 0, each.arrival.psid or "") not in came]
        windows = opened(told, now)
        met, made = ensure_people(session, {person: windows.get(person, _SILENT) for person in missing}, now)
        known.update(met)
        made = set() if careful else made.difference(known[person][0] for person in came)
    for event in events:
        if event.page_id is not None and event.arrival.psid is not None and not event.of_erased:
            event.contact_id, event.person_id, _ = known.get((event.page_id, event.arrival.psid), (None, None, 0))
    everybody = {each for one in known.values() for each in one[:2]}
    return everybody, made, {known[each][0]: gone[each] for each in came}


def _lose(events: list[Event], erased: set[int]) -> None:
    """Events of people who were erased while we waited for their rows count as of before it."""
    for event in events if erased else ():
        if event.contact_id in erased or event.person_id in erased:
            event.contact_id = event.person_id = None
            event.of_erased = True


def _unsent(events: list[Event]) -> tuple[set[str], dict[str, list[str]]]:
    """Messages that their authors took back are kept without their words, whichever came first.

    The keys of those that these events take back; and the key of what would take back one of these events → its keys.
    It is looked for once their contacts are locked: of two requests, one with the message and one that takes it back,
    the later sees both.
    """
    gone: set[str] = set()
    perhaps: dict[str, list[str]] = {}
    for event in events:
        arrival, mid = event.arrival, message_id(event.arrival.said.get("mid"))
        if mid is None:
            continue
        app = event.key.partition("/")[0]
        if event.meaning is not None and event.meaning.unsent is not None:
            gone.update(f"{app}/{message_key(kind, arrival.page, mid)}" for kind in ("message", "echo"))
            gone.update(f"{app}/{key}" for key in edit_keys(arrival.page, mid))
        elif arrival.kind in ("message", "echo", "message_edit"):
            perhaps.setdefault(f"{app}/{message_key('deletion', arrival.page, mid)}", []).append(event.key)
    return gone, perhaps


def _try(session: Session, events: list[Event], now: int, apply: _Apply, *, careful: bool) -> None:
    """Apply these events together; where that fails, in halves: what cannot be applied takes no others with it."""
    if not events:
        return
    if not careful:
        apply(session, events, now)
        return
    try:
        with session.begin_nested():
            apply(session, events, now)
            return
    except (DataError, IntegrityError) as error:
        words = f"the database refused it ({type(error.orig).__name__})"
    except Exception as error:
        if isinstance(error, DBAPIError) or own_trouble(error):
            # Not the event's fault: nothing is answered, and the platform delivers again.
            raise
        words = str(error) if isinstance(error, DulyError) else f"unexpected {type(error).__name__}"
        if len(events) == 1 and not isinstance(error, DulyError):
            log.exception("event_crashed", event_id=events[0].id, kind=events[0].arrival.kind)
    if len(events) == 1:
        events[0].error = words
        return
    middle = len(events) // 2
    _try(session, events[:middle], now, apply, careful=True)
    _try(session, events[middle:], now, apply, careful=True)


def _told(deliveries: Sequence[Delivery], events: list[Event], new: list[Event]) -> list[Received]:
    told = [Received() for _ in deliveries]
    for event in events:
        told[event.body].known += 1
    for event in new:
        one = told[event.body]
        one.known -= 1
        one.new += 1
        one.failed += event.error is not None
        one.people = one.people or (event.contact_id is not None and event.arrival.kind not in _EVIDENCE)
        if event.error is not None or event.arrival.odd is not None:
            one.troubles.append((event.page_id or NO_PAGE, _reason(event)))
    for place, count in Counter(event.body for event in new if event.error is not None).items():
        kinds = sorted({event.arrival.kind for event in new if event.body == place and event.error is not None})
        request_id = deliveries[place].request_id
        more = {"request_id": request_id} if request_id is not None else {}
        log.warning("events_not_applied", count=count, kinds=kinds, **more)
    return told


def _reason(event: Event) -> str:
    """As what an event is counted from which nothing followed: see ``troubles``."""
    if event.arrival.odd is not None:
        return event.arrival.odd
    return "unknown_page" if event.page_id is None and event.arrival.problem is None else "not_applied"
