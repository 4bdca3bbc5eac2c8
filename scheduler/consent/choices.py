"""What people chose: opt-outs and opt-ins. The ledger keeps every word, the suppression is what decisions read.

Events arrive late and out of order, so choices go by when the person spoke: an older opt-in never undoes a newer
opt-out, and an older opt-out is not put in force against a newer opt-in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import text
from sqlmodel import Session

from policies.facts import CATEGORIES
from scheduler.consent.confirmations import call_off, confirm
from scheduler.consent.ledger import Entry, append_ask, appended
from scheduler.consent.projection import project_asks, projected
from scheduler.consent.reach import reach_ask, widen
from scheduler.consent.wordings import keep_wordings
from scheduler.contacts.persons import lock_persons
from scheduler.errors import Invalid
from scheduler.outbox.wake import wake_contacts, wake_parked_of
from scheduler.store.direct import Ask, together

Action = Literal["opt_out", "opt_in"]

_IN_FORCE = text("""
    SELECT contact_id, topic, category, said_by, since FROM suppression
    WHERE contact_id = ANY(:ids) AND reason = 'opted_out' AND lifted_at IS NULL
""")


@dataclass(slots=True, kw_only=True)
class Choice:
    """What somebody said about being messaged."""

    contact_id: int
    action: Action
    #: None with no category: they spoke of everything.
    topic: str | None = None
    category: str | None = None
    #: How we know: ``message`` | ``postback`` | ``optin`` | ``import`` | ``api`` | ``operator``.
    source: str
    #: The raw platform event that proves it, or a free reference.
    event_id: int | None = None
    evidence: str | None = None
    #: What they had read.
    wording: str | None = None
    actor: str | None = None
    #: When they said it, epoch seconds.
    at: int
    #: Nobody who can be trusted said when: its order is that of its arrival. None: the ledger finds out.
    by_arrival: bool | None = None


def record_choices(session: Session, choices: Sequence[Choice], now: int) -> list[bool]:
    """Keep what people chose, in any order, and put it in force. Set-based, whatever their number.

    In force for every send begun after this transaction. Of each: whether an opt-out is in force, or an opt-in lifted
    one. A law of the person's may widen what an opt-out covers, nothing widens an opt-in. Where one lifted something,
    what waits is decided anew. Raises Invalid for a source or category that is none.
    """
    if not choices:
        return []
    for choice in choices:
        _check(choice)
    session.flush()
    # A choice is a person's, whatever address of theirs it came from.
    if survivors := lock_persons(session, {choice.contact_id for choice in choices}):
        choices = [
            replace(choice, contact_id=survivors.get(choice.contact_id, choice.contact_id)) for choice in choices
        ]
    contacts = sorted({choice.contact_id for choice in choices})
    wordings = keep_wordings(session, {choice.wording for choice in choices if choice.wording is not None}, now)
    entries = [
        Entry(
            contact_id=choice.contact_id, action=choice.action, source=choice.source, occurred_at=min(choice.at, now),
            topic=choice.topic, category=choice.category, scope=_spoken(choice),
            wording_id=wordings[choice.wording] if choice.wording is not None else None, event_id=choice.event_id,
            evidence=choice.evidence, actor=choice.actor, by_arrival=True if choice.at > now else choice.by_arrival,
        )
        for choice in choices
    ]  # fmt: skip
    places, before = together(session, reach_ask(contacts), _in_force_ask(contacts))
    widen([entry for entry in entries if entry.action == "opt_out"], places)
    appending, in_force_now = append_ask(session, entries, now), _in_force_ask(contacts)
    ids, _, freeing, after = together(session, appending, *project_asks(contacts, now), in_force_now)
    freed, stands = projected(freeing), _in_force(after)
    done = [_stands(entry, stands) if entry.action == "opt_out" else entry.contact_id in freed for entry in entries]
    covered = _in_force(before)
    if freed:
        back = next((choice.actor for choice in choices if choice.action == "opt_in"), None)
        call_off(session, freed, now, actor=back)
        wake_contacts(session, sorted(freed), now)
    gone = {
        entry.contact_id for entry, stands in zip(entries, done, strict=True) if entry.action == "opt_out" and stands
    }
    wake_parked_of(session, sorted(gone - set(freed)), now)
    new = {
        id_: entry
        for id_, entry, in_force in zip(appended(ids), entries, done, strict=True)
        # Who was opted out of all of it before was told then.
        if entry.action == "opt_out" and in_force and not _covered(entry, covered)
    }
    confirm(session, new, now)
    return done


def record_opt_out(
    session: Session,
    contact_id: int,
    *,
    topic: str | None = None,
    category: str | None = None,
    source: str,
    event_id: int | None = None,
    evidence: str | None = None,
    wording: str | None = None,
    actor: str | None = None,
    at: int,
    now: int,
) -> bool:
    """Keep that a person does not want messages (of ``topic``, of ``category``, or any). True when it is in force.

    ``at`` is when they said it, ``source`` how (``message``, ``postback``, ``optin``, ``import``, ``api``,
    ``operator``), ``event_id`` the raw platform event that proves it, or ``evidence`` a free reference.
    """
    choice = Choice(
        contact_id=contact_id, action="opt_out", topic=topic, category=category, source=source, event_id=event_id,
        evidence=evidence, wording=wording, actor=actor, at=at,
    )  # fmt: skip
    return record_choices(session, [choice], now)[0]


def record_opt_in(
    session: Session,
    contact_id: int,
    *,
    topic: str | None = None,
    category: str | None = None,
    source: str,
    event_id: int | None = None,
    evidence: str | None = None,
    wording: str | None = None,
    actor: str | None = None,
    at: int,
    now: int,
) -> bool:
    """Keep that a person wants messages (of ``topic``, of ``category``, or any). True when it lifted an opt-out.

    What it may lift is in ``docs/consent.md``. Arguments as in ``record_opt_out``.
    """
    choice = Choice(
        contact_id=contact_id, action="opt_in", topic=topic, category=category, source=source, event_id=event_id,
        evidence=evidence, wording=wording, actor=actor, at=at,
    )  # fmt: skip
    return record_choices(session, [choice], now)[0]


def _check(choice: Choice) -> None:
    if choice.action not in ("opt_out", "opt_in"):
        raise Invalid(f"`{choice.action[:32]}` is not a choice", field="action", way_out="use opt_out or opt_in")
    if choice.category is not None and choice.category not in CATEGORIES:
        raise Invalid(
            f"`{choice.category[:32]}` is not a category",
            field="category",
            way_out=f"use one of {', '.join(CATEGORIES)}",
        )
    if choice.topic is not None and choice.category is not None:
        raise Invalid("is given beside a topic", field="category", way_out="name a topic or a category, not both")


def _spoken(choice: Choice) -> str:
    if choice.topic is not None:
        return "topic"
    return "category" if choice.category is not None else "everything"


#: (contact, topic, category) → whose word → since.
_Force = dict[tuple[int, str | None, str | None], dict[str, int]]


def _in_force_ask(contacts: Sequence[int]) -> Ask:
    return _IN_FORCE, {"ids": list(contacts)}


def _in_force(rows: Iterable[Any]) -> _Force:
    found: _Force = {}
    for row in rows:
        found.setdefault((row.contact_id, row.topic, row.category), {})[row.said_by] = row.since
    return found


def _reach(entry: Entry) -> tuple[int, str | None, str | None]:
    topic = entry.topic if entry.scope == "topic" else None
    return entry.contact_id, topic, entry.category if entry.scope == "category" else None


def _stands(entry: Entry, after: _Force) -> bool:
    # Of its own reach some word stands that is no older; whose it is, makes no difference to who is not messaged.
    return any(since >= entry.occurred_at for since in after.get(_reach(entry), {}).values())


def _covered(entry: Entry, before: _Force) -> bool:
    return (entry.contact_id, None, None) in before or _reach(entry) in before
