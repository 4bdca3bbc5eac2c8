"""Who asked to be told when a product is back."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from scheduler.errors import Invalid

_ASK = text("""
    INSERT INTO interest (page_id, contact_id, sku, asked_at) VALUES (:page_id, :contact_id, :sku, :at)
    ON CONFLICT (page_id, sku, contact_id) WHERE served_at IS NULL DO NOTHING
""")
#: Characters; an SKU travels in a postback's payload of at most 1000.
LONGEST_SKU = 200


def ask_back_in_stock(session: Session, contact_id: int, page_id: int, sku: str, at: int, now: int) -> None:
    """Remember that the person asked at ``at`` to be told when ``sku`` is back. Asking twice is asking once.

    A served wish is over: whoever wants to be told again asks again. Raises Invalid for an unusable SKU.
    """
    session.flush()
    session.connection().execute(
        _ASK, {"page_id": page_id, "contact_id": contact_id, "sku": check_sku(sku, field="sku"), "at": min(at, now)}
    )


def check_sku(sku: str, *, field: str) -> str:
    """``sku`` without surrounding blanks. Raises Invalid when it is empty, too long or not storable."""
    cleaned = sku.strip()
    if not cleaned or len(cleaned) > LONGEST_SKU or "\x00" in cleaned:
        raise Invalid("this is not a product's SKU", field=field, way_out=f"give 1 to {LONGEST_SKU} characters")
    return cleaned
