"""Campaigns as they are made: what, for whom, between when and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, text
from sqlmodel import Session, col, select

from policies.case import HORIZON
from policies.local_time import DAY
from scheduler.audit.record import record
from scheduler.campaigns.tables import AudienceMember, Campaign
from scheduler.contacts.registry import find_contacts, follow
from scheduler.content.liquid_source import refuse_tags
from scheduler.content.tables import Template
from scheduler.content.templates import get_template, require_filled
from scheduler.errors import Invalid, NotFound
from scheduler.outbox.plan import Wish
from scheduler.outbox.priorities import HIGHEST, LOWEST
from scheduler.pages.tables import Page

EVERYONE = "everyone"

#: The end of the year 9999, epoch seconds.
_LAST_INSTANT = 253_402_300_799
#: How many unknown ids an error names.
_NAMED = 10


def create_campaign(
    session: Session,
    page: Page,
    *,
    name: str,
    template: str,
    audience: str | Sequence[str],
    not_before: int | None = None,
    expires_at: int | None = None,
    priority: int = 0,
    may_wait: bool = True,
    actor: str,
    now: int,
) -> Campaign:
    """A draft: nothing is decided and nothing goes until it is launched.

    ``template`` is the name of one of the page's templates, taken in its newest version; ``audience`` is
    ``"everyone"`` or a list of the platform's ids. ``not_before`` is less than 30 days ahead. ``priority`` is its place
    among promotions, -100 to 100: of one person's promotions the higher goes first.
    ``may_wait``: messages to people who cannot be written to yet wait for them until the campaign's end (30 days after
    its launch, where ``expires_at`` says nothing else); else they are denied.
    Instants are epoch seconds UTC. Raises Invalid naming the field.
    """
    assert page.id is not None  # a stored page has its id
    if not name.strip() or len(name) > 200 or "\x00" in name:
        raise Invalid("this is not a name", field="name", way_out="give 1 to 200 characters")
    refuse_tags(name, field="name")
    check_schedule(not_before, expires_at, now)
    try:
        content = get_template(session, page.id, template)
    except NotFound as error:
        raise Invalid(error.message, field="template", way_out=error.way_out) from error
    require_filled(content, None, field="template")
    _check_priority(priority, content)
    contacts = [] if audience == EVERYONE else _contacts(session, page.id, audience)
    campaign = Campaign(
        page_id=page.id,
        name=name,
        template_id=_id(content.id),
        audience=EVERYONE if audience == EVERYONE else "list",
        not_before=not_before,
        expires_at=expires_at,
        priority=priority,
        may_wait=may_wait,
        created_at=now,
    )
    session.add(campaign)
    session.flush()
    if contacts:
        session.execute(
            insert(AudienceMember), [{"campaign_id": campaign.id, "contact_id": contact} for contact in contacts]
        )
    record(
        session,
        actor=actor,
        action="campaign.create",
        subject=f"campaign:{campaign.id}",
        detail={"name": name, "template": template, "audience": len(contacts) if contacts else EVERYONE}
        | ({"priority": priority} if priority else {}),
        now=now,
    )
    return campaign


def get_campaign(session: Session, campaign_id: int) -> Campaign:
    """The campaign. Raises NotFound."""
    found = session.get(Campaign, campaign_id) if 0 < campaign_id < 2**63 else None
    if found is None:
        raise NotFound(
            f"there is no campaign {campaign_id}", field="campaign", way_out="`duly campaign list` shows all"
        )
    return found


def lock_campaign(session: Session, campaign_id: int) -> Campaign:
    """The campaign as it is now, locked until the transaction ends. Raises NotFound."""
    get_campaign(session, campaign_id)
    return session.exec(
        select(Campaign)
        .where(Campaign.id == campaign_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()


def list_campaigns(session: Session, *, page_id: int | None, before: int | None, limit: int) -> list[Campaign]:
    """Campaigns, newest first; of one page, and with smaller ids than ``before``, where given."""
    query = select(Campaign).order_by(col(Campaign.id).desc()).limit(limit)
    if page_id is not None:
        query = query.where(Campaign.page_id == page_id)
    if before is not None:
        query = query.where(col(Campaign.id) < before)
    return list(session.exec(query).all())


def end_of(campaign: Campaign, now: int) -> int | None:
    """When the campaign ends if it is launched at ``now``, epoch seconds; None: nothing of it waits, so it has no end.

    Nothing is decided further than 30 days ahead, so what waits is waited for as long.
    """
    if campaign.expires_at is not None or not campaign.may_wait:
        return campaign.expires_at
    return max(now, campaign.not_before or now) + HORIZON


def wish_of(session: Session, campaign: Campaign, now: int) -> Wish:
    """What the campaign wants said, if it is launched at ``now`` or was before."""
    template = session.get_one(Template, campaign.template_id)
    return Wish(
        page_id=campaign.page_id,
        template_id=campaign.template_id,
        category=template.category,
        topic=template.topic,
        not_before=campaign.not_before,
        expires_at=end_of(campaign, now),
        may_wait=campaign.may_wait,
        campaign_id=campaign.id,
        own_priority=campaign.priority,
    )


_EVERYONE = text("""
    SELECT id FROM contact WHERE page_id = :page_id AND id > :after AND id <= :until AND merged_into IS NULL
        AND erased_at IS NULL
    ORDER BY id LIMIT :limit
""")
_LISTED = text("""
    SELECT contact_id FROM audience_member
    WHERE campaign_id = :campaign_id AND contact_id > :after AND contact_id <= :until ORDER BY contact_id LIMIT :limit
""")
_AMONG = text("""
    SELECT contact_id FROM audience_member WHERE campaign_id = :campaign_id AND contact_id = ANY(:contacts)
    ORDER BY contact_id
""")
_LAST = text("SELECT coalesce(max(id), 0) FROM contact WHERE page_id = :page_id")


def audience_chunk(session: Session, campaign: Campaign, *, after: int, until: int, limit: int) -> list[int]:
    """The next contacts of the audience by id: greater than ``after``, up to ``until``, at most ``limit``."""
    values: dict[str, Any] = {"after": after, "until": until, "limit": limit}
    if campaign.audience == EVERYONE:
        rows = session.connection().execute(_EVERYONE, {**values, "page_id": campaign.page_id})
    else:
        rows = session.connection().execute(_LISTED, {**values, "campaign_id": campaign.id})
    return list(rows.scalars())


def still_to_plan(session: Session, campaign: Campaign, contacts: Sequence[int]) -> list[int]:
    """Those of the contacts who are in a launched campaign's audience and whom the planner has not come to yet."""
    until = campaign.plan_until or 0
    ahead = [contact for contact in contacts if campaign.plan_cursor < contact <= until]
    if campaign.audience == EVERYONE or not ahead:
        return ahead
    rows = session.connection().execute(_AMONG, {"campaign_id": campaign.id, "contacts": ahead})
    return list(rows.scalars())


def last_contact(session: Session, page_id: int) -> int:
    """The greatest contact id of the page: whoever comes later is not in an audience taken now."""
    return int(session.connection().execute(_LAST, {"page_id": page_id}).scalar_one())


def _contacts(session: Session, page_id: int, audience: str | Sequence[str]) -> list[int]:
    if isinstance(audience, str):
        raise Invalid(
            f"`{audience[:64]}` is not an audience", field="audience", way_out='use "everyone" or a list of psids'
        )
    if not audience:
        raise Invalid("nobody is in it", field="audience", way_out='list psids, or use "everyone"')
    known = find_contacts(session, page_id, [psid for psid in audience if "\x00" not in psid])
    unknown = sorted({psid for psid in audience if psid not in known})
    if unknown:
        named = ", ".join(f"`{psid[:64]}`" for psid in unknown[:_NAMED])
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise Invalid(
            f"the page knows no contact {named}{more}",
            field="audience",
            way_out="import or save them first, wait until they write, or leave them out",
        )
    # Whoever was merged into somebody is that somebody, once.
    survivors = follow(session, known.values())
    return sorted({survivors.get(contact_id, contact_id) for contact_id in known.values()})


def _check_priority(priority: int, template: Template) -> None:
    if not LOWEST <= priority <= HIGHEST:
        raise Invalid(
            f"{priority} is out of bounds",
            field="priority",
            way_out=f"give {LOWEST} to {HIGHEST}; the higher goes first",
        )
    if priority and template.category != "promotional":
        raise Invalid(
            f"is for promotions, and template `{template.name}` is {template.category}",
            field="priority",
            way_out="leave it out: what is not a promotion goes before all promotions anyway",
        )


def check_schedule(not_before: int | None, expires_at: int | None, now: int) -> None:
    """Raises Invalid, naming the field, where a launch at ``now`` could send to nobody. Instants are epoch seconds."""
    for field, instant in (("not_before", not_before), ("expires_at", expires_at)):
        if instant is not None and not 0 <= instant <= _LAST_INSTANT:
            raise Invalid(
                "is not an instant that can be used", field=field, way_out="give one like 2026-03-28T08:00:00Z"
            )
    if expires_at is not None and expires_at <= now:
        raise Invalid(
            "is past", field="expires_at", way_out="make a campaign with an instant in the future, or without one"
        )
    if not_before is not None and expires_at is not None and not_before >= expires_at:
        raise Invalid("is not before expires_at", field="not_before", way_out="let it begin before it ends")
    if not_before is not None and not_before >= now + HORIZON:
        # Nothing is decided further ahead: everybody would be denied at once.
        raise Invalid(
            f"lies {HORIZON // DAY} days ahead or more",
            field="not_before",
            way_out=f"launch it less than {HORIZON // DAY} days before it begins",
        )


def _id(value: int | None) -> int:
    assert value is not None  # a flushed row has its id
    return value
