"""What decisions are taken from, for many contacts in one query. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Protocol

from psycopg import Connection
from sqlalchemy import text
from sqlmodel import Session

from policies.facts import Consent, Facts, Send, Token, with_message

#: How far back sends are read, seconds: the longest period that a cap may have.
HISTORY = 30 * 24 * 3600

#: One statement of several parts, each a look into one index for all the contacts at once; what belongs to a contact is
#: put together here. Joined in the database it takes twice as long, and a plan that is good for many is bad for few.
STATEMENT = """
    SELECT 0 AS what, c.id,
        CASE WHEN c.window_closed_at >= c.last_inbound_at THEN NULL ELSE c.last_inbound_at END,
        CASE WHEN c.window_closed_at >= c.ad_inbound_at THEN NULL ELSE c.ad_inbound_at END,
        c.country, c.region, c.locale, c.timezones, c.utc_offset, c.handover_at,
        c.held_at IS NOT NULL, p.stopped_at IS NOT NULL, p.message_campaign_id IS NOT NULL,
        p.mode = 'test' AND NOT EXISTS (SELECT 1 FROM page_allowed a WHERE a.page_id = c.page_id AND a.psid = c.psid),
        -- Another address stands for the person: nothing goes to this one any more.
        c.merged_into IS NOT NULL
    FROM contact c JOIN page p ON p.id = c.page_id WHERE c.id = ANY(CAST(%(ids)s AS bigint[]))
    UNION ALL
    SELECT 1, contact_id, begun_at, NULL, category, ground, NULL, NULL, NULL, NULL, confirms_opt_out, NULL, NULL, NULL,
        NULL
    FROM attempt WHERE contact_id = ANY(CAST(%(ids)s AS bigint[]))
    AND begun_at > %(since)s AND outcome NOT IN ('refused', 'not_sent')
    UNION ALL
    -- What was sent to an address of the person's that was merged into this one.
    SELECT 1, m.merged_into, a.begun_at, NULL, a.category, a.ground, NULL, NULL, NULL, NULL, a.confirms_opt_out, NULL,
        NULL, NULL, NULL
    FROM contact m JOIN attempt a ON a.contact_id = m.id WHERE m.merged_into = ANY(CAST(%(ids)s AS bigint[]))
    AND a.begun_at > %(since)s AND a.outcome NOT IN ('refused', 'not_sent')
    UNION ALL
    SELECT 2, contact_id, granted_at, expires_at, kind, topic, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM consent WHERE contact_id = ANY(CAST(%(ids)s AS bigint[]))
    UNION ALL
    SELECT 3, contact_id, expires_at, last_used_at, kind, topic, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM permission_token WHERE contact_id = ANY(CAST(%(ids)s AS bigint[]))
    AND stopped_at IS NULL AND (kind <> 'one_time' OR last_used_at IS NULL)
    UNION ALL
    SELECT 4, contact_id, since, NULL, reason, topic, category, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM suppression WHERE contact_id = ANY(CAST(%(ids)s AS bigint[])) AND lifted_at IS NULL
    UNION ALL
    SELECT 5, contact_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM consent_review WHERE contact_id = ANY(CAST(%(ids)s AS bigint[])) AND decided_at IS NULL
    AND meaning = 'opt_out'
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
    @property
    def may_wait(self) -> bool: ...  # noqa: D102
    @property
    def confirms_record_id(self) -> int | None: ...  # noqa: D102


@dataclass(slots=True, kw_only=True, eq=False)
class ContactFacts(Facts):
    """The facts of a contact of whom something holds for messages of one category alone; ``for_message`` applies it."""

    opted_out_categories: tuple[str, ...] = ()


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
        cursor.execute(STATEMENT, parameters(contact_ids, now))
        rows = cursor.fetchall()
    contacts: list[_Row] = []
    sends: defaultdict[int, list[Send]] = defaultdict(list)
    others: tuple[defaultdict[int, list[_Row]], ...] = tuple(defaultdict(list) for _ in range(6))
    for row in rows:
        what = row[0]
        if what == 1:
            sends[row[1]].append(Send(at=row[2], category=row[4], ground=row[5], confirms_opt_out=row[10]))
        elif what == 0:
            contacts.append(row)
        else:
            others[what][row[1]].append(row)
    _, _, consents, tokens, suppressions, reviews = others
    found = {}
    for contact in contacts:
        id_ = contact[1]
        found[id_] = facts = _facts(contact)
        if id_ in sends:
            sent = sends[id_]
            if len(sent) > 1:
                sent.sort(key=_AT)
            facts.sends = tuple(sent)
        if id_ in consents:
            facts.consents = _consents(consents[id_])
        if id_ in tokens:
            facts.tokens = _tokens(tokens[id_], paid=contact[12])
        if id_ in suppressions:
            found[id_] = facts = _suppressed(facts, suppressions[id_])
        if id_ in reviews:
            found[id_] = _of_category(facts, under_review=True)
    return found


def parameters(contact_ids: Collection[int], now: int) -> dict[str, object]:
    """What ``STATEMENT`` is asked with: the ids in their order, so that neighbours are read together."""
    # As PostgreSQL writes an array: as a list of numbers the driver takes ten times as long over them.
    return {"ids": f"{{{','.join(map(str, sorted(contact_ids)))}}}", "since": now - HISTORY}


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
    made = with_message(
        facts,
        category=message.category,
        topic=message.topic,
        not_before=message.not_before,
        expires_at=message.expires_at,
        may_wait=message.may_wait,
        template_approved=message.template_id in thrown.approved,
        kill_switch=bool(thrown.stops) and _stopped(message, thrown.stops),
        campaign_paused=message.campaign_id is not None and message.campaign_id in thrown.campaigns,
    )
    if message.confirms_record_id is not None:
        made.confirms_opt_out = True
    if isinstance(facts, ContactFacts):
        made.opted_out = made.opted_out or made.category in facts.opted_out_categories
        # Until their words are judged nothing promotional goes; what else holds them is the better reason.
        made.under_review = facts.under_review and made.category == "promotional" and not made.held
        made.held = made.held or made.under_review
    return made


def _stopped(message: MessageLike, stops: Collection[tuple[int | None, int | None, str | None]]) -> bool:
    return any(
        page in (None, message.page_id)
        and campaign in (None, message.campaign_id)
        and category in (None, message.category)
        for page, campaign, category in stops
    )


_Row = tuple[Any, ...]
_AT = attrgetter("at")


def _facts(contact: _Row) -> Facts:
    (
        _, _, last_inbound, ad_inbound, country, region, locale, timezones, utc_offset, handover_at, held, page_stopped,
        _, not_allowed, merged,
    ) = contact  # fmt: skip
    return Facts(
        timezones=tuple(timezones) if timezones else (),
        utc_offset=utc_offset,
        country=country,
        region=region,
        locale=locale,
        last_inbound=last_inbound,
        ad_inbound=ad_inbound,
        handover=handover_at is not None,
        handover_at=handover_at,
        held=held,
        page_stopped=page_stopped,
        not_allowed=not_allowed,
        unreachable=merged,
    )


def _consents(rows: list[_Row]) -> tuple[Consent, ...]:
    return tuple([Consent(topic=row[5], kind=row[4], granted_at=row[2], expires_at=row[3]) for row in rows])


def _tokens(rows: list[_Row], paid: bool) -> tuple[Token, ...]:
    # A paid message needs something to be paid from.
    return tuple(
        [
            Token(kind=row[4], topic=row[5], expires_at=row[2], last_used_at=row[3])
            for row in rows
            if paid or row[4] != "marketing"
        ]
    )


def _suppressed(facts: Facts, rows: list[_Row]) -> Facts:
    topics: set[str] = set()
    categories: set[str] = set()
    for _, _, since, _, reason, topic, category, *_ in rows:
        if reason != "opted_out":
            # ``blocked``, ``unreachable`` or ``erased``, as the fact is called.
            setattr(facts, reason, True)
            continue
        facts.opted_out_at = since if facts.opted_out_at is None else max(facts.opted_out_at, since)
        if topic is not None:
            topics.add(topic)
        elif category is not None:
            categories.add(category)
        else:
            facts.opted_out = True
    facts.opted_out_topics = tuple(sorted(topics))
    return _of_category(facts, opted_out=tuple(sorted(categories))) if categories else facts


def _of_category(facts: Facts, *, opted_out: tuple[str, ...] = (), under_review: bool = False) -> ContactFacts:
    if isinstance(facts, ContactFacts):
        facts.under_review = under_review
        return facts
    known = {each.name: getattr(facts, each.name) for each in fields(Facts)} | {"under_review": under_review}
    return ContactFacts(**known, opted_out_categories=opted_out)
