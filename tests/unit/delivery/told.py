"""What a webhook tells of one message or one person, as the inbox records it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from scheduler.outbox.told import Told, record_echoes, record_told


def record_echo(session: Session, page_id: int, metadata: str | None, mid: str, at: int, now: int) -> bool:
    return record_echoes(session, [(page_id, metadata or "", mid)], now) == 1


def record_delivery(
    session: Session, page_id: int, psid: str, mids: Sequence[str], watermark_ms: int | None, now: int
) -> int:
    told = Told(page_id=page_id, mids=set(mids), delivered_ms=None if mids else watermark_ms)
    return record_told(session, _of(session, page_id, psid, told), now)


def record_read(session: Session, page_id: int, psid: str, watermark_ms: int, now: int) -> int:
    return record_told(session, _of(session, page_id, psid, Told(page_id=page_id, read_ms=watermark_ms)), now)


def _of(session: Session, page_id: int, psid: str, told: Told) -> dict[int, Told]:
    found = session.execute(
        text("SELECT id FROM contact WHERE page_id = :page AND psid = :psid"), {"page": page_id, "psid": psid}
    ).scalar_one_or_none()
    return {} if found is None else {found: told}
