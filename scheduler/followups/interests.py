"""Who is interested in what: wishes to be told that a product is back, and signals (viewed, carted, bought).

Written here, read and weighed in ``facts/interests.py``: a score is computed when it is asked for, never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.errors import Invalid

#: What may be told of a product without anything being sent for it.
SIGNALS = ("viewed", "carted", "bought")

_ASK = text("""
    INSERT INTO interest (page_id, contact_id, sku, asked_at)
    SELECT given.page_id, coalesce(contact.merged_into, contact.id), given.sku, given.at
    FROM unnest(CAST(:pages AS integer[]), CAST(:contacts AS bigint[]), CAST(:skus AS text[]),
        CAST(:moments AS bigint[])) AS given (page_id, contact_id, sku, at)
    JOIN contact ON contact.id = given.contact_id AND contact.page_id = given.page_id
    ORDER BY 2, 3, 4
    ON CONFLICT (page_id, sku, contact_id) WHERE served_at IS NULL DO NOTHING
""")
_SIGNAL = text("""
    INSERT INTO product_signal (page_id, contact_id, kind, sku, name, at, event_id)
    SELECT contact.page_id, contact.id, :kind, :sku, :name, :at, :event_id FROM contact WHERE contact.id = :contact_id
""")
#: A wish that the survivor has open too is one wish: the merged contact's stays behind, as served.
_MOVE = (
    text("""
        UPDATE interest SET served_at = asked_at WHERE contact_id = :from AND served_at IS NULL AND EXISTS (
            SELECT 1 FROM interest o WHERE o.contact_id = :into AND o.page_id = interest.page_id
            AND o.sku = interest.sku AND o.served_at IS NULL)
    """),
    text("UPDATE interest SET contact_id = :into WHERE contact_id = :from"),
    text("UPDATE product_signal SET contact_id = :into WHERE contact_id = :from"),
    text("UPDATE business_event SET contact_id = :into WHERE contact_id = :from"),
)
#: Characters; an SKU travels in a postback's payload of at most 1000.
LONGEST_SKU = 200


@dataclass(slots=True, kw_only=True)
class Ask:
    """Somebody asked at an instant, epoch seconds, to be told when a product is back."""

    contact_id: int
    page_id: int
    sku: str
    at: int


def ask_back_in_stock(session: Session, contact_id: int, page_id: int, sku: str, at: int, now: int) -> None:
    """Remember that the person asked at ``at`` to be told when ``sku`` is back. Asking twice is asking once.

    A served wish is over: whoever wants to be told again asks again. Raises Invalid for an unusable SKU.
    """
    record_asks(session, [Ask(contact_id=contact_id, page_id=page_id, sku=sku, at=at)], now)


def record_asks(session: Session, asks: Sequence[Ask], now: int) -> None:
    """``ask_back_in_stock`` for many, in one statement. Contacts of other pages are left out."""
    if not asks:
        return
    session.flush()
    session.connection().execute(
        _ASK,
        {
            "pages": [ask.page_id for ask in asks],
            "contacts": [ask.contact_id for ask in asks],
            "skus": [check_sku(ask.sku, field="sku") for ask in asks],
            "moments": [min(ask.at, now) for ask in asks],
        },
    )


def record_signal(
    session: Session, contact_id: int, kind: str, sku: str, name: str | None, *, event_id: int | None, at: int, now: int
) -> None:
    """Keep that the person ``viewed``, ``carted`` or ``bought`` a product at ``at``, epoch seconds."""
    if kind not in SIGNALS:
        raise Invalid(f"`{kind[:64]}` is not a signal of interest", field="kind", way_out=f"use {', '.join(SIGNALS)}")
    session.flush()
    session.connection().execute(
        _SIGNAL,
        {
            "contact_id": contact_id, "kind": kind, "sku": check_sku(sku, field="sku"), "name": name,
            "at": min(at, now), "event_id": event_id,
        },
    )  # fmt: skip


def move_interests(session: Session, from_id: int, into_id: int) -> None:
    """What one contact wanted and what happened to them is another's from now on: they are one person."""
    session.flush()
    for statement in _MOVE:
        session.connection().execute(statement, {"from": from_id, "into": into_id})


def check_sku(sku: str, *, field: str) -> str:
    """``sku`` without surrounding blanks. Raises Invalid when it is empty, too long or not storable."""
    cleaned = sku.strip()
    if not cleaned or len(cleaned) > LONGEST_SKU or "\x00" in cleaned:
        raise Invalid("this is not a product's SKU", field=field, way_out=f"give 1 to {LONGEST_SKU} characters")
    return cleaned
