"""Contacts over REST: what a shop knows about somebody, and what Duly knows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from scheduler.api.instants import Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.sessions import Db
from scheduler.consent.standing import suppressions
from scheduler.contacts import records, registry
from scheduler.contacts.evidence import SOURCES
from scheduler.contacts.finding import LONGEST, MOST_FOUND, find_people_by
from scheduler.contacts.identities import identities_of
from scheduler.contacts.psids import PSID_PATTERN, ROUNDED, looks_rounded
from scheduler.contacts.tables import Contact
from scheduler.errors import Invalid
from scheduler.facts.contacts import Waiting, list_contacts
from scheduler.facts.places import place_evidence, zone_candidates
from scheduler.inbox.failures import failed_events
from scheduler.pages.registry import get_page

router = APIRouter(prefix="/pages/{page}/contacts", tags=["contacts"])

PsidInPath = Annotated[str, Path(description="The page-scoped id of the person.", pattern=f"^{PSID_PATTERN}$")]
Plain = str | int | float | bool | list[str] | None


class ContactRecord(BaseModel):
    """What is known about a person. What is left out stays as it is; null forgets it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    timezone: str | None = Field(None, description="An IANA zone.", examples=["America/New_York"])
    timezones: list[str] | None = Field(
        None, max_length=1_000, fail_fast=True, description="Candidate zones, when there are several."
    )
    country: str | None = Field(None, description="ISO 3166-1 alpha-2.", examples=["US"])
    region: str | None = Field(None, description="ISO 3166-2.", examples=["US-FL"])
    locale: str | None = Field(None, examples=["en_US"])
    name: str | None = None
    first_name: str | None = None
    attributes: dict[str, Plain] | None = Field(
        None,
        description="For templates: texts, numbers, yes/no, dates and instants in ISO 8601, lists of texts. PUT "
        "replaces them as a whole; PATCH sets those that are named and removes those that are null.",
        examples=[{"tier": "gold", "points": 120, "member_since": "2024-02-29", "likes": ["shoes", "hats"]}],
    )


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


class EvidenceView(BaseModel):
    """What one source last said about where somebody is."""

    kind: str = Field(description="zone, region, offset (minutes east of UTC), country, locale.")
    value: list[str] = Field(description="Several zones are candidates.", examples=[["America/New_York"]])
    source: str = Field(description="api, operator, optin, import, profile.")
    confidence: float = Field(description="From 0 to 1.")
    observed_at: Instant
    recorded_at: Instant
    counts: bool = Field(description="It is the best of its kind.")


class CandidatesView(BaseModel):
    """The zones somebody may be in: a message goes when it may go in all of them."""

    zones: list[str] = Field(description="Empty where there are more than are worth naming.")
    count: int
    follow_from: str = Field(description="timezone, region, utc_offset, country, none.")
    words: str
    jurisdictions: list[str] = Field(description="Whose laws bind.")
    remarks: list[str] = Field(
        description="What is odd about what was said: a zone outside the country, one that names no place or that "
        "nobody knows, and what became of it.",
        examples=[["`UTC` names no place, and no clock in US shows its offset UTC+00:00, so it says nothing"]],
    )


class IdentityView(BaseModel):
    """A name by which the shop knows somebody."""

    kind: str = Field(description="crm_id, phone, email.")
    value: str | None = Field(description="null: only its hash is kept.")
    source: str
    linked_at: Instant


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
    handover_by: str | None = Field(
        description="platform: another app. person: of the team, in the page's inbox. operator: of the team, in Duly."
    )
    held_at: Instant | None = Field(description="Nothing goes to them until they are released.")
    held_because: list[FailedEvent]
    suppressions: list[SuppressionView] = Field(description="Of the person, also where they were merged.")
    attributes: dict[str, Plain]
    evidence: list[EvidenceView] = Field(description="What is known of where they are, the best of each kind first.")
    zone_candidates: CandidatesView
    identities: list[IdentityView]
    merged_into: str | None = Field(description="The psid that stands for this person; nothing is sent to this one.")
    created_at: Instant
    warnings: list[str] = Field(
        description="What looks like a mistake: an id that a spreadsheet rounded, a zone outside the country."
    )


class ContactItem(BaseModel):
    """A person in a list."""

    psid: str
    name: str | None
    first_name: str | None
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
    q: Annotated[
        str | None,
        Query(
            max_length=LONGEST,
            description="A page-scoped id, a CRM id, a telephone number, an address, or how words of a name begin.",
        ),
    ] = None,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ContactList:
    """People of a page, newest first; all of them, those whom `q` finds, or those for whom a person is needed."""
    before = int(cursor) if cursor else None
    page_id = page_id_of(session, page)
    among = find_people_by(session, page_id, q, limit=MOST_FOUND) if q is not None else None
    found = list_contacts(session, page_id, waiting=waiting, among=among, before=before, limit=limit + 1)
    more = found[limit - 1]["id"] if len(found) > limit else None
    return ContactList(
        items=[ContactItem.model_validate(each) for each in found[:limit]],
        next_cursor=str(more) if more is not None else None,
    )


@router.put("/{psid}", responses={201: {"description": "The contact is new."}})
def put(
    page: PageInPath, psid: PsidInPath, known: ContactRecord, response: Response, session: Db, now: Now
) -> ContactView:
    """Keep what is known about a person; 201 when they are new. Better evidence has their messages decided anew.

    Of somebody who was merged it is kept with, and answered is, the contact that stands for them.
    """
    page_id = page_id_of(session, page)
    new = not registry.find_contacts(session, page_id, [psid])
    contact = records.upsert_contact(session, page_id, psid, changes=known.model_dump(exclude_unset=True), now=now)
    response.status_code = 201 if new else 200
    return view_of(session, contact)


@router.api_route("/", methods=["PUT", "PATCH"], include_in_schema=False)
def nobody() -> None:
    """An address whose id is empty, which must not be taken for the list's."""
    raise Invalid("is empty", field="psid", way_out="name the person: /contacts/7000000000000001")


@router.patch("/{psid}")
def patch(page: PageInPath, psid: PsidInPath, known: ContactRecord, session: Db, now: Now) -> ContactView:
    """Change what is known about a person, as a JSON merge patch (RFC 7386): attributes that are not named stay."""
    changes = known.model_dump(exclude_unset=True)
    return view_of(session, records.patch_contact(session, page_id_of(session, page), psid, changes=changes, now=now))


@router.get("/{psid}")
def read(page: PageInPath, psid: PsidInPath, session: Db) -> ContactView:
    """One person."""
    return view_of(session, registry.get_contact(session, page_id_of(session, page), psid))


def contact_id_of(session: Db, page: str, psid: str) -> int:
    """The contact's id. Raises NotFound."""
    contact = registry.get_contact(session, page_id_of(session, page), psid)
    assert contact.id is not None  # a stored contact has its id
    return contact.id


def page_id_of(session: Db, external_id: str) -> int:
    """The page's id, by the platform's. Raises NotFound."""
    page_id = get_page(session, external_id).id
    assert page_id is not None  # a stored page has its id
    return page_id


def view_of(session: Session, contact: Contact) -> ContactView:
    """All that is shown of a contact."""
    assert contact.id is not None  # a stored contact has its id
    place = zone_candidates(contact)
    survivor = session.get_one(Contact, contact.merged_into).psid if contact.merged_into is not None else None
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
        suppressions=[
            SuppressionView.model_validate(each) for each in suppressions(session, contact.merged_into or contact.id)
        ],
        attributes=contact.attributes,
        evidence=[
            EvidenceView.model_validate(each) for each in place_evidence(session, contact.id, sources=[*SOURCES])
        ],
        zone_candidates=CandidatesView.model_validate(place, from_attributes=True),
        identities=[IdentityView.model_validate(each) for each in identities_of(session, contact.id)],
        merged_into=survivor,
        created_at=contact.created_at,
        warnings=[
            *([f"psid: {ROUNDED}"] if contact.last_inbound_at is None and looks_rounded(contact.psid) else []),
            *(f"place: {remark}" for remark in place.remarks),
        ],
    )
