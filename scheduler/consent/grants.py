"""What people agreed to, and took back. Never without its source, the wording they read and the time.

A grant lifts no opt-out: who asked for no more messages gets none until they say so themselves (``choices.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlmodel import Session

from scheduler.consent.ledger import Entry, append
from scheduler.consent.projection import project, project_grants
from scheduler.consent.wordings import keep_wordings
from scheduler.contacts.persons import lock_persons
from scheduler.errors import Invalid
from scheduler.outbox.wake import wake_contacts

Kind = Literal["express", "implied", "night"]
#: ``night``: South Korea's separate consent to the night.
KINDS: tuple[Kind, ...] = ("express", "implied", "night")


@dataclass(slots=True, kw_only=True)
class Grant:
    """Something a person agreed to. Instants are epoch seconds UTC."""

    contact_id: int
    #: None: any topic.
    topic: str | None = None
    kind: Kind
    #: ``message`` | ``postback`` | ``optin`` | ``import`` | ``api`` | ``operator``.
    source: str
    #: The text that they read, or ``sha256:<version>`` of one that is kept.
    wording: str
    #: What proves it: a free reference (a form's id, a file's line), …
    evidence: str | None = None
    #: … or the raw platform event.
    event_id: int | None = None
    actor: str | None = None
    granted_at: int
    #: None: as long as the jurisdiction lets it last.
    expires_at: int | None = None
    #: As of an entry of the ledger.
    by_arrival: bool | None = None


def record_grants(session: Session, grants: Sequence[Grant], now: int) -> list[int]:
    """Keep what people agreed to; their waiting messages are decided anew. Returns the ledger's ids, in this order.

    Raises Invalid for one without its wording, with a kind or source that is none, or that ends before it begins.
    """
    if not grants:
        return []
    for grant in grants:
        _check(grant)
    session.flush()
    # What a person agrees to is theirs, whatever address of theirs it came from, as their choices are.
    if survivors := lock_persons(session, {grant.contact_id for grant in grants}):
        grants = [replace(grant, contact_id=survivors.get(grant.contact_id, grant.contact_id)) for grant in grants]
    contacts = sorted({grant.contact_id for grant in grants})
    wordings = keep_wordings(session, {grant.wording for grant in grants}, now)
    ids = append(
        session,
        [
            Entry(
                contact_id=grant.contact_id, action="granted", source=grant.source, occurred_at=grant.granted_at,
                topic=grant.topic, kind=grant.kind, wording_id=wordings[grant.wording], event_id=grant.event_id,
                evidence=grant.evidence, actor=grant.actor, expires_at=grant.expires_at, by_arrival=grant.by_arrival,
            )
            for grant in grants
        ],
        now,
    )  # fmt: skip
    project_grants(session, contacts)
    wake_contacts(session, contacts, now)
    return ids


def withdraw(
    session: Session,
    contact_id: int,
    *,
    topic: str | None = None,
    kind: Kind | None = None,
    source: str,
    event_id: int | None = None,
    evidence: str | None = None,
    actor: str | None = None,
    at: int,
    now: int,
) -> int:
    """Keep that a person took back what they agreed to before ``at``; returns the ledger's id.

    ``topic`` None takes back all; with one, grants for any topic end too, for they would go on covering it. ``kind``
    None: of every kind. In force for every send begun after this transaction.
    """
    if kind is not None and kind not in KINDS:
        raise _no_kind(kind)
    contact_id = lock_persons(session, (contact_id,)).get(contact_id, contact_id)
    entry = Entry(
        contact_id=contact_id, action="withdrawn", source=source, occurred_at=at, topic=topic, kind=kind,
        event_id=event_id, evidence=evidence, actor=actor,
    )  # fmt: skip
    (record_id,) = append(session, [entry], now)
    project(session, (contact_id,), now)
    return record_id


def _check(grant: Grant) -> None:
    if grant.kind not in KINDS:
        raise _no_kind(grant.kind)
    if grant.source == "send_error":
        raise Invalid("nobody agrees by refusing a message", field="source", way_out="say how they agreed")
    if grant.expires_at is not None and grant.expires_at <= grant.granted_at:
        raise Invalid(
            "ends before it begins", field="expires_at", way_out="give an instant after granted_at, or leave it out"
        )


def _no_kind(kind: str) -> Invalid:
    return Invalid(f"`{kind[:32]}` is not a kind of consent", field="kind", way_out=f"use one of {', '.join(KINDS)}")
