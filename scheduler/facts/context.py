"""What a person of the team needs to see when they take a conversation: for the tool they answer with. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from policies.facts import Facts
from policies.local_time import offset_at, wall_clock
from policies.places import place_of
from policies.platform_pack import platform_pack
from scheduler.errors import NotFound
from scheduler.facts.interests import Interest, interests

#: Products and messages that are shown.
PRODUCTS = 5
#: An order that nothing was heard of for so long is not open any more. Seconds.
ORDER_OPEN = 60 * 86_400

_CONTACT = text("""
    SELECT c.id, c.psid, c.name, c.first_name, c.locale, c.timezones, c.utc_offset, c.country, c.region,
        c.last_inbound_at, c.ad_inbound_at, c.window_closed_at, c.handover_at, c.handover_by, c.held_at, c.attributes,
        c.merged_into AS person_id, s.psid AS merged_into
    FROM contact c LEFT JOIN contact s ON s.id = c.merged_into WHERE c.id = :id
""")
#: The newest order, by what was last told of it; delivered ones are over.
_ORDER = text("""
    SELECT * FROM (
        SELECT DISTINCT ON (body ->> 'order') body ->> 'order' AS number, split_part(kind, '.', 2) AS state,
            occurred_at AS since, body ->> 'carrier' AS carrier, body ->> 'tracking' AS tracking
        FROM business_event
        WHERE contact_id = :id AND kind IN ('order.placed', 'order.shipped', 'order.delivered') AND occurred_at > :since
        ORDER BY body ->> 'order', array_position(ARRAY['order.placed', 'order.shipped', 'order.delivered'], kind) DESC,
            occurred_at DESC
    ) orders WHERE state <> 'delivered' ORDER BY since DESC, number LIMIT 1
""")
_SUPPRESSIONS = text("""
    SELECT reason, topic, category, said_by, since FROM suppression WHERE contact_id = :id AND lifted_at IS NULL
    ORDER BY reason, topic NULLS FIRST, category NULLS FIRST
""")
_CONSENTS = text("""
    SELECT topic, kind, granted_at, expires_at FROM consent
    WHERE contact_id = :id AND (expires_at IS NULL OR expires_at > :now) ORDER BY granted_at DESC, id
""")
_MESSAGES = text("""
    SELECT count(*) FILTER (WHERE state IN ('scheduled', 'due')) AS waiting,
        max(state_at) FILTER (WHERE state IN ('sent', 'delivered', 'read')) AS last_sent_at
    FROM message WHERE contact_id = :id
""")


@dataclass(slots=True, kw_only=True)
class Order:
    """An order that is on its way, or is to be."""

    number: str
    #: ``placed`` | ``shipped``.
    state: str
    since: int
    carrier: str | None
    tracking: str | None


@dataclass(slots=True, kw_only=True)
class Window:
    """The platform's own messaging window, without a policy's margin."""

    open: bool
    closes_at: int | None
    last_inbound_at: int | None


@dataclass(slots=True, kw_only=True)
class Thread:
    """Who has the conversation: ``duly``, or whoever took it, and since when."""

    owner: str
    since: int | None


@dataclass(slots=True, kw_only=True)
class AgentContext:
    """A person, as somebody who is to answer them needs to know them."""

    psid: str
    name: str | None
    first_name: str | None
    locale: str | None
    #: Their wall clock, where their zone is known.
    local_time: str | None
    attributes: dict[str, Any]
    products: list[Interest]
    order: Order | None
    #: Why nothing is sent to them: reason, topic, category, said_by, since.
    suppressions: list[dict[str, Any]]
    #: What they agreed to: topic, kind, granted_at, expires_at.
    consents: list[dict[str, Any]]
    window: Window
    thread: Thread
    held_at: int | None
    #: Messages that wait, and when the last one went.
    waiting: int
    last_sent_at: int | None
    #: The psid that stands for them, where this one was merged.
    merged_into: str | None


def agent_context(session: Session, contact_id: int, now: int) -> AgentContext:
    """What is known of a contact at ``now``, for the agent's tool. Raises NotFound.

    The window and the thread are the address's own; where it was merged, all else is of who stands for the person.
    """
    session.flush()
    connection = session.connection()
    row = connection.execute(_CONTACT, {"id": contact_id}).one_or_none()
    if row is None:
        raise NotFound("there is no such contact", field="psid", way_out="look them up by their psid")
    person = row if row.person_id is None else connection.execute(_CONTACT, {"id": row.person_id}).one()
    values = {"id": person.id, "now": now, "since": now - ORDER_OPEN}
    order = connection.execute(_ORDER, values).mappings().one_or_none()
    messages = connection.execute(_MESSAGES, values).one()
    return AgentContext(
        psid=row.psid,
        name=person.name,
        first_name=person.first_name,
        locale=person.locale,
        local_time=_local_time(person, now),
        attributes=person.attributes,
        products=interests(session, [person.id], now, limit=PRODUCTS).get(person.id, []),
        order=Order(**order) if order is not None else None,
        suppressions=[dict(each) for each in connection.execute(_SUPPRESSIONS, values).mappings()],
        consents=[dict(each) for each in connection.execute(_CONSENTS, values).mappings()],
        window=_window(row, now),
        thread=Thread(
            owner=row.handover_by or ("duly" if row.handover_at is None else "person"), since=row.handover_at
        ),
        held_at=person.held_at,
        waiting=messages.waiting,
        last_sent_at=messages.last_sent_at,
        merged_into=row.merged_into,
    )


def _window(row: Any, now: int) -> Window:
    pack = platform_pack("platform/messenger")
    closes = [
        at + length
        for at, length in ((row.last_inbound_at, pack.window), (row.ad_inbound_at, pack.click_to_messenger))
        # What the platform said of the window outranks what we had counted.
        if at is not None and (row.window_closed_at is None or row.window_closed_at < at)
    ]
    closes_at = max(closes, default=None)
    return Window(
        open=closes_at is not None and now < closes_at, closes_at=closes_at, last_inbound_at=row.last_inbound_at
    )


def _local_time(row: Any, now: int) -> str | None:
    facts = Facts(
        timezones=tuple(row.timezones or ()), utc_offset=row.utc_offset, country=row.country, region=row.region
    )
    place = place_of(facts)
    # One offset stands for three, of which the middle one was read. Several zones that have one hour are one clock.
    zones = place.zones[1:2] if place.evidence == "utc_offset" and len(place.zones) == 3 else place.zones
    return wall_clock(zones[0], now) if len({offset_at(zone, now) for zone in zones}) == 1 else None
