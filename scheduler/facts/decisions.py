"""What decisions are taken from, for many contacts in one query. Reads only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from psycopg import Connection
from sqlalchemy import text
from sqlmodel import Session

from policies.facts import Facts, Send, with_message

#: How far back sends are read, seconds: the longest period that a cap may have.
HISTORY = 30 * 24 * 3600

# One statement. Suppressions and sends are aggregated before they are joined, so that a contact is one row.
_CONTACTS = """
    WITH suppressed AS (
        SELECT contact_id,
            coalesce(bool_or(reason = 'opted_out' AND topic IS NULL), false) AS opted_out,
            coalesce(array_agg(topic ORDER BY topic) FILTER (WHERE reason = 'opted_out' AND topic IS NOT NULL),
                     '{}') AS topics,
            bool_or(reason = 'blocked') AS blocked,
            bool_or(reason = 'unreachable') AS unreachable,
            bool_or(reason = 'erased') AS erased
        FROM suppression WHERE contact_id = ANY(%(ids)s) AND lifted_at IS NULL GROUP BY contact_id
    ), sent AS (
        SELECT contact_id,
            array_agg(begun_at ORDER BY begun_at, id) AS instants,
            array_agg(category ORDER BY begun_at, id) AS categories,
            array_agg(ground ORDER BY begun_at, id) AS grounds
        FROM attempt
        WHERE contact_id = ANY(%(ids)s) AND begun_at > %(since)s AND outcome NOT IN ('refused', 'not_sent')
        GROUP BY contact_id
    )
    SELECT c.id, c.timezones, c.utc_offset, c.country, c.region, c.locale,
        CASE WHEN c.window_closed_at >= c.last_inbound_at THEN NULL ELSE c.last_inbound_at END,
        c.handover_at, c.held_at IS NOT NULL, p.stopped_at IS NOT NULL,
        p.mode = 'test' AND NOT EXISTS (SELECT 1 FROM page_allowed a WHERE a.page_id = c.page_id AND a.psid = c.psid),
        s.opted_out, s.topics, s.blocked, s.unreachable, s.erased,
        t.instants, t.categories, t.grounds
    FROM contact c JOIN page p ON p.id = c.page_id
    LEFT JOIN suppressed s ON s.contact_id = c.id
    LEFT JOIN sent t ON t.contact_id = c.id
    WHERE c.id = ANY(%(ids)s)
"""

_SWITCHES = text("""
    SELECT 'switch' AS kind, NULL AS id, page_id, campaign_id, category FROM kill_switch WHERE released_at IS NULL
    UNION ALL SELECT 'paused', id, NULL, NULL, NULL FROM campaign WHERE status = 'paused'
    UNION ALL SELECT 'approved', id, NULL, NULL, NULL FROM template WHERE utility_approved AND utility_name IS NOT NULL
""")

_CANCELLED = text("SELECT id FROM campaign WHERE id = ANY(:ids) AND status = 'cancelled'")


class MessageLike(Protocol):
    """What a decision needs to know of a message; rows of ``message`` and the planner's wishes both have it."""

    @property
    def page_id(self) -> int: ...  # noqa: D102 - a protocol's members are described by the class
    @property
    def template_id(self) -> int: ...  # noqa: D102
    @property
    def campaign_id(self) -> int | None: ...  # noqa: D102
    @property
    def category(self) -> str: ...  # noqa: D102
    @property
    def topic(self) -> str | None: ...  # noqa: D102
    @property
    def not_before(self) -> int | None: ...  # noqa: D102
    @property
    def expires_at(self) -> int | None: ...  # noqa: D102


@dataclass(slots=True, kw_only=True)
class Switches:
    """What holds or grounds many messages at once."""

    #: What the engaged kill switches stop: (page, campaign, category), None where a switch does not narrow it.
    stops: set[tuple[int | None, int | None, str | None]]
    #: Campaigns that are paused.
    campaigns: set[int]
    #: Templates that the platform approved as utility templates.
    approved: set[int]


def contact_facts(session: Session, contact_ids: Collection[int], now: int) -> dict[int, Facts]:
    """The facts about these contacts at ``now``, epoch seconds: contact id → facts, unknown ids left out.

    What belongs to the message (category, schedule, campaign) is added by ``for_message``. One query whatever their
    number; rows come as plain tuples in the binary protocol, never as objects of the ORM.
    """
    if not contact_ids:
        return {}
    session.flush()
    driver: Connection[tuple[Any, ...]] = session.connection().connection.driver_connection  # type: ignore[assignment]  # the engine's driver is psycopg
    with driver.cursor(binary=True) as cursor:
        cursor.execute(_CONTACTS, {"ids": list(contact_ids), "since": now - HISTORY})
        return {row[0]: _facts(row) for row in cursor}


def switches(session: Session) -> Switches:
    """The kill switches, the paused campaigns and the approved templates, as they are now. One query."""
    session.flush()
    thrown = Switches(stops=set(), campaigns=set(), approved=set())
    for row in session.connection().execute(_SWITCHES):
        if row.kind == "switch":
            thrown.stops.add((row.page_id, row.campaign_id, row.category))
        else:
            (thrown.campaigns if row.kind == "paused" else thrown.approved).add(row.id)
    return thrown


def cancelled_campaigns(session: Session, campaign_ids: Collection[int]) -> set[int]:
    """Those of the campaigns that were cancelled. One query, none when there is nothing to ask."""
    if not campaign_ids:
        return set()
    session.flush()
    return set(session.connection().execute(_CANCELLED, {"ids": list(campaign_ids)}).scalars())


def for_message(facts: Facts, message: MessageLike, thrown: Switches) -> Facts:
    """The contact's facts with those of one message to them: a new object, the given one stays as it is."""
    return with_message(
        facts,
        category=message.category,
        topic=message.topic,
        not_before=message.not_before,
        expires_at=message.expires_at,
        template_approved=message.template_id in thrown.approved,
        kill_switch=bool(thrown.stops) and _stopped(message, thrown.stops),
        campaign_paused=message.campaign_id is not None and message.campaign_id in thrown.campaigns,
    )


def _stopped(message: MessageLike, stops: Collection[tuple[int | None, int | None, str | None]]) -> bool:
    return any(
        page in (None, message.page_id)
        and campaign in (None, message.campaign_id)
        and category in (None, message.category)
        for page, campaign, category in stops
    )


def _facts(row: tuple[Any, ...]) -> Facts:
    (
        _, timezones, utc_offset, country, region, locale, last_inbound, handover_at, held, page_stopped, not_allowed,
        opted_out, topics, blocked, unreachable, erased, instants, categories, grounds,
    ) = row  # fmt: skip
    return Facts(
        timezones=tuple(timezones) if timezones else (),
        utc_offset=utc_offset,
        country=country,
        region=region,
        locale=locale,
        last_inbound=last_inbound,
        opted_out=bool(opted_out),
        opted_out_topics=tuple(topics) if topics else (),
        blocked=bool(blocked),
        unreachable=bool(unreachable),
        erased=bool(erased),
        handover=handover_at is not None,
        handover_at=handover_at,
        held=held,
        page_stopped=page_stopped,
        not_allowed=not_allowed,
        sends=tuple(
            Send(at=at, category=category, ground=ground)
            for at, category, ground in zip(instants, categories, grounds, strict=True)
        )
        if instants
        else (),
    )
