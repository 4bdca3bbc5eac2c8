"""The way back from a restore: what may have gone, settled; then the release.

Nothing here sends. A held database takes webhooks, opt-outs and everything else that does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.errors import Conflict, Invalid
from scheduler.lineage.choices import settle_choices
from scheduler.lineage.identity import identity, open_generation
from scheduler.outbox.restored import LIMIT, Restored, assume_sent, record_restored

#: What somebody says of what no marks tell of: it went, or it did not.
Assumption = Literal["sent", "unsent"]
ASSUMPTIONS: tuple[Assumption, ...] = ("sent", "unsent")

#: Messages whose attempts are settled in one transaction.
_CHUNK = 2_000
#: Seconds before the newest attempt that the database knows, within which a site must have been seen to be missed.
_RECENT = 2 * 86_400

_COUNTS = text("""
    SELECT coalesce(became, CASE WHEN begun_at IS NULL THEN 'untold' ELSE coalesce(result, 'untold') END) AS kind,
        became IS NOT NULL AS settled, count(*) AS number
    FROM restored_attempt GROUP BY 1, 2
""")
_CAMPAIGNS = text("""
    SELECT r.campaign, count(DISTINCT r.message) AS messages, bool_or(c.id IS NOT NULL) AS here
    FROM restored_attempt r LEFT JOIN campaign c ON c.id = r.campaign AND c.created_at <= r.begun_at
    WHERE r.campaign IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 100
""")
_SPAN = text("SELECT min(begun_at) AS first, max(begun_at) AS last FROM restored_attempt")
_KNOWS_UNTIL = text("""
    SELECT max(a.begun_at) FROM attempt a
    WHERE NOT EXISTS (SELECT 1 FROM restored_attempt r WHERE r.attempt = a.id AND r.target = a.message_id)
""")
_CHOICES = text("SELECT settled, count(*) AS number FROM restored_choice GROUP BY 1")
_WITHDRAWN = text("SELECT count(*) FROM restored_choice WHERE action = 'withdrawn'")
_ACTS = text("SELECT at, actor, action, about FROM restored_act ORDER BY at, id LIMIT 500")
_SITES = text("""
    SELECT site, host, seen_at, coalesce(handed_in_at >= :held_at, false) AS handed_in FROM mark_site
    WHERE seen_at >= :recent ORDER BY host, site
""")
_NEXT = text("""
    SELECT attempt, message, contact, page, template, campaign, event, category, lane, topic, ground, token, begun_at,
        result, mid
    FROM restored_attempt
    WHERE message IN (SELECT DISTINCT message FROM restored_attempt WHERE became IS NULL ORDER BY message LIMIT :limit)
    ORDER BY message, attempt
""")
_BECAME = text("""
    UPDATE restored_attempt r SET became = g.became, target = g.target
    FROM unnest(CAST(:attempts AS bigint[]), CAST(:messages AS bigint[]), CAST(:becames AS text[]),
        CAST(:targets AS bigint[])) AS g (attempt, message, became, target)
    WHERE r.attempt = g.attempt AND r.message = g.message
""")
_FORGET = tuple(text(f"DELETE FROM {table}") for table in ("restored_attempt", "restored_choice", "restored_act"))  # noqa: S608 - our own table names
_FORGET_SITES = text("DELETE FROM mark_site WHERE NOT coalesce(handed_in_at >= :held_at, false)")


@dataclass(slots=True, kw_only=True)
class Site:
    """A place where workers kept marks before the dump."""

    site: str
    host: str
    seen_at: int
    handed_in: bool


@dataclass(slots=True, kw_only=True)
class Act:
    """What a person did since the dump, and the database does not know."""

    at: int
    actor: str
    action: str
    about: str


@dataclass(slots=True, kw_only=True)
class Campaign:
    """A campaign that messages went for since the dump."""

    campaign: int
    messages: int
    #: Whether the database knows it.
    here: bool


@dataclass(slots=True, kw_only=True)
class Report:
    """How a restore stands. Instants are epoch seconds."""

    held_at: int | None
    why: str | None
    #: The newest attempt that the database knew by itself.
    knows_until: int | None
    #: The first and the last attempt that it did not know.
    first: int | None = None
    last: int | None = None
    #: How those ended, by what the marks say: ``sent``, ``refused``, ``not_sent``, ``in_doubt``, ``untold``.
    to_settle: dict[str, int] = field(default_factory=dict)
    #: What was made of them: ``sent``, ``unconfirmed``, ``nothing``, ``unknown``.
    settled: dict[str, int] = field(default_factory=dict)
    campaigns: list[Campaign] = field(default_factory=list)
    choices_to_settle: int = 0
    choices_settled: int = 0
    #: Consents that were withdrawn: a person does it again.
    withdrawn: int = 0
    acts: list[Act] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    #: Why the marks may not be whole, in words.
    gaps: list[str] = field(default_factory=list)


def report(session: Session, *, gaps: list[str] | None = None) -> Report:
    """How the restore stands. ``gaps``: what the caller knows of marks that are missing."""
    connection = session.connection()
    known = identity(session)
    held_at = known.held_at if known is not None else None
    knows_until = connection.execute(_KNOWS_UNTIL).scalar_one()
    made = Report(held_at=held_at, why=known.held_why if known is not None else None, knows_until=knows_until)
    if held_at is None:
        return made
    for row in connection.execute(_COUNTS):
        (made.settled if row.settled else made.to_settle)[row.kind] = int(row.number)
    span = connection.execute(_SPAN).one()
    made.first, made.last = span.first, span.last
    made.campaigns = [
        Campaign(campaign=row.campaign, messages=row.messages, here=row.here) for row in connection.execute(_CAMPAIGNS)
    ]
    for row in connection.execute(_CHOICES):
        if row.settled:
            made.choices_settled = int(row.number)
        else:
            made.choices_to_settle = int(row.number)
    made.withdrawn = int(connection.execute(_WITHDRAWN).scalar_one())
    made.acts = [
        Act(at=row.at, actor=row.actor, action=row.action, about=row.about) for row in connection.execute(_ACTS)
    ]
    recent = (knows_until if knows_until is not None else held_at) - _RECENT
    made.sites = [
        Site(site=row.site, host=row.host, seen_at=row.seen_at, handed_in=row.handed_in)
        for row in connection.execute(_SITES, {"held_at": held_at, "recent": recent})
    ]
    made.gaps = [
        f"the marks kept by {site.host} ({site.site}) were not handed in" for site in made.sites if not site.handed_in
    ] + (gaps or [])
    return made


def settle(session: Session, now: int) -> int:
    """Settle the next attempts; returns how many. The caller commits, and calls it until there are none.

    Raises Conflict where the database is not held.
    """
    _held(session)
    rows = session.connection().execute(_NEXT, {"limit": _CHUNK}).mappings().all()
    became = record_restored(session, [Restored(**row) for row in rows], now)
    if became:
        session.connection().execute(
            _BECAME,
            {
                "attempts": [attempt for attempt, _ in became],
                "messages": [message for _, message in became],
                "becames": [what for what, _ in became.values()],
                "targets": [target for _, target in became.values()],
            },
        )
    return len(became)


def settle_people(session: Session, *, actor: str, now: int) -> tuple[int, int]:
    """Put in force what people chose since the dump: see ``settle_choices``. Raises Conflict where it is not held."""
    _held(session)
    return settle_choices(session, actor=actor, now=now)


def release(
    session: Session, *, why: str, actor: str, now: int, gaps: list[str], assume: Assumption | None = None
) -> Report:
    """Let the database send again; returns how it stood. Audited.

    ``assume``: what counts as true of whatever no marks tell of, where there are ``gaps``. Raises Conflict where
    something is not settled, or there are gaps and nothing is assumed; Invalid without a reason.
    """
    words = why.strip()
    if not words or len(words) > 500 or "\x00" in words:
        raise Invalid("a reason is needed", field="why", way_out="say in 1 to 500 characters why")
    held_at = _held(session)
    stood = report(session, gaps=gaps)
    if stood.to_settle or stood.choices_to_settle:
        raise Conflict("not everything is settled", way_out="run `duly restore settle` first")
    if stood.gaps and assume is None:
        raise Conflict(
            f"not all marks are here: {'; '.join(stood.gaps)}",
            way_out="start that worker, or say with --assume whether what it sent counts as sent or as unsent",
        )
    assumed = 0
    while assume == "sent" and (more := assume_sent(session, held_at, now)):
        assumed += more
        if more < LIMIT:
            break
    open_generation(session, now)
    record(
        session,
        actor=actor,
        action="restore.release",
        subject="database",
        detail={
            "why": words, "held_why": stood.why, "attempts": stood.settled, "choices": stood.choices_settled,
            "gaps": stood.gaps, "assumed": assume, "assumed_messages": assumed,
        },
        now=now,
    )  # fmt: skip
    for statement in _FORGET:
        session.connection().execute(statement)
    session.connection().execute(_FORGET_SITES, {"held_at": held_at})
    if assumed:
        stood.settled["assumed"] = assumed
    return stood


def _held(session: Session) -> int:
    known = identity(session)
    if known is None or known.held_at is None:
        raise Conflict("the database is not held", way_out="nothing is to be done")
    return known.held_at
