"""Privacy over REST: everything that is known of somebody, and erasing it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from scheduler.api.auth import Actor
from scheduler.api.contacts import PsidInPath, contact_id_of, page_id_of
from scheduler.api.instants import Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.sessions import Db
from scheduler.audit.record import record
from scheduler.privacy.erasure import Erased, erase
from scheduler.privacy.subject import everything as all_known

router = APIRouter(prefix="/pages/{page}/contacts", tags=["privacy"])


class ErasedView(BaseModel):
    """What an erasure did."""

    changes: bool = Field(description="False: they were erased before.")
    erased_at: Instant | None = None
    addresses: int = Field(description="Addresses of the person on the page: several where some were merged.")
    rows: dict[str, int] = Field(description="Rows that went or were blanked, by what they were.")
    cancelled: int = Field(description="Messages that were taken back.")
    in_flight: bool = Field(description="Something is on the wire and settles first.")


@router.get("/{psid}/everything")
def everything(
    page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now, response: Response
) -> dict[str, Any]:
    """Everything that is known of a person, as one JSON: an answer to an access request. It is audited."""
    contact_id = contact_id_of(session, page, psid)
    found = all_known(session, contact_id, now)
    record(session, actor=actor, action="contact.everything", subject=f"contact:{contact_id}", detail={}, now=now)
    response.headers["Cache-Control"] = "no-store"
    return found


@router.delete("/{psid}")
def erase_person(
    page: PageInPath,
    psid: PsidInPath,
    session: Db,
    actor: Actor,
    now: Now,
    reason: Annotated[
        str, Query(min_length=1, max_length=500, description="Why; it is kept, so it must not name anybody.")
    ],
) -> ErasedView:
    """Erase what is known of a person; that they are not to be messaged stays, as a keyed hash.

    A second time changes nothing. What is on the wire settles.
    """
    return view(erase(session, page_id_of(session, page), psid, actor=actor, reason=reason, now=now))


def view(done: Erased) -> ErasedView:
    """What is shown of an erasure."""
    return ErasedView(
        changes=done.changes, erased_at=done.erased_at, addresses=done.addresses, rows=done.rows,
        cancelled=done.cancelled, in_flight=done.in_flight,
    )  # fmt: skip
