"""What the platform says of utility templates: approved, rejected, paused. In any order, each as often as it likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.logs import get_logger
from scheduler.outbox.wake import wake_page

_log = get_logger(__name__)

APPROVED = "approved"
#: On its way to a verdict: what was approved before still is.
_UNDECIDED = frozenset({"pending", "in_appeal", "pending_deletion"})

_LOCK = text("SELECT id FROM page WHERE id = :id FOR NO KEY UPDATE")
#: The newest word on a template in a language counts; of two of one instant the one that permits less.
_KEEP = text("""
    INSERT INTO utility_status AS s (page_id, name, language, status, reason, at_ms)
    VALUES (:page_id, :name, :language, :status, :reason, :at_ms)
    ON CONFLICT (page_id, name, language) DO UPDATE
    SET status = excluded.status, reason = excluded.reason, at_ms = excluded.at_ms
    WHERE s.at_ms < excluded.at_ms
        OR (s.at_ms = excluded.at_ms AND excluded.status <> 'approved' AND s.status <> 'rejected')
    RETURNING status
""")
#: A template goes out in several languages: one that the platform refuses grounds all.
_FOLLOW = text("""
    UPDATE template t SET utility_approved = s.approved
    FROM (SELECT bool_and(status = 'approved') AS approved FROM utility_status
          WHERE page_id = :page_id AND name = :name) s
    WHERE t.page_id = :page_id AND t.utility_name = :name AND t.utility_approved <> s.approved RETURNING t.id
""")


@dataclass(slots=True, kw_only=True)
class TemplateWord:
    """One word of the platform on a utility template."""

    page_id: int
    #: The template's name on the platform, and its language there.
    name: str
    language: str
    #: As the platform calls it, in lower case: ``approved``, ``rejected``, ``paused``, …
    status: str
    reason: str | None
    #: The platform's instant, milliseconds.
    at_ms: int


def record_template_words(session: Session, words: Sequence[TemplateWord], now: int) -> None:
    """Keep what the platform said of templates; ours that go out as one follow it, and what waits for them wakes.

    A word like ``pending`` is not a verdict: nothing changes. Locks the pages' rows: not for a transaction that holds
    contacts.
    """
    for word in sorted(words, key=lambda each: (each.page_id, each.name, each.language, each.at_ms)):
        if word.status in _UNDECIDED:
            continue
        connection = session.connection()
        connection.execute(_LOCK, {"id": word.page_id})
        given = {"page_id": word.page_id, "name": word.name}
        said = {"language": word.language, "status": word.status, "reason": word.reason, "at_ms": word.at_ms}
        if connection.execute(_KEEP, {**given, **said}).first() is None:
            continue
        changed = [row.id for row in connection.execute(_FOLLOW, given)]
        if word.status != APPROVED:
            _log.error("template_not_approved", page=word.page_id, template=word.name, status=word.status)
        for template_id in changed:
            detail = {"status": word.status, "language": word.language, "reason": word.reason}
            record(
                session, actor="webhook", action="template.status", subject=f"template:{template_id}", detail=detail,
                now=now,
            )  # fmt: skip
        if changed:
            wake_page(session, word.page_id, now)
