"""Erasing a person from the contacts: all but a row that stands for nobody, because messages were counted under it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

_GONE = {
    "evidence": text("DELETE FROM place_evidence WHERE contact_id = ANY(:ids)"),
    "identities": text("DELETE FROM contact_identity WHERE contact_id = ANY(:ids)"),
    "activity": text("DELETE FROM contact_activity WHERE contact_id = ANY(:ids)"),
    "threads": text("DELETE FROM contact_thread WHERE contact_id = ANY(:ids)"),
    "profile_reads": text("DELETE FROM profile_read WHERE contact_id = ANY(:ids)"),
}
_BLANK = text("""
    UPDATE contact SET psid = :prefix || id, erased_at = coalesce(erased_at, :now), name = NULL, first_name = NULL,
        locale = NULL, country = NULL,
        region = NULL, timezones = NULL, timezones_source = NULL, utc_offset = NULL, utc_offset_read_at = NULL,
        last_inbound_at = NULL, heard_ms = NULL, ad_inbound_at = NULL, window_closed_at = NULL, handover_at = NULL,
        handover_by = NULL, held_at = NULL, attributes = '{}'
    WHERE id = ANY(:ids)
""")
_NAMES = text("SELECT DISTINCT kind, key FROM contact_identity WHERE contact_id = ANY(:ids) ORDER BY kind, key")
_ONE_PERSON = text("""
    SELECT id, psid FROM contact
    WHERE id = :id OR merged_into = :id OR id = (SELECT merged_into FROM contact WHERE id = :id)
        OR merged_into = (SELECT merged_into FROM contact WHERE id = :id)
    ORDER BY id
""")


def addresses_of(session: Session, contact_id: int) -> dict[int, str]:
    """All contacts of a page that are this person, where some were merged: id → psid."""
    return {row.id: row.psid for row in session.connection().execute(_ONE_PERSON, {"id": contact_id})}


def names_of(session: Session, contact_ids: Sequence[int]) -> list[tuple[str, str]]:
    """The names that business events may give these contacts, as they are stored: (kind, key)."""
    return [(row.kind, row.key) for row in session.connection().execute(_NAMES, {"ids": list(contact_ids)})]


def forget_contacts(session: Session, contact_ids: Sequence[int], *, prefix: str, now: int) -> dict[str, int]:
    """Delete what is known of these contacts and blank their rows; how many rows of each. The caller holds them.

    Instead of a psid they have ``prefix`` and their number from then on.
    """
    connection = session.connection()
    counts = {name: connection.execute(each, {"ids": list(contact_ids)}).rowcount for name, each in _GONE.items()}
    values = {"ids": list(contact_ids), "prefix": prefix, "now": now}
    counts["contacts"] = connection.execute(_BLANK, values).rowcount
    return counts
