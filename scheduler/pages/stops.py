"""Stopping a page that the platform refuses as a whole, looking slowly whether it works again, and letting it go on.

A look reads the page's own node and is never a message. It does not show whether sends are permitted again, so a page
that stops anew soon after a look let it go is looked at ever more rarely.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.clock import real_seconds
from scheduler.errors import Invalid, NotFound
from scheduler.logs import get_logger
from scheduler.outbox.wake import wake_page
from scheduler.pages.app_secrets import turn_proof
from scheduler.settings import get_settings

_log = get_logger(__name__)

#: The platform restricts the page itself: it is looked at more rarely from the start (times the first pause).
RESTRICTED = frozenset({"page_restricted", "policy_enforcement"})
_RESTRICTED_TIMES = 6
#: Real seconds: the longest pause between two looks, and after which a stop has nothing to do with the one before.
LONGEST_PAUSE = 4 * 3600.0
_FORGOTTEN = 24 * 3600.0
#: The reason of a stop that ``messaging_policy_enforcement`` asked for.
ENFORCED = "policy_enforcement"
#: The reason of a stop because the platform refused ``appsecret_proof``.
BAD_PROOF = "bad_proof"

_LOCK = text("SELECT external_id FROM page WHERE id = :id FOR NO KEY UPDATE")
_STOP = text("""
    UPDATE page SET stopped_reason = :reason, stopped_at = :now,
        probes = CASE WHEN probe_at > :forgotten THEN probes ELSE 0 END,
        probe_at = CAST(:now AS bigint) + least(CAST(:longest AS bigint), CAST(:first AS bigint)
            * (1 << CASE WHEN probe_at > :forgotten THEN least(probes, 16) ELSE 0 END))
    WHERE id = :id AND (stopped_at IS NULL OR (stopped_reason <> :reason AND :reason = :enforced)) RETURNING id
""")
_RESTORE = text("""
    UPDATE page SET stopped_reason = NULL, stopped_at = NULL WHERE id = :id AND stopped_at IS NOT NULL
    RETURNING id, probe_at
""")
_FORGET = text("UPDATE page SET probes = 0, probe_at = NULL WHERE id = :id")
_LOOKED = text("UPDATE page SET probe_at = :now WHERE id = :id")
_ENFORCED = text("""
    UPDATE page SET enforced_ms = :at WHERE id = :id AND (enforced_ms IS NULL OR enforced_ms < :from) RETURNING id
""")
_DUE = text("""
    SELECT id, external_id, stopped_reason, probes FROM page WHERE stopped_at IS NOT NULL AND probe_at <= :now
    ORDER BY probe_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")
_CLAIM = text("UPDATE page SET probes = probes + 1, probe_at = :next WHERE id = :id")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedPage:
    """A page to look at."""

    id: int
    reason: str


def stop_page(session: Session, page_id: int, reason: str, now: int, *, actor: str = "deliver") -> bool:
    """Stop sending for a page that the platform refuses as a whole (``bad_token``, …). False when it was stopped.

    An alert: it is logged as an error, audited, and shows in ``duly page list`` until the page is restored. A
    proof that is refused while the app has two secrets does not stop it: the other one is tried.
    """
    if reason == BAD_PROOF and turn_proof(session, page_id, now):
        return False
    external_id = _lock(session, page_id)
    values = {"id": page_id, "reason": reason, "now": now, "enforced": ENFORCED, "first": _pause(reason, 0)}
    values |= {"longest": real_seconds(LONGEST_PAUSE), "forgotten": now - real_seconds(_FORGOTTEN)}
    news = session.connection().execute(_STOP, values).first() is not None
    if news:
        _log.error("page_stopped", page=page_id, reason=reason)
        record(
            session, actor=actor, action="page.stop", subject=f"page:{external_id}", detail={"reason": reason}, now=now
        )
    return news


def restore_page(session: Session, page_id: int, *, now: int, actor: str = "operator") -> bool:
    """Let a stopped page send again and wake its messages. False when it was not stopped."""
    external_id = _lock(session, page_id)
    news = session.connection().execute(_RESTORE, {"id": page_id}).first() is not None
    if not news:
        return False
    # A person or the platform knows that it works; a look only hopes so, and is remembered.
    session.connection().execute(_LOOKED if actor == "probe" else _FORGET, {"id": page_id, "now": now})
    _log.warning("page_restored", page=page_id, by=actor)
    record(session, actor=actor, action="page.restore", subject=f"page:{external_id}", detail={}, now=now)
    wake_page(session, page_id, now, wakes_on="page_restored")
    return True


def enforce(session: Session, page_id: int, action: str, now: int, *, at_ms: int | None = None) -> bool:
    """What ``messaging_policy_enforcement`` says: ``block`` stops the page, ``unblock`` ends that, ``warning`` alerts.

    ``at_ms`` is the platform's instant of it, milliseconds: what is older than the newest known changes nothing, and of
    two of one instant the block counts. False when nothing changed. Raises Invalid for another action.
    """
    if action in ("block", "unblock") and at_ms is not None:
        _lock(session, page_id)
        given = {"id": page_id, "at": at_ms, "from": at_ms + (action == "block")}
        if session.connection().execute(_ENFORCED, given).first() is None:
            return False
    if action == "block":
        return stop_page(session, page_id, ENFORCED, now, actor="webhook")
    if action == "unblock":
        _lock(session, page_id)
        reason = session.connection().execute(text("SELECT stopped_reason FROM page WHERE id = :id"), {"id": page_id})
        # A bad token is not mended by it.
        return reason.scalar_one() in RESTRICTED and restore_page(session, page_id, now=now, actor="webhook")
    if action == "warning":
        _log.error("page_warned", page=page_id)
        return False
    raise Invalid(f"`{action[:32]}` is not an action of policy enforcement", way_out="use warning, block or unblock")


def claim_looks(session: Session, now: int, limit: int = 20) -> list[StoppedPage]:
    """The stopped pages that are to be looked at now; the caller's, for each one's next look is put off by this."""
    rows = session.connection().execute(_DUE, {"now": now, "limit": limit}).all()
    for row in rows:
        after = now + _pause(row.stopped_reason or "", row.probes + 1)
        session.connection().execute(_CLAIM, {"id": row.id, "next": after})
    return [StoppedPage(id=row.id, reason=row.stopped_reason or "") for row in rows]


def _pause(reason: str, looks: int) -> int:
    """Seconds on Duly's clock until the next look, after so many."""
    first = get_settings().page_probe * (_RESTRICTED_TIMES if reason in RESTRICTED else 1)
    return real_seconds(min(LONGEST_PAUSE, first * 2.0 ** min(looks, 16)))


def _lock(session: Session, page_id: int) -> str:
    row = session.connection().execute(_LOCK, {"id": page_id}).first()
    if row is None:
        raise NotFound("that page is not registered", way_out="`duly page list` shows all")
    return str(row.external_id)
