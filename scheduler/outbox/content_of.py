"""What the messages of a batch say: their templates in one read, rendered before anybody posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from scheduler.content.render import Rendered, render
from scheduler.logs import get_logger
from scheduler.outbox.candidates import Candidate
from scheduler.own_trouble import own_trouble
from scheduler.store.driver import rows

_log = get_logger(__name__)

_TEMPLATES = """
    SELECT id, default_locale, bodies, utility_name, utility_approved FROM template WHERE id = ANY(%(ids)s)
"""


@dataclass(slots=True)
class _Template:
    default_locale: str
    bodies: dict[str, Any]
    utility_name: str | None
    utility_approved: bool


@dataclass(slots=True)
class _Person:
    name: str | None
    first_name: str | None
    locale: str | None
    attributes: dict[str, Any]


@dataclass(slots=True)
class _Page:
    name: str


def content_of(session: Session, candidates: Sequence[Candidate]) -> dict[int, Rendered]:
    """The rendered content of each message, by its id. One that cannot be rendered is left out, and logged."""
    if not candidates:
        return {}
    wanted = {candidate.template_id for candidate in candidates}
    templates = {id_: _Template(*rest) for id_, *rest in rows(session, _TEMPLATES, {"ids": list(wanted)})}
    contents = {}
    for candidate in candidates:
        try:
            contents[candidate.id] = render(
                templates[candidate.template_id],
                _Person(candidate.name, candidate.first_name, candidate.locale, candidate.attributes or {}),
                _Page(candidate.page_name),
                candidate.variables or {},
            )
        except Exception as error:  # templates are data: whatever one of them does must not take the batch with it
            if own_trouble(error):
                # It says nothing about the template: the batch is begun again.
                raise
            _log.warning(
                "render_failed", message=candidate.id, template=candidate.template_id, error=type(error).__name__
            )
    return contents
