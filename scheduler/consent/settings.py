"""What a page does about opt-outs: whether one is confirmed and in which words, and how far a plain STOP goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.consent.tables import ConsentSetting
from scheduler.content.templates import get_template, require_filled
from scheduler.errors import Invalid

Scope = Literal["everything", "law"]


@dataclass(slots=True, frozen=True, kw_only=True)
class Settings:
    """A page's settings; these are the defaults."""

    #: The name of a service template; None: no opt-out is confirmed.
    confirmation_template: str | None = None
    #: What a STOP covers that names nothing: ``everything``, or at least what the person's jurisdictions say (``law``).
    opt_out_scope: Scope = "everything"


def settings_of(session: Session, page_id: int) -> Settings:
    """The settings of a page."""
    found = session.get(ConsentSetting, page_id, populate_existing=True)
    if found is None:
        return Settings()
    scope: Scope = "law" if found.opt_out_scope == "law" else "everything"
    return Settings(confirmation_template=found.confirmation_template, opt_out_scope=scope)


def change_settings(session: Session, page_id: int, page: str, wanted: Settings, *, actor: str, now: int) -> None:
    """Put the settings in force for opt-outs from now on; ``page`` is the platform's id, for the audit.

    Raises NotFound for a template that is not there, and Invalid for one that is not of the category service (what
    confirms an opt-out sells nothing) or names what nothing fills.
    """
    if wanted.opt_out_scope not in ("everything", "law"):
        raise Invalid("is not a scope", field="opt_out_scope", way_out="use everything or law")
    if wanted.confirmation_template is not None:
        template = get_template(session, page_id, wanted.confirmation_template, field="confirmation_template")
        if template.category != "service":
            raise Invalid(
                f"`{template.name}` is a {template.category} template", field="confirmation_template",
                way_out="name one of the category service: what confirms an opt-out sells nothing",
            )  # fmt: skip
        require_filled(template, None, field="confirmation_template")
    row = session.get(ConsentSetting, page_id) or ConsentSetting(page_id=page_id, changed_at=now)
    row.confirmation_template, row.opt_out_scope = wanted.confirmation_template, wanted.opt_out_scope
    row.changed_at = now
    session.add(row)
    session.flush()
    detail = {"confirmation_template": wanted.confirmation_template, "opt_out_scope": wanted.opt_out_scope}
    record(session, actor=actor, action="consent.settings", subject=f"page:{page}", detail=detail, now=now)
