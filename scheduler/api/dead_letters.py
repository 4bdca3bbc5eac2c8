"""Dead letters over REST: what needs a person, by cause; sent again or discarded, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Query
from pydantic import BaseModel, Field
from sqlmodel import Session

from scheduler.api.auth import Actor
from scheduler.api.instants import Instant, Now
from scheduler.api.messages import CampaignFilter, PageFilter
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.doorbell import ring
from scheduler.errors import Invalid, NotFound
from scheduler.facts import dead_letters as facts
from scheduler.outbox import dead_letters as verbs
from scheduler.outbox.states import DEAD_LETTERS
from scheduler.pages.registry import get_page

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])

_CAUSE = "The key of a cause, as the list of causes gives it."
CauseFilter = Annotated[str | None, Query(max_length=32, description=_CAUSE)]
StateFilter = Annotated[str | None, Query(max_length=32)]
ReasonFilter = Annotated[str | None, Query(max_length=64)]


class CauseView(BaseModel):
    """Dead letters with one cause."""

    cause: str = Field(description="The key that an act may name.")
    state: str
    reason: str | None
    code: int | None
    subcode: int | None
    page: str
    template: str
    count: int
    first_seen: Instant
    last_seen: Instant
    sample: int = Field(description="The newest message with it.")


class CauseList(BaseModel):
    """Causes, the most frequent first."""

    items: list[CauseView]


class LetterView(BaseModel):
    """A dead letter. `GET /messages/{id}` has its whole way."""

    id: int
    cause: str
    state: str
    reason: str | None
    code: int | None
    subcode: int | None
    http_status: int | None
    page: str
    template: str
    campaign_id: int | None
    resend_of: int | None
    state_at: Instant


class LetterList(BaseModel):
    """Dead letters, the newest first."""

    items: list[LetterView]
    next_cursor: str | None


class Chosen(Body):
    """Which ones: `ids`, a `cause`, or `all`, which the other members narrow; and why."""

    ids: list[int] = Field(default_factory=list, max_length=verbs.MOST, fail_fast=True)
    cause: str | None = Field(None, max_length=32, description=_CAUSE)
    all: bool = Field(False, description="All that match the other members.")
    page: str | None = Field(None, max_length=128)
    campaign: int | None = Field(None, ge=1, lt=2**63)
    state: str | None = Field(None, max_length=32)
    reason: str | None = Field(None, max_length=64)
    limit: int = Field(1000, ge=1, le=verbs.MOST, description="The most that one call takes on, the oldest first.")
    why: str = Field("", max_length=500, description="Kept with each; needed unless this is a dry run.")
    dry_run: bool = Field(False, description="Only look: nothing is changed.")


class RedriveWish(Chosen):
    """What is to be sent again."""

    after: int = Field(
        0, ge=0, lt=2**63, description="With a cause or all: only those behind this id, as `next_after` gave it."
    )
    may_arrive_twice: bool = Field(
        False, description="Needed where some are unconfirmed or dead: nobody knows whether those arrived."
    )


class OutlookView(BaseModel):
    """What policy says to sending them again, now."""

    now: int
    later: int
    never: int
    reasons: dict[str, dict[str, int]] = Field(description="later or never → reason → messages.")
    may_arrive_twice: int = Field(description="Of those that may go: nobody knows whether they arrived.")


class Resent(BaseModel):
    """A dead letter, and the message that goes in its place."""

    dead_letter: int
    message: int


class RedriveView(BaseModel):
    """What a redrive did, or would do."""

    dry_run: bool
    matching: int = Field(description="Dead letters that match.")
    chosen: int = Field(
        description="Those that were looked at, until as many as `limit` were found that policy lets go."
    )
    outlook: OutlookView
    resent: list[Resent]
    resent_before: list[Resent] = Field(description="Somebody sent these again before; nothing was sent twice.")
    next_after: int | None = Field(description="There may be more behind this id: name it as `after`. null: no more.")


class DiscardView(BaseModel):
    """What a discard did, or would do."""

    dry_run: bool
    matching: int
    discarded: list[int]


@router.get("")
def list_causes(
    session: Db,
    page: PageFilter = None,
    campaign: CampaignFilter = None,
    state: StateFilter = None,
    reason: ReasonFilter = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CauseList:
    """What needs a person, by cause: state, reason, the platform's code and subcode, template."""
    filters = filters_of(session, page=page, campaign=campaign, state=state, reason=reason)
    return CauseList(items=[CauseView.model_validate(row) for row in facts.causes(session, filters, limit=limit)])


@router.get("/messages")
def list_letters(
    session: Db,
    cause: CauseFilter = None,
    page: PageFilter = None,
    campaign: CampaignFilter = None,
    state: StateFilter = None,
    reason: ReasonFilter = None,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> LetterList:
    """Dead letters one by one, the newest first."""
    filters = filters_of(session, cause=cause, page=page, campaign=campaign, state=state, reason=reason)
    found = facts.letters(session, filters, limit=limit + 1, before=int(cursor) if cursor else None)
    more = found[limit - 1]["id"] if len(found) > limit else None
    return LetterList(
        items=[LetterView.model_validate(row) for row in found[:limit]],
        next_cursor=str(more) if more is not None else None,
    )


@router.post("/redrive")
def redrive(wish: RedriveWish, session: Db, actor: Actor, now: Now, after: BackgroundTasks) -> RedriveView:
    """Send dead letters again: a new message each, linked, decided anew. Look first with `dry_run`.

    What policy forbids stays a dead letter. Sent twice, this sends nothing twice.
    """
    wish.check()
    done = act_redrive(session, wish, actor=actor, now=now)
    if done.resent:
        after.add_task(ring, "deliver")
    return done


@router.post("/discard")
def discard(wish: Chosen, session: Db, actor: Actor, now: Now) -> DiscardView:
    """Acknowledge dead letters: they leave this list and stay in the record, with who did it and why."""
    wish.check()
    return act_discard(session, wish, actor=actor, now=now)


def act_redrive(session: Session, wish: RedriveWish, *, actor: str, now: int) -> RedriveView:
    """Do what ``wish`` says, or look. Of a cause, or of all, those that policy forbids are passed over."""
    picked = None
    if wish.ids:
        ids, matching = _ids(session, wish)
    else:
        filters = _filters(session, wish)
        matching = facts.count(session, filters)

        def find(after: int, limit: int) -> list[int]:
            return facts.choose(session, filters, limit=limit, after=after)

        picked = verbs.pick(session, find, limit=wish.limit, after=wish.after, now=now)
        ids = picked.ids
    seen = {
        "dry_run": wish.dry_run, "matching": matching, "chosen": picked.looked_at if picked else len(ids),
        "next_after": picked.last if picked else None,
    }  # fmt: skip
    if wish.dry_run:
        outlook = picked.outlook if picked else verbs.weigh(session, ids, now)
        return RedriveView(**seen, outlook=_outlook(outlook), resent=[], resent_before=[])
    done = verbs.redrive(session, ids, why=wish.why, actor=actor, now=now, may_arrive_twice=wish.may_arrive_twice)
    return RedriveView(
        **seen,
        outlook=_outlook(picked.outlook if picked else done.outlook),
        resent=_pairs(done.resent),
        resent_before=_pairs(done.before),
    )


def act_discard(session: Session, wish: Chosen, *, actor: str, now: int) -> DiscardView:
    """Do what ``wish`` says, or look."""
    ids, matching = _ids(session, wish)
    if wish.dry_run:
        return DiscardView(dry_run=True, matching=matching, discarded=[])
    done = verbs.discard(session, ids, why=wish.why, actor=actor, now=now)
    return DiscardView(dry_run=False, matching=matching, discarded=done)


def filters_of(
    session: Session,
    *,
    cause: str | None = None,
    page: str | None = None,
    campaign: int | None = None,
    state: str | None = None,
    reason: str | None = None,
) -> facts.Filters:
    """The filters. Raises Invalid for a state or reason that no dead letter has, NotFound for a page or cause."""
    if state is not None and state not in DEAD_LETTERS:
        raise Invalid(
            f"`{state}` is not a state of dead letters", field="state", way_out=f"use one of {', '.join(DEAD_LETTERS)}"
        )
    if reason is not None and not facts.is_reason(session, reason):
        raise Invalid(
            f"no dead letter ever had the reason `{reason[:64]}`", field="reason",
            way_out="`duly dead-letter list` shows the reasons there are",
        )  # fmt: skip
    if cause is not None and not facts.count(session, facts.Filters(cause=cause)):
        raise NotFound(
            f"no dead letter has the cause `{cause[:32]}`", field="cause",
            way_out="`duly dead-letter list` shows the causes there are",
        )  # fmt: skip
    page_id = get_page(session, page).id if page is not None else None
    return facts.Filters(cause=cause, page_id=page_id, campaign_id=campaign, state=state, reason=reason)


def _filters(session: Session, wish: Chosen) -> facts.Filters:
    """What narrows the choice. Raises Invalid where it is not clear how they are chosen."""
    ways = [bool(wish.ids), wish.cause is not None, wish.all]
    if sum(ways) != 1:
        raise Invalid("choose exactly one of ids, cause, all", field="ids", way_out="give ids, or a cause, or all")
    return filters_of(
        session, cause=wish.cause, page=wish.page, campaign=wish.campaign, state=wish.state, reason=wish.reason
    )


def _ids(session: Session, wish: Chosen) -> tuple[list[int], int]:
    """The ids that are meant, and how many match."""
    filters = _filters(session, wish)
    if wish.ids:
        return _known(session, wish.ids)
    ids = facts.choose(session, filters, limit=wish.limit)
    return ids, len(ids) if len(ids) < wish.limit else facts.count(session, filters)


def _known(session: Session, wished: Sequence[int]) -> tuple[list[int], int]:
    ids = sorted(set(wished))
    if any(not 0 < id_ < 2**63 for id_ in ids):
        raise Invalid("an id is a positive number", field="ids")
    known = facts.known(session, ids)
    missing = [id_ for id_ in ids if id_ not in known]
    if missing:
        raise NotFound(f"there is no message {missing[0]}", field="ids", way_out="GET /api/v1/dead-letters/messages")
    others = [id_ for id_ in ids if known[id_][0] not in DEAD_LETTERS and known[id_][1] is None]
    if others:
        raise Invalid(
            f"message {others[0]} is {known[others[0]][0]}, not a dead letter",
            field="ids",
            way_out=f"dead letters are {', '.join(DEAD_LETTERS)}",
        )
    return ids, len(ids)


def _outlook(outlook: verbs.Outlook) -> OutlookView:
    given: dict[str, Any] = asdict(outlook)
    return OutlookView.model_validate(given)


def _pairs(resent: dict[int, int]) -> list[Resent]:
    return [Resent(dead_letter=old, message=new) for old, new in sorted(resent.items())]
