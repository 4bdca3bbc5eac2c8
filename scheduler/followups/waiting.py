"""Events about somebody nobody knew yet: kept, and taken up when the person turns up."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlmodel import Session

# What an event tells of a product becomes a signal with it; what it sends is planned by whoever plans next.
_MATCH = text("""
    WITH matched AS (
        UPDATE business_event e SET contact_id = given.contact_id
        FROM unnest(CAST(:kinds AS text[]), CAST(:keys AS text[]), CAST(:ids AS bigint[]))
            AS given (kind, key, contact_id)
        WHERE e.page_id = :page_id AND e.person_kind = given.kind AND e.person_key = given.key AND e.contact_id IS NULL
        RETURNING e.id, e.page_id, e.contact_id, e.kind, e.body, e.occurred_at
    ), signals AS (
        INSERT INTO product_signal (page_id, contact_id, kind, sku, name, at, event_id)
        SELECT page_id, contact_id, split_part(kind, '.', 2), body ->> 'sku', body ->> 'name', occurred_at, id
        FROM matched WHERE kind IN ('product.viewed', 'product.carted', 'product.bought')
    )
    SELECT count(*) FROM matched
""")


def person_known(session: Session, page_id: int, names: Mapping[tuple[str, str], int]) -> int:
    """The people behind these identities ((kind, key) → contact id) are known; how many events had waited for them.

    An event's own end still counts: what comes too late is denied, on the record.
    """
    if not names:
        return 0
    return int(
        session.connection()
        .execute(
            _MATCH,
            {
                "page_id": page_id,
                "kinds": [kind for kind, _ in names],
                "keys": [key for _, key in names],
                "ids": list(names.values()),
            },
        )
        .scalar_one()
    )
