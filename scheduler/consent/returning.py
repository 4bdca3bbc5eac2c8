"""Who was erased and is a contact again: what stood against them holds anew, until they say that they want messages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlmodel import Session

from scheduler.consent.ledger import Entry, append
from scheduler.consent.projection import project
from scheduler.outbox.wake import wake_contacts

#: By whose word an opt-out stood: the source that says so in the ledger.
_SOURCE_OF = {"person": "message", "platform": "optin", "operator": "operator"}


def suppress_again(
    session: Session, bars: Mapping[int, Sequence[tuple[str, str | None, str | None, str, int]]], now: int
) -> None:
    """Put in force what stood against somebody before they were erased, now that they are a contact again.

    Contact id → (reason, topic, category, whose word, since). The caller holds the contacts' rows.
    """
    entries = [
        Entry(
            contact_id=contact_id, action="opt_out" if reason == "opted_out" else "block",
            kind=None if reason == "opted_out" else reason, source=_SOURCE_OF[said_by] if reason == "opted_out"
            else "operator", topic=topic, category=category, scope=_scope(topic, category) if reason == "opted_out"
            else None, evidence="kept when they were erased", occurred_at=since,
        )
        for contact_id, each in sorted(bars.items())
        for reason, topic, category, said_by, since in each
    ]  # fmt: skip
    if entries:
        append(session, entries, now)
        project(session, bars.keys(), now)


def unsuppress_erased(session: Session, contact_ids: Collection[int], now: int) -> None:
    """Lift the bar of an erasure from people who came back and said that they want messages. Nothing else lifts it.

    Their messages are decided anew. The caller holds their rows.
    """
    wanted = sorted(set(contact_ids))
    entries = [
        Entry(contact_id=each, action="unblock", kind="erased", source="message", occurred_at=now) for each in wanted
    ]
    append(session, entries, now)
    project(session, wanted, now)
    wake_contacts(session, wanted, now)


def _scope(topic: str | None, category: str | None) -> str:
    if topic is not None:
        return "topic"
    return "category" if category is not None else "everything"
