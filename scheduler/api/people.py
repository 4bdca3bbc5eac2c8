"""More of a contact over REST: names they go by, who they are merged with, what they like, when they are awake."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Query
from pydantic import BaseModel, Field

from scheduler.api.auth import Actor
from scheduler.api.contacts import IdentityView, PsidInPath, SuppressionView, contact_id_of, page_id_of
from scheduler.api.instants import Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.audit.record import record
from scheduler.contacts import activity, identities, merging
from scheduler.contacts.psids import PSID_PATTERN
from scheduler.contacts.registry import follow
from scheduler.doorbell import ring
from scheduler.errors import NotFound
from scheduler.facts.context import agent_context
from scheduler.facts.interests import interests
from scheduler.privacy.suppressed import refuse_suppressed

router = APIRouter(prefix="/pages/{page}/contacts/{psid}", tags=["contacts"])


class Identity(Body):
    """A name by which the shop knows somebody. Of a telephone number or an address only a keyed hash is kept."""

    kind: Literal["crm_id", "phone", "email"]
    value: str = Field(
        max_length=254,
        description="A telephone number with + and the country code.",
        examples=["C-77", "+49 30 901820", "mara@example.com"],
    )


class IdentityList(BaseModel):
    """The names that somebody goes by."""

    items: list[IdentityView]
    events: int = Field(description="Business events that had waited for this person and go on now.")
    had_by: str | None = Field(description="The psid that had the name before: the same person, perhaps; merge them.")


class MergeRequest(Body):
    """Whom the page knows twice."""

    into: str = Field(
        pattern=f"^{PSID_PATTERN}$",
        description="The psid that stands for the person from then on.",
        examples=["7000000000000002"],
    )
    preview: bool = Field(False, description="Only tell what would happen.")


class MergeView(BaseModel):
    """What a merge did, or would do."""

    from_psid: str
    into_psid: str
    preview: bool
    changes: bool = Field(description="false: it was so before.")
    stricter: list[str] = Field(
        description="What comes to stand against the survivor: opted_out (of a topic or category, if narrowed), "
        "blocked, erased, consent_ended, under_review, held, handover."
    )
    moved: list[int] = Field(description="Messages that go on to the survivor, decided anew.")
    cancelled: list[int] = Field(description="Messages that are taken back: the person has, had or will have the same.")
    identities: int


class InterestView(BaseModel):
    """What somebody is interested in."""

    sku: str
    name: str | None
    kinds: list[str] = Field(description="viewed, carted, asked (to be told when it is back), bought.")
    last_at: Instant
    score: float = Field(description="1 is one look just now; it halves with time.")


class InterestList(BaseModel):
    """What somebody is interested in, the most first."""

    items: list[InterestView]


class ActivityView(BaseModel):
    """When somebody is awake."""

    hours: list[int] = Field(
        description="For each hour of the day, from 00 to 23: how much they were heard of, in thousandths of an event "
        "of just now. An event counts half after 60 days.",
        min_length=24,
        max_length=24,
    )
    local: bool = Field(description="false: hours of UTC, because nothing tells where they are.")
    zones: list[str] = Field(description="The zones by which they are local.")
    best_hour: int | None = Field(description="The hour with the most; null: they were never heard of.")


class OrderView(BaseModel):
    """An order that is not delivered yet."""

    number: str
    state: str = Field(description="placed, shipped.")
    since: Instant
    carrier: str | None
    tracking: str | None


class ConsentView(BaseModel):
    """Something somebody agreed to."""

    topic: str | None = Field(description="null: any.")
    kind: str
    granted_at: Instant
    expires_at: Instant | None


class WindowView(BaseModel):
    """The platform's messaging window, without a policy's margin."""

    open: bool
    closes_at: Instant | None
    last_inbound_at: Instant | None


class ThreadView(BaseModel):
    """Who has the conversation."""

    owner: str = Field(description="duly; platform: another app; operator, person: somebody of the team.")
    since: Instant | None


class ContextView(BaseModel):
    """A person, as somebody who is to answer them needs to know them."""

    psid: str
    name: str | None
    first_name: str | None
    locale: str | None
    local_time: str | None = Field(description="Their wall clock, where their zone is known.")
    attributes: dict[str, Any]
    products: list[InterestView]
    order: OrderView | None
    suppressions: list[SuppressionView]
    consents: list[ConsentView]
    window: WindowView
    thread: ThreadView
    held_at: Instant | None
    waiting: int = Field(description="Messages that wait for them.")
    last_sent_at: Instant | None
    merged_into: str | None


@router.get("/context")
def context(page: PageInPath, psid: PsidInPath, session: Db, now: Now) -> ContextView:
    """What the agent's tool shows beside a conversation: last products, open order, consent, window, who has it."""
    return ContextView.model_validate(asdict(agent_context(session, contact_id_of(session, page, psid), now)))


@router.get("/interests")
def list_interests(
    page: PageInPath, psid: PsidInPath, session: Db, now: Now, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> InterestList:
    """What somebody is interested in now, the most first."""
    contact = contact_id_of(session, page, psid)
    contact = follow(session, [contact]).get(contact, contact)
    found = interests(session, [contact], now, limit=limit).get(contact, [])
    return InterestList(items=[InterestView.model_validate(asdict(each)) for each in found])


@router.get("/activity")
def read_activity(page: PageInPath, psid: PsidInPath, session: Db, now: Now) -> ActivityView:
    """In which hours of their day somebody was heard of."""
    contact = contact_id_of(session, page, psid)
    found = activity.histogram(session, [contact], now).get(contact)
    if found is None:
        return ActivityView(hours=[0] * 24, local=False, zones=[], best_hour=None)
    best = max(range(24), key=lambda hour: (found.hours[hour], -hour)) if any(found.hours) else None
    return ActivityView(hours=list(found.hours), local=found.local, zones=list(found.zones), best_hour=best)


@router.post("/identities")
def add_identity(
    page: PageInPath, psid: PsidInPath, name: Identity, session: Db, actor: Actor, now: Now, after: BackgroundTasks
) -> IdentityList:
    """Keep a name that somebody goes by: business events may name them so. It belongs to whom it was last given to."""
    name.check()
    # The body's field has another name than the kind by which a file or an event has it.
    identities.uniform(name.kind, name.value, field="value")
    contact = contact_id_of(session, page, psid)
    row = identities.Link(contact_id=contact, kind=name.kind, value=name.value, source="api")
    page_id = page_id_of(session, page)
    refuse_suppressed(session, page_id, [psid])
    linked = identities.link(session, page_id, [row], now)
    if linked.new or linked.moved:
        _keep(session, actor, "identity.add", contact, {"kind": name.kind}, now)
    if linked.events:
        # Runs after the answer, hence after the commit.
        after.add_task(ring, "plan")
    before = merging.psid_of(session, linked.moved[0][0]) if linked.moved else None
    return _names(session, contact, events=linked.events, had_by=before)


@router.post("/identities/remove")
def remove_identity(
    page: PageInPath, psid: PsidInPath, name: Identity, session: Db, actor: Actor, now: Now
) -> IdentityList:
    """Forget a name of somebody. Not by its address: numbers do not belong into those, which end in logs."""
    name.check()
    identities.uniform(name.kind, name.value, field="value")
    contact = contact_id_of(session, page, psid)
    if not identities.unlink(session, page_id_of(session, page), contact, name.kind, name.value):
        raise NotFound(
            "the contact does not go by this name", field="value", way_out="GET the contact for the names it has"
        )
    _keep(session, actor, "identity.remove", contact, {"kind": name.kind}, now)
    return _names(session, contact, events=0, had_by=None)


@router.post("/merge")
def merge(
    page: PageInPath, psid: PsidInPath, wanted: MergeRequest, session: Db, actor: Actor, now: Now,
    after: BackgroundTasks,
) -> MergeView:  # fmt: skip
    """Let another contact stand for this one, because they are one person: nothing is sent to this psid any more.

    Opt-outs, holds and newer blocks come along as of when they were said, consents and tokens do not. Waiting messages
    go on to the survivor or are taken back, so that nobody gets the same twice. With `preview` nothing changes; told
    twice, it is done once.
    """
    wanted.check()
    page_id = page_id_of(session, page)
    if wanted.preview:
        done = merging.preview_merge(session, page_id, psid, wanted.into)
    else:
        done = merging.merge_contacts(session, page_id, psid, wanted.into, actor=actor, now=now)
        after.add_task(ring, "deliver")
    return MergeView.model_validate(asdict(done) | {"preview": wanted.preview})


def _names(session: Db, contact: int, *, events: int, had_by: str | None) -> IdentityList:
    found = [IdentityView.model_validate(each) for each in identities.identities_of(session, contact)]
    return IdentityList(items=found, events=events, had_by=had_by)


def _keep(session: Db, actor: str, what: str, contact: int, detail: dict[str, str], now: int) -> None:
    record(session, actor=actor, action=f"contact.{what}", subject=f"contact:{contact}", detail=detail, now=now)
