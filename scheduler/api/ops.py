"""How things stand, and what will not be sent in time, over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlmodel import Session

from scheduler import clock
from scheduler.access.security import security_events
from scheduler.api.heavy import HEAVY
from scheduler.api.instants import Instant, Now, format_instant
from scheduler.api.security_told import SecurityView, security_view, security_words
from scheduler.api.sessions import Db
from scheduler.api.stalls import stalls
from scheduler.api.webhooks_told import TroubleView, silent_words, trouble_view, trouble_words
from scheduler.doorbell import workers
from scheduler.facts import at_risk, ops
from scheduler.facts.health import Stalled, beat_ages, silent_tasks
from scheduler.governance import switches
from scheduler.inbox.troubles import REFUSED, Trouble, troubles
from scheduler.inbox.web_processes import silent_webs
from scheduler.lineage.identity import held_words
from scheduler.outbox.skews import skews
from scheduler.pages.deaf import SETTLED
from scheduler.throttle_state import ThrottleState, throttle_states

router = APIRouter(prefix="/ops", tags=["operations"])

#: Real seconds over which the pace is measured.
_PACE = 10
#: Real seconds of a wait that the platform asked for from which a person is told. Duly's own pauses are shorter.
_LONG_WAIT = 600
#: Kinds of wrong webhooks that are shown.
_TROUBLES = 100
#: What a page gets through of its rate in the long run: the rest keeps any second below it (see the throttle).
SUSTAINED = 0.9


class Alert(BaseModel):
    """Something that needs a person."""

    kind: str
    words: str
    page: str | None = None


class PageState(BaseModel):
    """A page whose sending is not as usual."""

    page: str
    name: str
    breaker: str | None = Field(description="closed, half_open, open; null: Redis does not answer.")
    opens_in: float = Field(description="Real seconds until the breaker lets a message through.")
    throttled_for: float = Field(description="Real seconds until the platform lets the page in again.")
    throttled_because: str | None = Field(None, description="Why the platform has it wait.")
    stopped_reason: str | None
    stopped_at: Instant | None


class WorkerState(BaseModel):
    """What is known of the workers."""

    names: list[str] | None = Field(description="Those that answered within a second; null: Redis does not answer.")
    last_begun: Instant | None = Field(description="When the newest attempt began.")
    beat_seconds: dict[str, int] = Field(description="Periodic task → seconds since it last ran.")


class HeldCounts(BaseModel):
    """Scheduled messages by reason."""

    exact: bool = Field(description="false: from a sample.")
    waiting: dict[str, int] = Field(description="Until an instant.")
    parked: dict[str, int] = Field(description="Until something happens.")


class WakingView(BaseModel):
    """Waiting messages of a page that are being decided anew, some thousands a second."""

    page: str
    campaign: int | None
    category: str | None
    wakes_on: str | None = Field(description="What ended, for those held until it does; null: all that wait.")
    woken: int = Field(description="So far.")
    ordered_at: Instant


class PausedView(BaseModel):
    """A campaign that somebody paused."""

    id: int
    name: str
    page: str
    since: Instant | None


class WaitingEventsView(BaseModel):
    """Events that name somebody whom nobody knows, for more than a day."""

    page: str
    person_kind: str = Field(description="By which identity they name their people: crm_id, phone or email.")
    events: int
    oldest: Instant


class StatusView(BaseModel):
    """How things stand."""

    at: Instant
    exact: bool = Field(description="false: `messages` are the database's estimates.")
    messages: dict[str, dict[str, int]] = Field(description="State → lane → messages not at their end.")
    due_oldest_seconds: dict[str, int] = Field(description="Lane → how long its oldest due message has been due.")
    held: HeldCounts
    dead_letters: dict[str, int]
    out_per_second: float = Field(description="Attempts begun, over ten real seconds.")
    in_per_second: float = Field(description="Platform events received, over ten real seconds.")
    workers: WorkerState
    waking: list[WakingView] = Field(description="After a release, a resume, a new policy: the oldest 100.")
    webhooks: list[TroubleView] = Field(description="Refused or not understood, the last first; the newest 100.")
    security: list[SecurityView] = Field(
        description="Wrong keys, forged signatures, floods: by kind, the last first. Twenty in five minutes alert."
    )
    paused: list[PausedView] = Field(description="Campaigns that somebody paused: the oldest 100.")
    waiting_events: list[WaitingEventsView] = Field(
        description="Business events whose person nobody has known for a day: does the shop write the identity as the "
        "contacts have it?"
    )
    pages: list[PageState] = Field(description="Those that are stopped, throttled, or whose breaker is not closed.")
    alerts: list[Alert]


class LaneRiskView(BaseModel):
    """What of a page's lane will run out before it is sent."""

    page: str
    lane: str
    waiting: int = Field(description="Due now or within the horizon.")
    at_risk: int
    first_at: Instant | None = Field(description="When the first of them runs out.")
    last_at: Instant | None


class PageCapacity(BaseModel):
    """Whether a page's rate is enough."""

    page: str
    rate: int = Field(description="Messages a second at most.")
    sustained: float = Field(description="What it comes to in the long run; 0 while the page is stopped.")
    needed: float | None = Field(description="What would do in the long run, messages a second; null: no rate would.")


class HeldRiskView(BaseModel):
    """Parked messages that run out unless what holds them ends."""

    page: str
    lane: str
    reason: str
    count: int
    first_at: Instant
    last_at: Instant


class AtRiskView(BaseModel):
    """What will expire unsent, if nothing changes."""

    at: Instant
    until: Instant
    at_risk: int
    lanes: list[LaneRiskView]
    pages: list[PageCapacity] = Field(description="Those with messages at risk.")
    held: list[HeldRiskView]


@router.get("/status")
def status(session: Db, now: Now) -> StatusView:
    """How things stand. Answers within seconds whatever waits; what is estimated says so."""
    counted = ops.open_counts(session)
    messages: dict[str, dict[str, int]] = {}
    for (state, lane), number in counted.of.items():
        messages.setdefault(state, {})[lane] = number
    pace = ops.pace(session, now - clock.real_seconds(_PACE))
    oldest = ops.oldest_due(session)
    ages = beat_ages(session, now)
    pages = ops.pages(session)
    states = throttle_states([page.id for page in pages])
    names = workers() if states is not None else None
    wrong = troubles(session, now)
    tried = security_events(session, now)
    dead = ops.dead_letter_counts(session)
    shown = [_page(page, None if states is None else states[page.id]) for page in pages]
    return StatusView(
        at=now,
        exact=counted.exact,
        messages=messages,
        due_oldest_seconds={lane: max(0, now - since) for lane, since in ops.by_lane(oldest).items()},
        held=HeldCounts(**asdict(ops.held(session))),
        dead_letters=dead,
        out_per_second=pace.begun / _PACE,
        in_per_second=pace.received / _PACE,
        workers=WorkerState(names=names, last_begun=pace.last_begun, beat_seconds=ages),
        waking=[WakingView(**asdict(order)) for order in ops.waking(session)],
        webhooks=[trouble_view(each) for each in wrong[:_TROUBLES]],
        security=[security_view(each) for each in tried],
        paused=[PausedView(**asdict(campaign)) for campaign in ops.paused_campaigns(session)],
        waiting_events=[WaitingEventsView(**asdict(each)) for each in ops.waiting_events(session, now)],
        pages=[page for page in shown if _unusual(page)],
        alerts=[
            *_alerts(session, now, ages, shown, names, stalls(session, oldest, states, now)),
            *_alerts_of_webhooks(session, wrong),
            *[Alert(kind="security", words=security_words(each)) for each in tried if each.alerting],
            *_dead(dead),
        ],
    )


@router.get("/at-risk", dependencies=[HEAVY])
def forecast(
    session: Db,
    now: Now,
    hours: Annotated[int, Query(ge=1, le=24 * 7, description="How far ahead.")] = 24,
) -> AtRiskView:
    """Which messages will expire unsent, and when, from the pages' rates and the messages' deadlines."""
    pages = {page.id: page for page in ops.pages(session)}
    # A second of Duly's clock is a part of a real one where the clock is fast.
    sustained = {id_: 0.0 if page.stopped_at is not None else page.rate * SUSTAINED for id_, page in pages.items()}
    rates = {id_: rate / clock.rate() for id_, rate in sustained.items()}
    found, parked = at_risk.at_risk(session, rates, now, hours * 3600)
    lanes = [
        LaneRiskView(page=pages[id_].external_id, lane=lane, **asdict(lane_risk))
        for id_, risk in found.items()
        for lane, lane_risk in sorted(risk.lanes.items(), reverse=True)
    ]
    short = [
        PageCapacity(
            page=pages[id_].external_id,
            rate=pages[id_].rate,
            sustained=round(sustained[id_], 2),
            needed=round(risk.needed * clock.rate(), 2) if risk.needed is not None else None,
        )
        for id_, risk in found.items()
        if any(lane.at_risk for lane in risk.lanes.values())
    ]
    held = [
        HeldRiskView(
            page=pages[each.page_id].external_id, lane=each.lane, reason=each.reason, count=each.count,
            first_at=each.first_at, last_at=each.last_at,
        )
        for each in parked
    ]  # fmt: skip
    return AtRiskView(
        at=now,
        until=now + hours * 3600,
        at_risk=sum(lane.at_risk for lane in lanes),
        lanes=lanes,
        pages=short,
        held=held,
    )


def _alerts_of_webhooks(session: Session, wrong: list[Trouble]) -> list[Alert]:
    alerts = [Alert(kind="web_silent", words=silent_words(each)) for each in silent_webs(session)]
    for each in wrong:
        if each.alerting:
            kind = "webhooks_refused" if each.reason in REFUSED else "webhooks_not_understood"
            alerts.append(Alert(kind=kind, words=trouble_words(each), page=each.page))
    return alerts


def _page(page: ops.PageRow, state: ThrottleState | None) -> PageState:
    return PageState(
        page=page.external_id,
        name=page.name,
        breaker=state.breaker if state is not None else None,
        opens_in=state.opens_in if state is not None else 0.0,
        throttled_for=state.closed_for if state is not None else 0.0,
        throttled_because=state.why if state is not None and state.closed_for > 0 else None,
        stopped_reason=page.stopped_reason,
        stopped_at=page.stopped_at,
    )


def _unusual(page: PageState) -> bool:
    return page.stopped_at is not None or page.throttled_for > 0 or page.breaker in ("open", "half_open")


def _dead(counts: dict[str, int]) -> list[Alert]:
    if not counts:
        return []
    named = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    letters = "dead letter" if sum(counts.values()) == 1 else "dead letters"
    words = f"{sum(counts.values())} {letters} ({named}): `duly dead-letter list` shows why"
    return [Alert(kind="dead_letters", words=words)]


def _alerts(
    session: Session,
    now: int,
    ages: dict[str, int],
    pages: list[PageState],
    names: list[str] | None,
    still: list[Stalled],
) -> list[Alert]:
    alerts = []
    if names is None:
        alerts.append(Alert(kind="no_redis", words="Redis does not answer: nothing is sent"))
    elif not names:
        alerts.append(Alert(kind="no_workers", words="no worker answers"))
    alerts += [Alert(kind="beat_silent", words=words) for words in silent_tasks(ages, clock.rate())]
    alerts += [Alert(kind="database_held", words=words) for words in held_words(session)]
    for skew in skews(session):
        alerts.append(Alert(kind="clock_wrong", words=skew.words))
    alerts += [Alert(kind="stalled", words=each.words, page=each.page) for each in still]
    for switch in switches.engaged(session):
        words = f"kill switch {switch.id} stops {switches.scope_of(switch)}: {switch.why} ({switch.actor})"
        alerts.append(Alert(kind="kill_switch", words=words))
    for page in pages:
        if page.stopped_at is not None:
            words = f"stopped since {format_instant(page.stopped_at)}: {page.stopped_reason}"
            alerts.append(Alert(kind="page_stopped", words=words, page=page.page))
        elif page.breaker == "open":
            words = f"its breaker is open: the platform keeps failing; tried again in {page.opens_in:.0f} s"
            alerts.append(Alert(kind="breaker_open", words=words, page=page.page))
        if page.throttled_for > _LONG_WAIT:
            until = format_instant(now + clock.real_seconds(page.throttled_for))
            why = page.throttled_because or "throttled"
            words = f"the platform has it wait until {until} ({why}): `duly page restore {page.page}` ends the wait"
            alerts.append(Alert(kind="page_throttled", words=words, page=page.page))
    for deaf in ops.deaf_pages(session, now, now - clock.real_seconds(SETTLED)):
        heard = "never" if deaf.last_event is None else f"at {format_instant(deaf.last_event)}"
        words = f"sent {deaf.sent} since {format_instant(deaf.since)}, last heard anything {heard}: check its webhook"
        alerts.append(Alert(kind="deaf_page", words=words, page=deaf.page))
    return alerts
