"""What the messages of a batch say: templates, people and pages in three reads, rendered before anybody posts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.content.render import Rendered, render
from scheduler.logs import get_logger
from scheduler.outbox.candidates import Candidate

_log = get_logger(__name__)

_TEMPLATES = text("""
    SELECT id, default_locale, bodies, utility_name, utility_approved FROM template WHERE id = ANY(:ids)
""")
_CONTACTS = text("SELECT id, name, first_name, locale, attributes FROM contact WHERE id = ANY(:ids)")
_PAGES = text("SELECT id, name FROM page WHERE id = ANY(:ids)")


def content_of(session: Session, candidates: Sequence[Candidate]) -> dict[int, Rendered]:
    """The rendered content of each message, by its id. One that cannot be rendered is left out, and logged."""
    if not candidates:
        return {}
    templates = _by_id(session, _TEMPLATES, {candidate.template_id for candidate in candidates})
    contacts = _by_id(session, _CONTACTS, {candidate.contact_id for candidate in candidates})
    pages = _by_id(session, _PAGES, {candidate.page_id for candidate in candidates})
    contents = {}
    for candidate in candidates:
        try:
            contents[candidate.id] = render(
                templates[candidate.template_id],
                contacts[candidate.contact_id],
                pages[candidate.page_id],
                candidate.variables,
            )
        except Exception as error:  # templates are data: whatever one of them does must not take the batch with it
            _log.warning(
                "render_failed", message=candidate.id, template=candidate.template_id, error=type(error).__name__
            )
    return contents


def _by_id(session: Session, statement: Any, ids: Collection[int]) -> dict[int, Any]:
    return {row.id: row for row in session.connection().execute(statement, {"ids": list(ids)})}
