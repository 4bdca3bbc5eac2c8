"""Which policy decides for a page: activated by a person, kept word for word, and never edited."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from policies.policy import Policy, policy_to_document
from scheduler.audit.record import record
from scheduler.governance.tables import PolicyActivation
from scheduler.outbox.wake import wake_page

_LOCK_PAGE = text("SELECT external_id FROM page WHERE id = :id FOR NO KEY UPDATE")
_KEEP = text("""
    INSERT INTO policy_version (version, name, document, created_at)
    VALUES (:version, :name, :document, :now) ON CONFLICT (version) DO NOTHING
""")


def activate_policy(session: Session, page_id: int, policy: Policy, *, actor: str, why: str, now: int) -> None:
    """Let ``policy`` decide for the page from now on, and have its waiting messages decided anew.

    The document is kept under its version, so that every decision taken under it can be explained later.
    """
    session.flush()
    external_id = session.connection().execute(_LOCK_PAGE, {"id": page_id}).scalar_one()
    session.connection().execute(
        _KEEP, {"version": policy.version, "name": policy.name, "document": policy_to_document(policy), "now": now}
    )
    session.add(PolicyActivation(page_id=page_id, version=policy.version, actor=actor, why=why, activated_at=now))
    record(
        session,
        actor=actor,
        action="policy.activate",
        subject=f"page:{external_id}",
        detail={"policy": policy.name, "version": policy.version, "why": why},
        now=now,
    )
    session.flush()
    wake_page(session, page_id, now)
