"""What follows from events, for all of them together: one statement each for windows, choices, zones, …

The order of events within a call does not matter to what they leave: each verb goes by their own instants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlmodel import Session

from scheduler.consent.choices import Choice, record_choices
from scheduler.consent.grants import Grant, record_grants
from scheduler.consent.review import Suggestion, suggest
from scheduler.consent.tokens import GRANTED, RESUMED, STOPPED, TokenWord, record_token_words
from scheduler.contacts.activity import count_activity
from scheduler.contacts.evidence import Evidence, record_evidence
from scheduler.contacts.holds import ThreadNews, newest_ms, record_threads
from scheduler.contacts.inbound import record_ad_inbounds, record_inbounds
from scheduler.content.approvals import TemplateWord, record_template_words
from scheduler.followups.interests import Ask, record_asks
from scheduler.inbox.event import Event
from scheduler.inbox.meaning import Meaning
from scheduler.logs import get_logger
from scheduler.outbox.told import Told, record_echoes, record_told
from scheduler.outbox.wake import wake_contacts
from scheduler.pages.registry import apps_of_pages
from scheduler.pages.stops import enforce
from scheduler.privacy.suppressed import bring_back

_log = get_logger(__name__)

#: How we know of a choice, by the kind of event that brought it.
_SOURCES = {"message": "message", "postback": "postback", "optin": "optin"}

_TOKEN_ACTIONS = {"grant": GRANTED, "stop": STOPPED, "resume": RESUMED}

#: What a phrase may suggest and a person should judge; asking for help is everyday talk.
_WORTH_A_LOOK = ("opt_out", "opt_in")


def on_pages(session: Session, events: Sequence[Event], now: int) -> None:
    """Apply what speaks of pages: enforcement, statuses of templates. Locks the pages' rows."""
    words = []
    for event in sorted(events, key=lambda each: (each.page_id or 0, each.at_ms, each.key)):
        page_id, meaning = _page(event), _meaning(event)
        if meaning.enforcement is not None:
            enforce(session, page_id, meaning.enforcement, now, at_ms=event.at_ms)
        if meaning.template is not None:
            name, language, status, reason = meaning.template
            words.append(
                TemplateWord(
                    page_id=page_id, name=name, language=language, status=status, reason=reason, at_ms=event.at_ms
                )
            )
        if meaning.integrity:
            # Its shape is not documented: a person reads it.
            _log.error("page_integrity_changed", page=event.arrival.page, event_id=event.id)
    record_template_words(session, words, now)


def opened(events: Sequence[Event], now: int) -> dict[tuple[int, str], tuple[int, int | None]]:
    """(page, psid) → the newest instant that opens the window, epoch seconds, and that they spoke to us, milliseconds.

    Of people who are not known yet: what ``on_people`` does about those who are.
    """
    found: dict[tuple[int, str], tuple[int, int | None]] = {}
    latest = newest_ms(now)
    for event in events:
        if event.error is None and event.meaning is not None and event.meaning.opens_window and not event.of_erased:
            person = (_page(event), event.arrival.psid or "")
            at, heard = found.get(person, (0, None))
            found[person] = (
                max(at, event.at),
                heard if event.arrival.standby else max(heard or 0, min(event.at_ms, latest)),
            )
    return found


def on_people(session: Session, events: Sequence[Event], now: int, made: Collection[int] = ()) -> None:
    """Apply what people did and what became of our messages. ``events`` are in the order they happened.

    The caller holds the rows of their contacts; messages are locked last. Who was ``made`` in this transaction has what
    ``opened`` says already.
    """
    known = [event for event in events if event.contact_id is not None]
    _places(session, known, now)
    _windows(session, known, now, made)
    _threads(session, known, now)
    _consents(session, known, now)
    _asks(session, known, now)
    _messages(session, events, now)


def _places(session: Session, events: Sequence[Event], now: int) -> None:
    said = [
        Evidence(contact_id=_contact(event), kind="zone", value=zone, source="optin", observed_at=event.at)
        for event in events
        if (zone := _meaning(event).zone) is not None
    ]
    if said:
        record_evidence(session, said, now)


def _windows(session: Session, events: Sequence[Event], now: int, made: Collection[int]) -> None:
    newest: dict[int, int] = {}
    heard: dict[int, int] = {}
    advertised: dict[int, int] = {}
    for event in events:
        meaning, contact_id = _meaning(event), _contact(event)
        if meaning.opens_window:
            # In order: the last one is the newest.
            newest[contact_id] = event.at
            if not event.arrival.standby:
                heard[contact_id] = event.at_ms
        if meaning.from_ad:
            advertised[contact_id] = event.at
    record_ad_inbounds(session, advertised, now)
    seen = _seen(events, now)
    if newest:
        record_inbounds(session, newest, now, heard_ms=heard, seen=seen, made=made)
    else:
        count_activity(session, seen, now)


def _threads(session: Session, events: Sequence[Event], now: int) -> None:
    telling = [event for event in events if _meaning(event).thread_owner is not None]
    apps = apps_of_pages(session, {_page(event) for event in telling})
    news: dict[int, ThreadNews] = defaultdict(ThreadNews)
    for event in events:
        meaning, contact_id = _meaning(event), _contact(event)
        if meaning.echo is not None and not event.ours and not meaning.automatic:
            news[contact_id].spoke_ms = event.at_ms
            if meaning.by_person:
                news[contact_id].person_ms = event.at_ms
        if meaning.thread_owner is not None:
            if meaning.thread_owner == apps[_page(event)]:
                news[contact_id].returned_ms = event.at_ms
            else:
                news[contact_id].away_ms = event.at_ms
    record_threads(session, news, now)


def _consents(session: Session, events: Sequence[Event], now: int) -> None:
    choices, grants, suggestions = [], [], []
    for event in events:
        meaning, contact_id = _meaning(event), event.person_id or _contact(event)
        source = _SOURCES.get(event.arrival.kind, "message")
        if meaning.choice is not None:
            choices.append(
                Choice(
                    contact_id=contact_id, action=meaning.choice, topic=meaning.topic, source=source,
                    event_id=event.id, wording=meaning.wording, at=event.at, by_arrival=event.by_arrival,
                )
            )  # fmt: skip
        word = meaning.token
        if word is not None and word.action == "grant" and meaning.wording is not None:
            grants.append(
                Grant(
                    contact_id=contact_id, topic=word.topic, kind="express", source=source, wording=meaning.wording,
                    event_id=event.id, granted_at=min(event.at, now),
                    by_arrival=True if event.at > now else event.by_arrival,
                )
            )  # fmt: skip
        if meaning.suggestion is not None and meaning.suggestion.meaning in _WORTH_A_LOOK:
            found = meaning.suggestion
            suggestions.append(
                Suggestion(
                    contact_id=contact_id, event_id=event.id, meaning=found.meaning, phrase=found.word, at=event.at
                )
            )
    record_choices(session, choices, now)
    # Who was erased and wrote again is answered by people alone, until they say that they want messages.
    wanting = {one.contact_id: one.at for one in choices if one.action == "opt_in"}
    for event in events:
        word = _meaning(event).token
        if word is not None and word.action == "grant":
            wanting[event.person_id or _contact(event)] = event.at
    bring_back(session, wanting, now)
    record_grants(session, grants, now)
    record_token_words(session, _token_words(events), now)
    suggest(session, suggestions, now)
    # Whoever says that they want messages is decided anew, also where a later word that came first said so already.
    wake_contacts(session, sorted({one.contact_id for one in choices if one.action == "opt_in"}), now)


def _token_words(events: Sequence[Event]) -> list[TokenWord]:
    said = []
    for event in events:
        word = _meaning(event).token
        if word is None:
            continue
        one = TokenWord(
            contact_id=_contact(event), action=_TOKEN_ACTIONS[word.action], topic=word.topic, event_id=event.id,
            at=event.at, by_arrival=event.by_arrival,
        )  # fmt: skip
        if word.action == "grant":
            one.kind, one.token = word.kind, word.token
            one.expires_at = word.expires_at if word.lasts is None else event.at + word.lasts
        said.append(one)
    return said


def _asks(session: Session, events: Sequence[Event], now: int) -> None:
    asks = [
        Ask(contact_id=_contact(event), page_id=_page(event), sku=sku, at=event.at)
        for event in events
        if (sku := _meaning(event).sku) is not None
    ]
    record_asks(session, asks, now)


def _seen(events: Sequence[Event], now: int) -> dict[int, list[int]]:
    """When people were there: what they did, and what they read."""
    seen: dict[int, list[int]] = defaultdict(list)
    for event in events:
        meaning = _meaning(event)
        if meaning.opens_window:
            seen[_contact(event)].append(event.at)
        elif meaning.read_ms is not None:
            seen[_contact(event)].append(min(meaning.read_ms // 1000, now))
    return seen


def _messages(session: Session, events: Sequence[Event], now: int) -> None:
    echoes = [
        (_page(event), echo[0] or "", echo[1])
        for event in events
        if event.ours and (echo := _meaning(event).echo) is not None
    ]
    record_echoes(session, echoes, now)
    told: dict[int, Told] = {}
    for event in events:
        meaning = _meaning(event)
        if meaning.delivery is None and meaning.read_ms is None:
            continue
        # Whoever was erased is not a contact any more; what a delivery names by its id settles all the same.
        whose = -event.id if event.of_erased else event.contact_id
        if whose is None:
            continue
        one = told.setdefault(whose, Told(page_id=_page(event)))
        if meaning.read_ms is not None:
            one.read_ms = max(one.read_ms or 0, meaning.read_ms)
        if meaning.delivery is not None:
            mids, watermark = meaning.delivery
            one.mids.update(mids)
            if not mids and watermark is not None:
                one.delivered_ms = max(one.delivered_ms or 0, watermark)
    record_told(session, told, now)


def _meaning(event: Event) -> Meaning:
    assert event.meaning is not None  # who could not be understood does not get here
    return event.meaning


def _page(event: Event) -> int:
    assert event.page_id is not None  # what is of no page of ours does nothing
    return event.page_id


def _contact(event: Event) -> int:
    assert event.contact_id is not None  # the caller has left the others out
    return event.contact_id
