"""Everything that is known of one person, for whoever asks: one JSON, from every table that speaks of them.

Instants are ISO 8601 in UTC. Credentials (tokens) and hashes are left out: they tell the person nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.forgetting import addresses_of
from scheduler.errors import NotFound
from scheduler.outbox.content_record import ContentSeal
from scheduler.outbox.forgetting import MESSAGES_OF
from scheduler.privacy.suppressed import PURPOSE, key_hash
from scheduler.store.stable_keys import stable_key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANTS = frozenset({"at", "since", "until", "deadline", "not_before"})

_OF_CONTACT = "SELECT * FROM {table} WHERE contact_id = ANY(:ids) ORDER BY {order}"
_OF_MESSAGE = f"SELECT * FROM {{table}} WHERE message_id IN ({MESSAGES_OF}) ORDER BY id"  # noqa: S608 - our own words


def _of_contact(table: str, order: str = "id") -> tuple[str, str]:
    return table, _OF_CONTACT.format(table=table, order=order)


#: section → (table, what reads the person's rows of it).
SECTIONS: dict[str, tuple[str, str]] = {
    "contacts": ("contact", "SELECT * FROM contact WHERE id = ANY(:ids) ORDER BY id"),
    "evidence": _of_contact("place_evidence", "contact_id, kind, source"),
    "identities": (
        "contact_identity",
        "SELECT contact_id, kind, CASE WHEN kind = 'crm_id' THEN key END AS value, source, linked_at "
        "FROM contact_identity WHERE contact_id = ANY(:ids) ORDER BY kind, linked_at",
    ),
    "activity": _of_contact("contact_activity", "contact_id, local, hour"),
    "threads": _of_contact("contact_thread", "contact_id"),
    "profile_reads": _of_contact("profile_read", "contact_id"),
    "interests": _of_contact("interest"),
    "product_signals": _of_contact("product_signal"),
    "business_events": (
        "business_event",
        "SELECT id, kind, key, body, occurred_at, received_at, planned_at FROM business_event "
        "WHERE contact_id = ANY(:ids) ORDER BY id",
    ),
    "consents": _of_contact("consent"),
    "consent_ledger": (
        "consent_record",
        "SELECT r.*, w.version AS wording_version, w.text AS wording FROM consent_record r "
        "LEFT JOIN consent_wording w ON w.id = r.wording_id WHERE r.contact_id = ANY(:ids) ORDER BY r.id",
    ),
    "suppressions": _of_contact("suppression"),
    "reviews": _of_contact("consent_review"),
    "tokens": (
        "permission_token",
        "SELECT id, contact_id, kind, topic, granted_at, expires_at, last_used_at, stopped_at, event_id "
        "FROM permission_token WHERE contact_id = ANY(:ids) ORDER BY id",
    ),
    "audiences": (
        "audience_member",
        "SELECT a.campaign_id, c.name AS campaign, a.contact_id FROM audience_member a "
        "JOIN campaign c ON c.id = a.campaign_id WHERE a.contact_id = ANY(:ids) ORDER BY 1",
    ),
    "messages": ("message", f"SELECT * FROM message WHERE id IN ({MESSAGES_OF}) ORDER BY id"),  # noqa: S608
    "attempts": _of_contact("attempt"),
    "message_log": ("message_log", _OF_MESSAGE.format(table="message_log")),
    "dead_letter_acts": ("dead_letter_act", _OF_MESSAGE.format(table="dead_letter_act")),
    "platform_events": (
        "platform_event",
        "SELECT id, kind, psid, occurred_ms, received_at, body, applied_at, error FROM platform_event "
        "WHERE page_id = :page_id AND psid = ANY(CAST(:psids AS text[])) ORDER BY id",
    ),
    "import_people": (
        "contact_import_person",
        "SELECT p.import_id, p.line, p.psid, p.known FROM contact_import_person p "
        "JOIN contact_import i ON i.id = p.import_id "
        "WHERE i.page_id = :page_id AND p.psid = ANY(CAST(:psids AS text[])) ORDER BY 1, 2",
    ),
    "import_rows": (
        "contact_import_row",
        "SELECT r.import_id, r.line, r.cells FROM contact_import_row r JOIN contact_import i ON i.id = r.import_id "
        "WHERE i.page_id = :page_id AND EXISTS (SELECT 1 FROM json_array_elements_text(r.cells) AS cell "
        "WHERE btrim(cell) = ANY(CAST(:psids AS text[]))) ORDER BY 1, 2",
    ),
    "allow_list": (
        "page_allowed",
        "SELECT psid FROM page_allowed WHERE page_id = :page_id AND psid = ANY(CAST(:psids AS text[])) ORDER BY 1",
    ),
    "kept_suppressions": (
        "suppression_key",
        "SELECT reason, topic, category, said_by, since FROM suppression_key "
        "WHERE page_id = :page_id AND key_hash = ANY(CAST(:hashes AS bytea[])) ORDER BY id",
    ),
    "erasures": _of_contact("erasure", "contact_id"),
    "audit": (
        "audit_entry",
        f"""SELECT id, at, actor, action, subject, detail FROM audit_entry WHERE subject IN (
            SELECT 'contact:' || id FROM unnest(CAST(:ids AS bigint[])) AS given (id)
            UNION ALL SELECT 'message:' || id FROM ({MESSAGES_OF}) AS m
            UNION ALL SELECT 'event:' || id FROM business_event WHERE contact_id = ANY(:ids)) ORDER BY id""",  # noqa: S608
    ),
}


def everything(session: Session, contact_id: int, now: int) -> dict[str, Any]:
    """What is known of a contact and of those who were merged with it, section by section. Raises NotFound.

    Reads only; ``now`` stands in it. Somebody with thousands of messages has a long answer.
    """
    session.flush()
    addresses = addresses_of(session, contact_id)
    if not addresses:
        raise NotFound("there is no such contact", field="psid", way_out="look them up by their psid")
    connection = session.connection()
    page = connection.execute(
        text("SELECT p.id, p.external_id, p.name FROM page p JOIN contact c ON c.page_id = p.id WHERE c.id = :id"),
        {"id": contact_id},
    ).one()
    values = values_of(session, page.id, addresses)
    found: dict[str, Any] = {
        "page": {"id": page.external_id, "name": page.name},
        "psids": list(addresses.values()),
        "as_of": instant(now),
    }
    said = ContentSeal.reading(session)
    for section, (_, query) in SECTIONS.items():
        rows = connection.execute(text(query), values).mappings()
        found[section] = [
            {name: _shown(name, value) for name, value in _opened(section, row, said).items()} for row in rows
        ]
    return found


def _opened(section: str, row: Mapping[Any, Any], said: ContentSeal) -> dict[str, Any]:
    """A row as it is told: what a request said lies sealed in the database."""
    if section != "attempts":
        return dict(row)
    return {**row, "content": said.open(row["message_id"], row["content"])}


def values_of(session: Session, page_id: int, addresses: dict[int, str]) -> dict[str, object]:
    """What the queries of SECTIONS are asked with."""
    psids: Sequence[str] = list(addresses.values())
    key = stable_key(session, PURPOSE)
    hashes = [key_hash(key, page_id, psid) for psid in psids] if key is not None else []
    return {"ids": list(addresses), "page_id": page_id, "psids": psids, "hashes": hashes}


def instant(at: int, milliseconds: int = 0) -> str:
    """Epoch seconds as ISO 8601 in UTC."""
    try:
        moment = _EPOCH + timedelta(seconds=at, milliseconds=milliseconds)
    except OverflowError:
        return str(at)
    return moment.isoformat(timespec="milliseconds" if milliseconds else "seconds").replace("+00:00", "Z")


def _shown(name: str, value: object) -> object:
    if value is None or isinstance(value, (bool, str, float, list, dict)):
        return value
    if isinstance(value, int):
        if name.endswith("_at") or name in _INSTANTS:
            return instant(value)
        return instant(value // 1000, value % 1000) if name.endswith("_ms") else value
    return float(str(value))
