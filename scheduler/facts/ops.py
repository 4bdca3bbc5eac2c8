"""How things stand, for whoever operates Duly. Reads only, over partial indexes, in bounded time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from scheduler.facts.counting import PATIENCE, Counts, count_messages, within

LANES = ("utility", "promotional")
#: What is still to do, and what needs a person.
OPEN_STATES = ("scheduled", "due", "sending", "in_doubt")
DEAD_STATES = ("unconfirmed", "dead", "refused")

#: Attempts and platform events that are looked at, the newest first.
_NEWEST = 20_000
#: How far back a page's sending counts when it is asked whether it hears anything, seconds.
_DAY = 24 * 3600

_DEAD = text("""
    SELECT state, count(*) AS n FROM message
    WHERE state IN ('refused', 'unconfirmed', 'dead') AND handled_at IS NULL GROUP BY state
""")
_OLDEST = text("""
    SELECT page_id, lane, min(state_at) AS since FROM message WHERE state = 'due' GROUP BY page_id, lane
""")
# The heads of the queues: where there are too many to look at all.
_OLDEST_HEADS = text("""
    SELECT p.id AS page_id, l.lane, min(m.state_at) AS since
    FROM page p CROSS JOIN unnest(CAST(:lanes AS text[])) AS l (lane) CROSS JOIN LATERAL (
        SELECT state_at FROM message due WHERE due.page_id = p.id AND due.lane = l.lane AND due.state = 'due'
        ORDER BY due.deadline, due.id LIMIT 100
    ) m GROUP BY p.id, l.lane
""")
_HELD = text("""
    SELECT coalesce(reason, '') AS reason, due_at IS NULL AS parked, count(*) AS n FROM message
    WHERE state = 'scheduled' AND reason IS NOT NULL GROUP BY 1, 2
""")
_SIZE = text("SELECT greatest(relpages, 1) FROM pg_class WHERE oid = 'message'::regclass")
_HELD_SAMPLE = """
    SELECT coalesce(reason, '') AS reason, due_at IS NULL AS parked, CAST(count(*) * 100.0 / {share} AS bigint) AS n
    FROM message TABLESAMPLE SYSTEM ({share}) WHERE state = 'scheduled' AND reason IS NOT NULL GROUP BY 1, 2
"""
#: Blocks of a sample: a tenth of a second.
_SAMPLE = 3_000
_PACE = text(f"""
    SELECT
        (SELECT count(*) FROM (SELECT begun_at FROM attempt ORDER BY id DESC LIMIT {_NEWEST}) a
         WHERE begun_at > :since) AS out_,
        (SELECT count(*) FROM (SELECT received_at FROM platform_event ORDER BY id DESC LIMIT {_NEWEST}) e
         WHERE received_at > :since) AS in_,
        (SELECT begun_at FROM attempt ORDER BY id DESC LIMIT 1) AS last_begun
""")  # noqa: S608 - constants only
_DEAF = text(f"""
    WITH newest AS MATERIALIZED (
        SELECT page_id, begun_at
        FROM (SELECT page_id, begun_at, outcome FROM attempt ORDER BY id DESC LIMIT {_NEWEST}) each
        WHERE outcome = 'sent' AND begun_at > :since
    ), heard AS MATERIALIZED (
        SELECT sender.page_id, (
            SELECT received_at FROM platform_event e WHERE e.page_id = sender.page_id ORDER BY e.id DESC LIMIT 1
        ) AS last
        FROM (SELECT DISTINCT page_id FROM newest) sender
    )
    SELECT p.id, p.external_id, h.last, min(n.begun_at) AS first, count(*) AS many
    FROM newest n JOIN heard h ON h.page_id = n.page_id JOIN page p ON p.id = n.page_id
    WHERE n.begun_at > coalesce(h.last, -1) GROUP BY p.id, h.last HAVING min(n.begun_at) < :settled ORDER BY p.id
""")  # noqa: S608 - constants only
_PAGES = text("SELECT id, external_id, name, rate, stopped_reason, stopped_at FROM page ORDER BY id")
_ORDERS = text("""
    SELECT p.external_id AS page, w.campaign_id AS campaign, w.category, w.wakes_on, w.woken, w.ordered_at
    FROM wake_order w JOIN page p ON p.id = w.page_id ORDER BY w.id LIMIT :limit
""")
_PAUSED = text("""
    SELECT c.id, c.name, p.external_id AS page,
        (SELECT max(at) FROM audit_entry a
         WHERE a.subject = 'campaign:' || c.id AND a.action = 'campaign.pause') AS since
    FROM campaign c JOIN page p ON p.id = c.page_id WHERE c.status = 'paused' ORDER BY c.id LIMIT :limit
""")
_NOBODYS = text("""
    SELECT p.external_id AS page, e.person_kind, count(*) AS events, min(e.received_at) AS oldest
    FROM business_event e JOIN page p ON p.id = e.page_id
    WHERE e.contact_id IS NULL AND e.person_key IS NOT NULL AND e.received_at < :before
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT :limit
""")
_ANY_DUE = text("SELECT EXISTS (SELECT 1 FROM message WHERE state = 'due')")


@dataclass(slots=True, kw_only=True)
class PageRow:
    """A page, as operations sees it."""

    id: int
    external_id: str
    name: str
    rate: int
    stopped_reason: str | None
    stopped_at: int | None


@dataclass(slots=True, kw_only=True)
class DeafPage:
    """A page that sends, and has received nothing since: its webhook may not reach us."""

    page: str
    #: Messages accepted since the last event, and when the first of them began.
    sent: int
    since: int
    #: When the page last received anything; None: never.
    last_event: int | None


@dataclass(slots=True, kw_only=True)
class Waking:
    """Waiting messages of a page that are being decided anew, chunk by chunk."""

    page: str
    campaign: int | None
    category: str | None
    #: What ended, for those parked until it does; None: all that wait.
    wakes_on: str | None
    #: Messages woken so far.
    woken: int
    ordered_at: int


@dataclass(slots=True, kw_only=True)
class WaitingEvents:
    """Business events that name somebody whom nobody knows, and have waited for them for more than a day."""

    page: str
    #: By which identity they name their people: ``crm_id``, ``phone``, ``email``.
    person_kind: str
    events: int
    #: Epoch seconds.
    oldest: int


@dataclass(slots=True, kw_only=True)
class PausedCampaign:
    """A campaign that somebody paused: its messages wait, and run out of time, until somebody resumes it."""

    id: int
    name: str
    page: str
    #: Epoch seconds.
    since: int | None


@dataclass(slots=True, kw_only=True)
class Held:
    """How many wait, by reason; ``parked`` ones for an event, the others for an instant."""

    exact: bool = True
    waiting: dict[str, int] = field(default_factory=dict)
    parked: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Pace:
    """Requests begun, and platform events received, since the instant asked for."""

    begun: int
    received: int
    #: When the newest attempt began; None: never.
    last_begun: int | None


def open_counts(session: Session, *, patience: float = PATIENCE) -> Counts:
    """Messages that are not at their end, by state and lane."""
    return count_messages(session, {"state": OPEN_STATES, "lane": LANES}, patience=patience)


def dead_letter_counts(session: Session) -> dict[str, int]:
    """Dead letters that nobody has dealt with, by state."""
    return {row.state: int(row.n) for row in session.connection().execute(_DEAD)}


def oldest_due(session: Session, *, patience: float = PATIENCE) -> dict[tuple[int, str], int]:
    """(page, lane) → since when its oldest due message is due, epoch seconds; of a long queue, among its first."""
    rows = within(session, patience, _OLDEST, {})
    if rows is None:
        rows = session.connection().execute(_OLDEST_HEADS, {"lanes": list(LANES)}).all()
    return {(row.page_id, row.lane): int(row.since) for row in rows}


def by_lane(oldest: Mapping[tuple[int, str], int]) -> dict[str, int]:
    """Since when the oldest due message of each lane is due, over all pages: see ``oldest_due``."""
    return {
        lane: min(since for (_, its), since in oldest.items() if its == lane) for lane in {key[1] for key in oldest}
    }


def held(session: Session, *, patience: float = PATIENCE) -> Held:
    """Scheduled messages by the reason that holds them; of very many, from a sample."""
    rows = within(session, patience, _HELD, {})
    found = Held(exact=rows is not None)
    if rows is None:
        blocks = int(session.connection().execute(_SIZE).scalar_one())
        share = min(100.0, 100.0 * _SAMPLE / blocks)
        rows = session.connection().execute(text(_HELD_SAMPLE.format(share=f"{share:.6f}"))).all()
    for row in rows:
        (found.parked if row.parked else found.waiting)[row.reason] = int(row.n)
    return found


def pace(session: Session, since: int) -> Pace:
    """What went out and came in after ``since``, epoch seconds; of the newest 20,000 each."""
    row = session.connection().execute(_PACE, {"since": since}).one()
    return Pace(begun=row.out_, received=row.in_, last_begun=row.last_begun)


def deaf_pages(session: Session, now: int, settled: int) -> list[DeafPage]:
    """Pages that had a message accepted before ``settled``, within a day, and received no event after it."""
    rows = session.connection().execute(_DEAF, {"since": now - _DAY, "settled": settled})
    return [DeafPage(page=row.external_id, sent=row.many, since=row.first, last_event=row.last) for row in rows]


def pages(session: Session) -> list[PageRow]:
    """All pages, stopped ones included."""
    return [PageRow(**row) for row in session.connection().execute(_PAGES).mappings()]


def waking(session: Session, *, limit: int = 100) -> list[Waking]:
    """What is being woken, the oldest order first; ``limit`` orders at most."""
    return [Waking(**row) for row in session.connection().execute(_ORDERS, {"limit": limit}).mappings()]


def waiting_events(session: Session, now: int, *, limit: int = 100) -> list[WaitingEvents]:
    """Events that have waited for their person for more than a day, by page and identity, the most first."""
    rows = session.connection().execute(_NOBODYS, {"before": now - _DAY, "limit": limit}).mappings()
    return [WaitingEvents(**row) for row in rows]


def paused_campaigns(session: Session, *, limit: int = 100) -> list[PausedCampaign]:
    """Campaigns that are paused, the oldest first; ``limit`` at most."""
    return [PausedCampaign(**row) for row in session.connection().execute(_PAUSED, {"limit": limit}).mappings()]


def anything_due(session: Session) -> bool:
    """Whether a message is due."""
    return bool(session.connection().execute(_ANY_DUE).scalar_one())
