"""Kill switches: while one is engaged, nothing in its scope begins. What is on the wire stays on the wire."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session, col, select

from scheduler.audit.record import record
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.governance.tables import KillSwitch
from scheduler.outbox.wake import wait_for_deciders, wake_page

_PAGES = text("SELECT id FROM page ORDER BY id")


def engage(session: Session, page_id: int | None, *, actor: str, why: str, now: int) -> KillSwitch:
    """Stop one page, or (None) every page, until the switch is released. In force when the caller commits."""
    if not why.strip() or len(why) > 500 or "\x00" in why:
        raise Invalid("a reason is needed", field="why", way_out="say in 1 to 500 characters why everything stops")
    switch = KillSwitch(page_id=page_id, actor=actor, why=why, engaged_at=now)
    session.add(switch)
    session.flush()
    record(
        session,
        actor=actor,
        action="kill_switch.engage",
        subject=f"kill_switch:{switch.id}",
        detail={"page_id": page_id, "why": why},
        now=now,
    )
    wait_for_deciders(session)
    return switch


def release(session: Session, switch_id: int, *, actor: str, now: int) -> KillSwitch:
    """Let messages go again, where no other switch stops them: what waited is decided anew.

    Raises NotFound, or Conflict when it was released before.
    """
    found = session.exec(
        select(KillSwitch)
        .where(KillSwitch.id == switch_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound(f"there is no kill switch {switch_id}", way_out="GET /api/v1/kill-switch lists those engaged")
    if found.released_at is not None:
        raise Conflict(f"kill switch {switch_id} was released before")
    found.released_at = now
    session.add(found)
    record(
        session,
        actor=actor,
        action="kill_switch.release",
        subject=f"kill_switch:{switch_id}",
        detail={"page_id": found.page_id},
        now=now,
    )
    session.flush()
    pages = [found.page_id] if found.page_id is not None else session.connection().execute(_PAGES).scalars().all()
    for page_id in pages:
        wake_page(session, page_id, now)
    return found


def engaged(session: Session) -> list[KillSwitch]:
    """The switches that are engaged, oldest first."""
    return list(
        session.exec(select(KillSwitch).where(col(KillSwitch.released_at).is_(None)).order_by(col(KillSwitch.id))).all()
    )
