"""What the team does about one person, over REST: take the conversation, give it back, release, opt out and in."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, BackgroundTasks
from pydantic import Field

from scheduler.api.auth import Actor
from scheduler.api.contacts import ContactView, PsidInPath, contact_id_of, read
from scheduler.api.instants import GivenInstant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.audit.record import record
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.contacts import holds
from scheduler.doorbell import ring
from scheduler.errors import Invalid

router = APIRouter(prefix="/pages/{page}/contacts", tags=["contacts"])


class Choice(Body):
    """What somebody wants, told to a person of the team."""

    topic: str | None = Field(
        None, min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="Left out: everything."
    )
    category: Literal["promotional", "utility", "service"] | None = Field(
        None, description="Only messages of this category; not beside a topic."
    )
    source: Literal["operator", "api"] = Field(
        "operator", description="operator: told to a person of the team. api: to another system of yours."
    )
    evidence: str | None = Field(
        None, min_length=1, max_length=500, pattern=r"^[^\x00]+$", description="Where the proof is."
    )
    at: GivenInstant | None = Field(None, description="When they said so; left out: now.")


@router.post("/{psid}/release")
def release(
    page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks
) -> ContactView:
    """End the hold on somebody, after a person has looked at what could not be applied."""
    contact = contact_id_of(session, page, psid)
    if holds.release_contact(session, contact, now):
        _keep(session, actor, "release", contact, now)
    return _changed(session, page, psid, after)


@router.post("/{psid}/handover")
def hand_over(page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now) -> ContactView:
    """A person of the team takes the conversation: messages wait until it is handed back."""
    contact = contact_id_of(session, page, psid)
    if holds.hand_over(session, contact, by=holds.OPERATOR, at=now, now=now):
        _keep(session, actor, "handover", contact, now)
    return read(page, psid, session)


@router.post("/{psid}/handback")
def hand_back(
    page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks
) -> ContactView:
    """The conversation is Duly's again, whoever had it; what waited is decided anew."""
    contact = contact_id_of(session, page, psid)
    if holds.hand_back(session, contact, now):
        _keep(session, actor, "handback", contact, now)
    return _changed(session, page, psid, after)


@router.post("/{psid}/opt-out")
def opt_out(
    page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now, choice: Choice | None = None
) -> ContactView:
    """Somebody told the team that they want no messages (of a topic). In force once this answers."""
    said, contact = _checked(choice), contact_id_of(session, page, psid)
    record_opt_out(session, contact, **_said(said, now), actor=actor, now=now)
    _keep(session, actor, "opt_out", contact, now, topic=said.topic, category=said.category)
    return read(page, psid, session)


@router.post("/{psid}/opt-in")
def opt_in(
    page: PageInPath,
    psid: PsidInPath,
    session: Db,
    actor: Actor,
    now: Now,
    after: BackgroundTasks,
    choice: Choice | None = None,
) -> ContactView:
    """Somebody told the team that they want messages (of a topic) again; what waited is decided anew."""
    said, contact = _checked(choice), contact_id_of(session, page, psid)
    # A STOP that counts as of now stops; a yes whose time is wrong might answer a STOP that came after it.
    if said.at is not None and said.at > now:
        raise Invalid("is in the future", field="at", way_out="give the instant at which they said so")
    record_opt_in(session, contact, **_said(said, now), actor=actor, now=now)
    _keep(session, actor, "opt_in", contact, now, topic=said.topic, category=said.category)
    return _changed(session, page, psid, after)


def _checked(choice: Choice | None) -> Choice:
    said = choice or Choice()
    said.check()
    return said


def _said(choice: Choice, now: int) -> dict[str, Any]:
    return {
        "topic": choice.topic, "category": choice.category, "source": choice.source, "evidence": choice.evidence,
        "at": now if choice.at is None else choice.at,
    }  # fmt: skip


def _keep(session: Db, actor: str, what: str, contact: int, now: int, **detail: str | None) -> None:
    record(session, actor=actor, action=f"contact.{what}", subject=f"contact:{contact}", detail=detail, now=now)


def _changed(session: Db, page: str, psid: str, after: BackgroundTasks) -> ContactView:
    # Runs after the answer, hence after the commit.
    after.add_task(ring, "deliver")
    return read(page, psid, session)
