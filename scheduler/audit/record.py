"""Writes what a person or a key did. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session

from scheduler.audit.tables import AuditEntry
from scheduler.store.outside import note


def record(session: Session, *, actor: str, action: str, subject: str, detail: Mapping[str, Any], now: int) -> None:
    """Keep that ``actor`` did ``action`` (``campaign.launch``) to ``subject`` (``campaign:7``) at ``now``.

    ``detail`` is JSON for a person to read; never put a secret or somebody's words in it.
    """
    session.add(AuditEntry(at=now, actor=actor, action=action, subject=subject, detail=dict(detail)))
    # What a restored database forgot, somebody may have to do again: a stop, a cancelled campaign.
    note(session, "acts", lambda _: [[actor, action, subject, now]])
