"""Contacts over REST: what a shop knows about somebody, and what Duly knows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.auth import Actor
from scheduler.api.instants import GivenInstant, Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.audit.record import record
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.consent.standing import suppressions
from scheduler.contacts import holds, records, registry
from scheduler.contacts.tables import Contact
from scheduler.doorbell import ring
from scheduler.facts.contacts import Waiting, list_contacts
from scheduler.inbox.failures import failed_events
from scheduler.pages.registry import get_page

router = APIRouter(prefix="/pages/{page}/contacts", tags=["contacts"])

PsidInPath = Annotated[str, Path(description="The page-scoped id of the person.", pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]
Plain = str | int | float | bool | None


class ContactRecord(BaseModel):
    """What is known about a person. What is left out stays as it is; null forgets it."""

    model_config = ConfigDict(extra="forbid")

    timezone: str | None = Field(None, description="An IANA zone.", examples=["America/New_York"])
    timezones: list[str] | None = Field(None, description="Candidate zones, when there are several.")
    country: str | None = Field(None, description="ISO 3166-1 alpha-2.", examples=["US"])
    region: str | None = Field(None, description="ISO 3166-2.", examples=["US-FL"])
    locale: str | None = Field(None, examples=["en_US"])
    name: str | None = None
    first_name: str | None = None
    attributes: dict[str, Plain] | None = Field(None, description="For templates; replaced as a whole.")


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


class SuppressionView(BaseModel):
    """Why nothing is sent to somebody."""

    reason: str
    topic: str | None
    category: str | None = Field(description="null with a null topic: everything.")
    said_by: str = Field(description="Whose word it is: person, platform or operator.")
    since: Instant


class FailedEvent(BaseModel):
    """Something the platform told about somebody that could not be applied."""

    id: int
    kind: str
    error: str
    received_at: Instant


class ContactView(BaseModel):
    """A person as one page knows them."""

    psid: str
    name: str | None
    first_name: str | None
    locale: str | None
    country: str | None
    region: str | None
    timezones: list[str]
    timezones_source: str | None
    utc_offset: int | None = Field(description="Minutes east of UTC, from the platform's profile.")
    last_inbound_at: Instant | None
    handover_at: Instant | None = Field(description="Somebody else has the conversation; messages wait.")
    handover_by: str | None = Field(description="platform: another app. operator: a person of the team.")
    held_at: Instant | None = Field(description="Nothing goes to them until they are released.")
    held_because: list[FailedEvent]
    suppressions: list[SuppressionView]
    attributes: dict[str, Plain]
    created_at: Instant


class ContactItem(BaseModel):
    """A person in a list."""

    psid: str
    name: str | None
    locale: str | None
    country: str | None
    region: str | None
    timezones: list[str] | None
    utc_offset: int | None = Field(description="Minutes east of UTC, from the platform's profile.")
    last_inbound_at: Instant | None
    handover_at: Instant | None
    handover_by: str | None
    held_at: Instant | None


class ContactList(BaseModel):
    """People of a page, newest first."""

    items: list[ContactItem]
    next_cursor: str | None


@router.get("")
def list_some(
    page: PageInPath,
    session: Db,
    waiting: Annotated[
        Waiting | None,
        Query(description="held: after an event that could not be applied. handover: somebody else has the thread."),
    ] = None,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ContactList:
    """People of a page, newest first; all of them, or those for whom a person is needed."""
    before = int(cursor) if cursor else None
    found = list_contacts(session, _page_id(session, page), waiting=waiting, before=before, limit=limit + 1)
    more = found[limit - 1]["id"] if len(found) > limit else None
    return ContactList(
        items=[ContactItem.model_validate(each) for each in found[:limit]],
        next_cursor=str(more) if more is not None else None,
    )


@router.put("/{psid}", responses={201: {"description": "The contact is new."}})
def put(
    page: PageInPath, psid: PsidInPath, known: ContactRecord, response: Response, session: Db, now: Now
) -> ContactView:
    """Keep what is known about a person; 201 when they are new. Better evidence has their messages decided anew."""
    page_id = _page_id(session, page)
    new = not registry.find_contacts(session, page_id, [psid])
    contact = records.upsert_contact(session, page_id, psid, changes=known.model_dump(exclude_unset=True), now=now)
    response.status_code = 201 if new else 200
    return _view(session, contact)


@router.get("/{psid}")
def read(page: PageInPath, psid: PsidInPath, session: Db) -> ContactView:
    """One person."""
    return _view(session, registry.get_contact(session, _page_id(session, page), psid))


@router.post("/{psid}/release")
def release(
    page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks
) -> ContactView:
    """End the hold on somebody, after a person has looked at what could not be applied."""
    contact = _contact_id(session, page, psid)
    if holds.release_contact(session, contact, now):
        _keep(session, actor, "release", contact, now)
    return _changed(session, page, psid, after)


@router.post("/{psid}/handover")
def hand_over(page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now) -> ContactView:
    """A person of the team takes the conversation: messages wait until it is handed back."""
    contact = _contact_id(session, page, psid)
    if holds.hand_over(session, contact, by=holds.OPERATOR, at=now, now=now):
        _keep(session, actor, "handover", contact, now)
    return read(page, psid, session)


@router.post("/{psid}/handback")
def hand_back(
    page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks
) -> ContactView:
    """The conversation is Duly's again, whoever had it; what waited is decided anew."""
    contact = _contact_id(session, page, psid)
    if holds.hand_back(session, contact, now):
        _keep(session, actor, "handback", contact, now)
    return _changed(session, page, psid, after)


@router.post("/{psid}/opt-out")
def opt_out(
    page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now, choice: Choice | None = None
) -> ContactView:
    """Somebody told the team that they want no messages (of a topic). In force once this answers."""
    said, contact = _checked(choice), _contact_id(session, page, psid)
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
    said, contact = _checked(choice), _contact_id(session, page, psid)
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


def _contact_id(session: Db, page: str, psid: str) -> int:
    contact = registry.get_contact(session, _page_id(session, page), psid)
    assert contact.id is not None  # a stored contact has its id
    return contact.id


def _keep(session: Db, actor: str, what: str, contact: int, now: int, **detail: str | None) -> None:
    record(session, actor=actor, action=f"contact.{what}", subject=f"contact:{contact}", detail=detail, now=now)


def _changed(session: Db, page: str, psid: str, after: BackgroundTasks) -> ContactView:
    # Runs after the answer, hence after the commit.
    after.add_task(ring, "deliver")
    return read(page, psid, session)


def _page_id(session: Db, external_id: str) -> int:
    page_id = get_page(session, external_id).id
    assert page_id is not None  # a stored page has its id
    return page_id


def _view(session: Db, contact: Contact) -> ContactView:
    assert contact.id is not None  # a stored contact has its id
    failed = failed_events(session, contact.page_id, contact.psid, since=contact.held_at) if contact.held_at else []
    return ContactView(
        psid=contact.psid,
        name=contact.name,
        first_name=contact.first_name,
        locale=contact.locale,
        country=contact.country,
        region=contact.region,
        timezones=contact.timezones or [],
        timezones_source=contact.timezones_source,
        utc_offset=contact.utc_offset,
        last_inbound_at=contact.last_inbound_at,
        handover_at=contact.handover_at,
        handover_by=contact.handover_by,
        held_at=contact.held_at,
        held_because=[FailedEvent.model_validate(each) for each in failed],
        suppressions=[SuppressionView.model_validate(each) for each in suppressions(session, contact.id)],
        attributes=contact.attributes,
        created_at=contact.created_at,
    )
