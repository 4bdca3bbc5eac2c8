"""Messages over REST: lists, counts, and one message with every decision explained."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from sqlmodel import Session

from scheduler import clock
from scheduler.api.heavy import HEAVY
from scheduler.api.instants import Instant, Now
from scheduler.api.sessions import Db
from scheduler.errors import Invalid, NotFound
from scheduler.facts import messages
from scheduler.governance.explanations import explain_log
from scheduler.outbox.content_record import ContentSeal
from scheduler.outbox.states import STATES
from scheduler.pages.registry import get_page

router = APIRouter(prefix="/messages", tags=["messages"])

#: Real seconds over which the pace is measured.
_PACE = 10

PageFilter = Annotated[str | None, Query(max_length=128, description="The platform's id of a page.")]
CampaignFilter = Annotated[int | None, Query(ge=1, lt=2**63)]


class MessageView(BaseModel):
    """One intended send to one person."""

    id: int
    page: str
    psid: str
    campaign_id: int | None
    event_id: int | None
    resend_of: int | None
    confirms_record_id: int | None = Field(
        description="The opt-out, a row of the ledger of consent, that it does nothing but confirm."
    )
    template: str
    template_version: int
    lane: str
    category: str
    priority: int = Field(
        description="Of one person's messages the higher goes first: 2000 what they asked for, 1000 service, "
        "-100 to 100 promotions by their campaigns."
    )
    topic: str | None
    not_before: Instant | None
    expires_at: Instant | None
    may_wait: bool = Field(
        description="Whether it waits until `expires_at` for a person who cannot be written to yet; else it is denied."
    )
    state: str
    state_at: Instant
    due_at: Instant | None = Field(description="When policy next permits it; null while parked.")
    deadline: Instant | None = Field(
        description="The end of the last permitted time; of a message that waits for the person, its `expires_at`."
    )
    reason: str | None
    wakes_on: str | None = Field(
        description="What a parked message waits for: `inbound` (the person writes), `zone_evidence`, `handback`, …"
    )
    ground: str | None
    policy_version: str | None
    attempt_count: int
    mid: str | None
    created_at: Instant


class MessageList(BaseModel):
    """Messages, newest first."""

    items: list[MessageView]
    next_cursor: str | None


class FindingView(BaseModel):
    """What one rule said."""

    rule: str
    clause: str = Field(
        description="The text that it read, such as permitted_hours.house or KR.kr-night; the rule where there is none."
    )
    reason: str | None
    permits_now: bool
    next_at: Instant | None
    numbers: dict[str, Any]
    citation: str | None
    binds: str | None = Field(
        description="By what the text binds: house, platform, or a pack's basis: statute, regulation, carrier_rule, …"
    )
    words: str


class LogView(BaseModel):
    """One arrow of the message's way."""

    at: Instant
    from_state: str | None
    to_state: str
    actor: str
    reason: str | None
    attempt_id: int | None
    verdict: str | None
    until: Instant | None
    because: list[str] | None
    ground: str | None
    policy_version: str | None
    tzdata: str | None = Field(description="The version of the time zones that it was taken with.")
    holidays: str | None = Field(description="The version of the calendars of public holidays.")
    guard: int | None = Field(
        description="Seconds of permitted time that the decision asked to be left: the send guard."
    )
    facts: dict[str, Any] | None = Field(description="What the decision was taken from.")
    findings: list[FindingView] = Field(description="The decision explained, rule by rule.")


class ContentView(BaseModel):
    """What a request said."""

    locale: str = Field(description="The locale of the template's body that was taken.")
    text: str | None
    utility_name: str | None = Field(description="The approved utility template that went, with its parameters.")
    utility_parameters: dict[str, str]


class AttemptView(BaseModel):
    """One request to the platform."""

    id: int
    begun_at: Instant
    outcome: str
    settled_at: Instant | None
    http_status: int | None
    code: int | None
    subcode: int | None
    mid: str | None
    content: ContentView | None = Field(description="null: it is not kept, or the person was erased.")


class PersonView(BaseModel):
    """Whom it is for: what is known of their time and place now. What a decision went by is in its facts."""

    psid: str
    timezones: list[str] | None
    utc_offset: int | None = Field(description="Minutes east of UTC, from the platform's profile.")
    country: str | None
    region: str | None
    locale: str | None
    last_inbound_at: Instant | None


class MessageStory(MessageView):
    """A message with its whole way."""

    contact: PersonView
    variables: dict[str, Any]
    log: list[LogView]
    attempts: list[AttemptView]


class SummaryView(BaseModel):
    """Counts over messages, from the database, now."""

    at: Instant
    exact: bool = Field(description="false: the counts are estimated from a sample, for there are many messages.")
    states: dict[str, int]
    reasons: dict[str, dict[str, int]] = Field(description="State → reason → messages.")
    deferred: dict[str, int] = Field(description="Reason → distinct messages that were ever deferred for it.")
    sent_last_minute: int
    sent_per_second: float = Field(description="Over the last ten real seconds.")


@router.get("")
def list_some(
    session: Db,
    page: PageFilter = None,
    campaign: CampaignFilter = None,
    psid: Annotated[str | None, Query(max_length=128, description="To this person, by the page-scoped id.")] = None,
    state: Annotated[str | None, Query(max_length=32)] = None,
    reason: Annotated[str | None, Query(max_length=64)] = None,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> MessageList:
    """Messages, newest first."""
    if state is not None and state not in STATES:
        raise Invalid(f"`{state}` is not a state", field="state", way_out=f"use one of {', '.join(STATES)}")
    found = messages.list_messages(
        session,
        limit=limit + 1,
        page_id=get_page(session, page).id if page is not None else None,
        campaign_id=campaign,
        psid=psid,
        state=state,
        reason=reason,
        before=int(cursor) if cursor else None,
    )
    more = found[limit - 1]["id"] if len(found) > limit else None
    return MessageList(
        items=[MessageView.model_validate(row) for row in found[:limit]],
        next_cursor=str(more) if more is not None else None,
    )


@router.get("/summary", dependencies=[HEAVY])
def summary(session: Db, now: Now, page: PageFilter = None, campaign: CampaignFilter = None) -> SummaryView:
    """Messages counted by state and reason, and how many went out in the last minute.

    Estimates where there are many messages: `exact` is false then.
    """
    page_id = get_page(session, page).id if page is not None else None
    recent = clock.real_seconds(_PACE)
    counted = messages.summarise(session, now, recent=recent, page_id=page_id, campaign_id=campaign)
    return SummaryView(
        at=now,
        exact=counted.exact,
        states=counted.states,
        reasons=counted.reasons,
        deferred=counted.deferred,
        sent_last_minute=counted.sent_last_minute,
        sent_per_second=counted.sent_recently / _PACE,
    )


@router.get("/{id}")
def read(message: Annotated[int, Path(alias="id", ge=1, lt=2**63)], session: Db) -> MessageStory:
    """One message: every arrow of its way, and every decision explained from the facts stored with it."""
    return story(session, message)


def story(session: Session, message: int) -> MessageStory:
    """One message as it is shown. Raises NotFound."""
    found = messages.read_message(session, message)
    if found is None:
        raise NotFound(f"there is no message {message}", field="id", way_out="`duly message list` shows the newest")
    log = found.pop("log")
    explained = explain_log(session, log)
    found["log"] = [
        {**row, "findings": [asdict(finding) for finding in each[1]] if each else []}
        for row, each in zip(log, explained, strict=True)
    ]
    kept = ContentSeal.reading(session)
    for attempt in found["attempts"]:
        attempt["content"] = kept.open(message, attempt["content"])
    return MessageStory.model_validate(found)
