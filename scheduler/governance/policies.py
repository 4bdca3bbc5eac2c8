"""Which policy decides for a page: activated by a person, kept word for word, and never edited."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from policies.policy import Policy
from scheduler.audit.record import record
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.governance.documents import whole_document
from scheduler.governance.tables import PolicyActivation
from scheduler.outbox.wake import wake_page

#: The most characters of a reason.
LONGEST_WHY = 500

_LOCK_PAGE = text("SELECT external_id FROM page WHERE id = :id FOR NO KEY UPDATE")
_ACTIVE = text("SELECT version FROM policy_activation WHERE page_id = :id ORDER BY id DESC LIMIT 1")
_KEEP = text("""
    INSERT INTO policy_version (version, name, document, created_at)
    VALUES (:version, :name, :document, :now) ON CONFLICT (version) DO NOTHING
""")


@dataclass(slots=True, frozen=True, kw_only=True)
class Activated:
    """What an activation came to."""

    activation_id: int
    version: str
    #: What decided before; None: nothing was ever activated.
    previous: str | None
    #: Messages that waited and are decided anew.
    woken: int


def activate_policy(
    session: Session,
    page_id: int,
    policy: Policy,
    *,
    actor: str,
    why: str,
    now: int,
    expected_version: str | None = None,
) -> Activated:
    """Let ``policy`` decide for the page from now on, and have its waiting messages decided anew.

    The document is kept under its version, so that every decision taken under it can be explained later. Decisions
    that are being taken finish first; each later one goes by the new policy. ``expected_version`` is the version that
    the caller saw in force (or its first digits): somebody else's activation in between is a Conflict, and so is a
    version that is in force already. Raises Invalid without a name or a reason, NotFound for an unknown page.
    """
    who = _said(actor, "actor", "who activates it must be named", "give the name of a person or a key")
    because = _said(why, "why", "a reason is needed", f"say in 1 to {LONGEST_WHY} characters why it changes")
    document = whole_document(policy)
    session.flush()
    # The page's row first, then the active version: of two at once the second sees what the first did.
    external_id = session.connection().execute(_LOCK_PAGE, {"id": page_id}).scalar_one_or_none()
    if external_id is None:
        raise NotFound(f"there is no page {page_id}", field="page", way_out="`duly page list` shows all")
    previous = session.connection().execute(_ACTIVE, {"id": page_id}).scalar_one_or_none()
    check_activation(policy, previous, expected_version)
    session.connection().execute(
        _KEEP, {"version": policy.version, "name": policy.name, "document": document, "now": now}
    )
    activation = PolicyActivation(page_id=page_id, version=policy.version, actor=who, why=because, activated_at=now)
    session.add(activation)
    record(
        session,
        actor=who,
        action="policy.activate",
        subject=f"page:{external_id}",
        detail={"policy": policy.name, "version": policy.version, "previous": previous, "why": because},
        now=now,
    )
    session.flush()
    assert activation.id is not None  # a flushed row has its id
    woken = wake_page(session, page_id, now)
    return Activated(activation_id=activation.id, version=policy.version, previous=previous, woken=woken)


def check_activation(policy: Policy, active: str | None, expected_version: str | None) -> None:
    """Raise Conflict where ``policy`` is in force already, or something else than the caller expects is."""
    if expected_version is not None and not (active or "").startswith(expected_version):
        raise Conflict(
            f"version `{(active or 'none')[:12]}` is in force, not `{expected_version[:12]}`",
            field="expected_version",
            way_out="read the policy that is in force, then decide again",
        )
    if policy.version == active:
        raise Conflict(
            f"version `{policy.version[:12]}` of `{policy.name}` is in force already",
            field="policy",
            way_out="nothing needs to be done",
        )


def _said(given: str, field: str, message: str, way_out: str) -> str:
    said = given.strip()
    if not said or len(said) > LONGEST_WHY or "\x00" in said:
        raise Invalid(message, field=field, way_out=way_out)
    return said
