"""Tokens over REST: what a person allowed on the platform. Never the tokens themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from scheduler.api.contacts import PsidInPath, contact_id_of
from scheduler.api.instants import Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.sessions import Db
from scheduler.consent.tokens import list_tokens

router = APIRouter(tags=["consent"])


class TokenView(BaseModel):
    """A permission to write outside the messaging window."""

    kind: str = Field(description="marketing (paid), recurring or one_time.")
    topic: str | None = Field(description="null: any topic.")
    state: Literal["in_force", "used", "expired", "stopped"]
    granted_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None
    stopped_at: Instant | None
    event_id: int | None = Field(description="The platform event of the newest grant.")


class TokenList(BaseModel):
    """All that a person granted."""

    items: list[TokenView]


@router.get("/pages/{page}/contacts/{psid}/tokens")
def read_tokens(page: PageInPath, psid: PsidInPath, session: Db, now: Now) -> TokenList:
    """What the person granted, the newest first, and how it stands."""
    contact_id = contact_id_of(session, page, psid)
    return TokenList(items=[TokenView(**asdict(each)) for each in list_tokens(session, contact_id, now)])
