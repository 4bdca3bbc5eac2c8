"""Erasing a person: what is known of them goes; that they are not to be messaged stays, as a keyed hash.

One transaction does it, so nobody is erased by half. What is on the wire settles all the same, and is told of for a day
and a half more by echoes and deliveries; after that ``finish_erasures`` takes what they left.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from scheduler.access.answers import forget_answers
from scheduler.audit.record import record
from scheduler.campaigns.members import forget_members
from scheduler.consent.blocks import suppress
from scheduler.consent.history import forget
from scheduler.contacts.forgetting import addresses_of, forget_contacts, names_of
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.registry import find_contacts
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.followups.forgetting import forget_follow_ups
from scheduler.imports.forgetting import forget_rows
from scheduler.inbox.forgetting import forget_events
from scheduler.outbox.forgetting import count_messages, forget_message_ids, forget_messages, in_flight
from scheduler.pages.changes import forget_allowed
from scheduler.privacy.subject import SECTIONS, values_of
from scheduler.privacy.suppressed import ERASED_PSID, erased_name, hashes_of, suppressed
from scheduler.store.outside import note, person_hash

#: Seconds after an erasure for which evidence of what was sent may still come.
AFTERMATH = 36 * 3600

#: Every table that speaks of a person: what an erasure makes of their rows.
ERASED: dict[str, str] = {
    "contact": "blanked: a number that stands for nobody, because messages were counted under it",
    "place_evidence": "deleted",
    "contact_identity": "deleted",
    "contact_activity": "deleted",
    "contact_thread": "deleted",
    "profile_read": "deleted",
    "interest": "deleted",
    "product_signal": "deleted",
    "business_event": "blanked: what happened and to whom; messages point to the row",
    "consent": "deleted",
    "consent_record": "deleted; one row says that they were erased",
    "consent_review": "deleted",
    "permission_token": "deleted",
    "suppression": "deleted, save the bar `erased`; what stood is kept as a keyed hash",
    "audience_member": "deleted",
    "message": "kept as a count: variables blanked, waiting ones cancelled, the platform's id blanked after 36 h",
    "attempt": "kept as a count: the words blanked, the platform's id blanked after 36 h",
    "message_log": "kept as a count: the facts of decisions blanked",
    "dead_letter_act": "kept; why, in somebody's words, blanked",
    "platform_event": "deleted; copies that come later are stripped",
    "contact_import_person": "deleted",
    "contact_import_row": "deleted",
    "page_allowed": "deleted",
    "suppression_key": "made: all that is kept of them",
    "erasure": "made: under the contact's number",
    "audit_entry": "kept: it names people by number alone, and the number stands for nobody any more",
}

_LONGEST = 500
_STANDING = text("""
    SELECT DISTINCT reason, topic, category, said_by, max(since) AS since FROM suppression
    WHERE contact_id = ANY(:ids) AND lifted_at IS NULL AND reason <> 'erased' GROUP BY 1, 2, 3, 4
""")
_KEEP = text("""
    INSERT INTO suppression_key (page_id, key_hash, reason, topic, category, said_by, since)
    SELECT :page_id, key_hash, :reason, :topic, :category, :said_by, :since
    FROM unnest(CAST(:hashes AS bytea[])) AS given (key_hash)
    ON CONFLICT (page_id, key_hash, reason, coalesce(topic, ''), coalesce(category, ''), said_by)
    DO UPDATE SET since = greatest(suppression_key.since, excluded.since)
""")
_NOTE = text("""
    INSERT INTO erasure (contact_id, page_id, actor, reason, erased_at, counts)
    SELECT id, :page_id, :actor, :reason, :now, CAST(:counts AS jsonb)
    FROM unnest(CAST(:ids AS bigint[])) AS given (id)
    ON CONFLICT (contact_id) DO NOTHING
""")
_OPEN = text("""
    SELECT contact_id FROM erasure WHERE finished_at IS NULL AND erased_at <= :before ORDER BY contact_id LIMIT :limit
""")
_FINISH = text("UPDATE erasure SET finished_at = :now WHERE contact_id = ANY(:ids) AND finished_at IS NULL")


@dataclass(slots=True, kw_only=True)
class Erased:
    """What an erasure did, or would do."""

    #: False: they were erased before, and nothing changes.
    changes: bool = True
    #: When, epoch seconds.
    erased_at: int | None = None
    #: Addresses of the person on the page: more than one where some were merged.
    addresses: int = 0
    #: Rows that go, or are blanked, by what they are.
    rows: dict[str, int] = field(default_factory=dict)
    #: Messages that are taken back, and whether something is on the wire and settles first.
    cancelled: int = 0
    in_flight: bool = False


def preview_erasure(session: Session, page_id: int, psid: str) -> Erased:
    """What ``erase`` would do now, by rows of everything that is known. Writes nothing that counts. Raises NotFound."""
    contact_id = find_contacts(session, page_id, [psid]).get(psid)
    if contact_id is None or psid.startswith(ERASED_PSID):
        return _before(session, page_id, psid)
    addresses = addresses_of(session, contact_id)
    values = values_of(session, page_id, addresses)
    rows: dict[str, int] = {}
    for section, (_, query) in SECTIONS.items():
        count = session.connection().execute(text(f"SELECT count(*) FROM ({query}) AS rows"), values).scalar_one()  # noqa: S608 - our own queries
        if count and section not in ("audit", "kept_suppressions"):
            rows[section] = int(count)
    return Erased(
        addresses=len(addresses), rows=rows, cancelled=count_messages(session, list(addresses))["waiting"],
        in_flight=bool(in_flight(session, list(addresses))),
    )  # fmt: skip


def erase(session: Session, page_id: int, psid: str, *, actor: str, reason: str, now: int) -> Erased:
    """Erase a person, all their addresses on the page included. A second time changes nothing. Audited.

    ``reason`` is kept: it must not name anybody. Raises NotFound for somebody whom the page never knew, Invalid for an
    empty reason.
    """
    words = reason.strip()
    if not words or len(words) > _LONGEST or "\x00" in words:
        raise Invalid("why are they erased?", field="reason", way_out=f"give 1 to {_LONGEST} characters, no name in it")
    session.flush()
    contact_id = find_contacts(session, page_id, [psid]).get(psid)
    if contact_id is None or psid.startswith(ERASED_PSID):
        return _before(session, page_id, psid)
    addresses = _lock(session, contact_id)
    if addresses.get(contact_id) != psid:
        # Somebody was faster.
        return _before(session, page_id, psid)
    ids, psids = list(addresses), list(addresses.values())
    flying = bool(in_flight(session, ids))
    # A database that goes back in time must not bring them back.
    hashes = [person_hash(page_id, each).hex() for each in psids]
    note(session, "chosen", lambda _: [[page_id, each, "erased", "operator", None, None, now] for each in hashes])
    _keep_suppressions(session, page_id, ids, psids, now)
    counts = forget_messages(session, ids, actor=actor, now=now)
    # The ledger goes, the bar is written anew on nothing but this.
    forget(session, ids)
    counts |= forget_follow_ups(session, ids, now)
    counts["audiences"] = forget_members(session, ids)
    counts["import_rows"] = forget_rows(session, page_id, psids)
    counts["platform_events"] = forget_events(session, page_id, psids)
    counts["answers"] = forget_answers(
        session, [*psids, *(key for kind, key in names_of(session, ids) if kind == "crm_id")]
    )
    counts["allow_list"] = forget_allowed(session, page_id, psids)
    counts |= forget_contacts(session, ids, prefix=ERASED_PSID, now=now)
    for each in ids:
        suppress(session, each, "erased", source="operator", actor=actor, now=now)
    counts = {name: count for name, count in counts.items() if count}
    session.connection().execute(
        _NOTE,
        {"ids": ids, "page_id": page_id, "actor": actor, "reason": words, "now": now, "counts": json.dumps(counts)},
    )
    for each in ids:
        record(
            session, actor=actor, action="contact.erase", subject=f"contact:{each}",
            detail={"reason": words, "rows": counts}, now=now,
        )  # fmt: skip
    session.flush()
    session.expire_all()
    return Erased(
        erased_at=now, addresses=len(ids), rows=counts, cancelled=counts.get("cancelled", 0), in_flight=flying
    )


def finish_erasures(session: Session, now: int, limit: int = 200) -> int:
    """End erasures whose aftermath is over: what was sent is told of no more, so its ids at the platform go too.

    Returns how many. Those with something still on the wire wait. The caller's transaction; call it again while it
    returns ``limit``.
    """
    ids = list(session.connection().execute(_OPEN, {"before": now - AFTERMATH, "limit": limit}).scalars())
    if not ids:
        return 0
    lock_contacts(session, ids)
    over = sorted(set(ids) - in_flight(session, ids))
    if over:
        # Whoever found them before they were erased, and wrote after it, left something behind, perhaps.
        forget_contacts(session, over, prefix=ERASED_PSID, now=now)
        forget_follow_ups(session, over, now)
        forget_members(session, over)
        forget_messages(session, over, actor="privacy", now=now)
        forget_message_ids(session, over)
        session.connection().execute(_FINISH, {"ids": over, "now": now})
    return len(over)


def _lock(session: Session, contact_id: int) -> dict[int, str]:
    """The person's addresses, locked: looked up again until no merge came in between."""
    held: set[int] = set()
    for _ in range(5):
        addresses = addresses_of(session, contact_id)
        if set(addresses) <= held:
            return addresses
        held |= set(addresses)
        lock_contacts(session, held)
    raise Conflict("they are being merged", field="psid", way_out="try again")


def _before(session: Session, page_id: int, psid: str) -> Erased:
    found = suppressed(session, page_id, [psid]).get(psid)
    if found is None or psid.startswith(ERASED_PSID):
        raise NotFound("the page knows no such contact", field="psid", way_out="check the psid and the page")
    return Erased(changes=False, erased_at=found.erased_at)


def _keep_suppressions(session: Session, page_id: int, ids: Collection[int], psids: list[str], now: int) -> None:
    hashes = hashes_of(session, page_id, psids)
    connection = session.connection()
    bars = [
        {"reason": row.reason, "topic": row.topic, "category": row.category, "said_by": row.said_by, "since": row.since}
        for row in connection.execute(_STANDING, {"ids": list(ids)})
    ]
    erased = {"reason": "erased", "topic": None, "category": None, "said_by": "platform", "since": now}
    kept = [bar | {"page_id": page_id, "hashes": hashes} for bar in [*bars, erased]]
    # The shop goes on calling them what it called them.
    if names := [erased_name(*name) for name in names_of(session, list(ids))]:
        kept.append(erased | {"page_id": page_id, "hashes": hashes_of(session, page_id, names)})
    connection.execute(_KEEP, kept)
