"""Two contacts of a page who are one person: one of them stands for the person from then on.

An address stays an address: the other contact keeps its psid, its window, its tokens and its history, and points to the
survivor; nothing is sent to it any more. What speaks of the person goes to the survivor, the stricter of the two where
they differ. What is decided about the survivor counts what was sent to both (``facts/decisions.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.campaigns.members import replace_member
from scheduler.consent.inheritance import inherit, look
from scheduler.contacts.evidence import place
from scheduler.contacts.holds import OPERATOR, hand_over, hold_contact
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.registry import get_contact
from scheduler.contacts.tables import Contact
from scheduler.errors import Conflict, Invalid
from scheduler.followups.interests import move_interests
from scheduler.outbox.merge import Waiting, look_at_waiting, merge_waiting
from scheduler.outbox.wake import wake_contacts

_POINT = text("UPDATE contact SET merged_into = :into WHERE id = :from OR merged_into = :from")
_PROFILE = text("""
    UPDATE contact SET name = coalesce(contact.name, o.name), first_name = coalesce(contact.first_name, o.first_name),
        attributes = o.attributes || contact.attributes
    FROM contact o WHERE contact.id = :into AND o.id = :from
""")
_EVIDENCE = text("""
    INSERT INTO place_evidence (contact_id, kind, source, value, confidence, observed_at, recorded_at)
    SELECT :into, kind, source, value, confidence, observed_at, recorded_at FROM place_evidence
    WHERE contact_id = :from
    ON CONFLICT (contact_id, kind, source) DO UPDATE SET value = excluded.value, confidence = excluded.confidence,
        observed_at = excluded.observed_at, recorded_at = excluded.recorded_at
    WHERE place_evidence.observed_at < excluded.observed_at
""")
_IDENTITIES = text("UPDATE contact_identity SET contact_id = :into WHERE contact_id = :from")
_ACTIVITY = text("""
    WITH gone AS (DELETE FROM contact_activity WHERE contact_id = :from RETURNING local, hour, weight)
    INSERT INTO contact_activity (contact_id, local, hour, weight) SELECT :into, local, hour, weight FROM gone
    ON CONFLICT (contact_id, local, hour) DO UPDATE SET weight = contact_activity.weight + excluded.weight
""")
_COUNTS = text("SELECT count(*) FROM contact_identity WHERE contact_id = :from")


@dataclass(slots=True, kw_only=True)
class Merge:
    """What a merge does, or would do."""

    from_psid: str
    into_psid: str
    #: False: it was so before, and nothing changes.
    changes: bool = True
    #: What comes to stand against the survivor: ``opted_out`` (of a topic or category, if narrowed), ``blocked``,
    #: ``erased``, ``consent_ended``, ``under_review``, ``held``, ``handover``.
    stricter: list[str] = field(default_factory=list)
    #: Messages that go on to the survivor, and those that are taken back, by id.
    moved: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    #: Names that the survivor goes by from now on.
    identities: int = 0


def preview_merge(session: Session, page_id: int, psid: str, into: str) -> Merge:
    """What ``merge_contacts`` would do now. Writes nothing. Raises what that raises."""
    gone, survivor = _pair(session, page_id, psid, into)
    if gone.merged_into is not None:
        return Merge(from_psid=psid, into_psid=into, changes=False)
    from_id, into_id = _id(gone), _id(survivor)
    inherited = look(session, from_id, into_id, wrote_at=survivor.last_inbound_at)
    return _told(
        gone, survivor, inherited.stricter, look_at_waiting(session, from_id, into_id),
        session.connection().execute(_COUNTS, {"from": from_id}).scalar_one(),
    )  # fmt: skip


def merge_contacts(session: Session, page_id: int, psid: str, into: str, *, actor: str, now: int) -> Merge:
    """Let the contact ``into`` stand for the person that the page also knows as ``psid``.

    Opt-outs, blocks (unless the survivor wrote since), ends of consents, unjudged words, holds and a person's hold on
    the conversation come to the survivor, each as of when it was said; consents and tokens do not. Waiting messages go
    on to the survivor, decided anew, or are taken back where they have, had or will have the same. Told twice, it is
    done once. Raises NotFound, Invalid for a contact with itself or a survivor who was merged, Conflict where the
    contact was merged into another.
    """
    gone, survivor = _pair(session, page_id, psid, into)
    lock_contacts(session, (_id(gone), _id(survivor)))
    # What a statement that waited has read may be of before.
    gone, survivor = _pair(session, page_id, psid, into)
    if gone.merged_into is not None:
        return Merge(from_psid=psid, into_psid=into, changes=False)
    from_id, into_id = _id(gone), _id(survivor)
    values = {"from": from_id, "into": into_id}
    connection = session.connection()
    connection.execute(_POINT, values)
    inherited = inherit(session, from_id, into_id, wrote_at=survivor.last_inbound_at, actor=actor, now=now)
    if gone.held_at is not None:
        hold_contact(session, into_id, now)
    if _in_hands(gone):
        hand_over(session, into_id, by=OPERATOR, at=gone.handover_at or now, now=now)
    connection.execute(_PROFILE, values)
    connection.execute(_EVIDENCE, values)
    place(session, [into_id], now)
    identities = connection.execute(_IDENTITIES, values).rowcount
    connection.execute(_ACTIVITY, values)
    move_interests(session, from_id, into_id)
    replace_member(session, from_id, into_id)
    waiting = merge_waiting(session, from_id, into_id, actor=actor, now=now)
    wake_contacts(session, [into_id], now)
    merge = _told(gone, survivor, inherited.stricter, waiting, identities)
    record(
        session,
        actor=actor,
        action="contact.merge",
        subject=f"contact:{from_id}",
        detail={
            "into": f"contact:{into_id}", "stricter": merge.stricter, "moved": merge.moved,
            "cancelled": merge.cancelled, "identities": identities,
        },
        now=now,
    )  # fmt: skip
    session.flush()
    session.expire_all()
    return merge


def psid_of(session: Session, contact_id: int) -> str:
    """The psid of a contact."""
    return session.get_one(Contact, contact_id).psid


def _pair(session: Session, page_id: int, psid: str, into: str) -> tuple[Contact, Contact]:
    if psid == into:
        raise Invalid("a contact is not merged with itself", field="into", way_out="name another contact of the page")
    gone, survivor = get_contact(session, page_id, psid), get_contact(session, page_id, into, field="into")
    if survivor.merged_into is not None:
        raise Invalid(
            f"`{into}` was merged into another contact itself",
            field="into",
            way_out="name the contact that stands for them: `duly contact show` says which",
        )
    if gone.merged_into is not None and gone.merged_into != survivor.id:
        raise Conflict(
            f"`{psid}` was merged into another contact before",
            field="psid",
            way_out="merge that one: `duly contact show` says which",
        )
    return gone, survivor


def _told(gone: Contact, survivor: Contact, inherited: list[str], waiting: Waiting, identities: int) -> Merge:
    stricter = list(inherited)
    if gone.held_at is not None and survivor.held_at is None:
        stricter.append("held")
    if _in_hands(gone) and survivor.handover_at is None:
        stricter.append("handover")
    return Merge(
        from_psid=gone.psid, into_psid=survivor.psid, stricter=stricter, moved=waiting.move,
        cancelled=waiting.cancel, identities=identities,
    )  # fmt: skip


def _in_hands(contact: Contact) -> bool:
    # Another app's hold on a thread is a hold on that address; a person talks to a person.
    return contact.handover_at is not None and contact.handover_by != "platform"


def _id(contact: Contact) -> int:
    assert contact.id is not None  # a stored contact has its id
    return contact.id
