"""What a command asks of the engine: a policy, facts and an instant, from its options or from the database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from policies.facts import CATEGORIES, Facts
from policies.policy import Policy, PolicyError, load_policy
from scheduler import clock
from scheduler.cli.policy.told import Told
from scheduler.cli.policy.written import among, read_consent, read_instant, read_send, read_token
from scheduler.contacts.places import check_country, check_region, check_zone
from scheduler.contacts.registry import get_contact
from scheduler.errors import Invalid, NotFound
from scheduler.facts.decisions import contact_facts, for_message, switches
from scheduler.facts.planned import planned_before, scheduled_messages
from scheduler.governance.active import active_policies, policy_by_version
from scheduler.governance.history import read_version
from scheduler.outbox.plan import Wish
from scheduler.outbox.states import UNSENT
from scheduler.outbox.tables import Message
from scheduler.pages.registry import get_page
from scheduler.store import database

_VERSION = re.compile(r"[0-9a-f]{8,64}")


@dataclass(slots=True, kw_only=True)
class Asked:
    """What is asked of the engine."""

    policy: Policy
    facts: Facts
    #: Epoch seconds UTC.
    at: int
    #: What nobody told though the answer may rest on it, each with the option that tells it.
    not_told: tuple[str, ...]


def asked(told: Told) -> Asked:
    """The policy, the facts and the instant that the options name.

    Told by options, nothing needs to run; a contact or a message is read from the database, and options add to it.
    Raises Invalid and NotFound with the option's name and the way out.
    """
    now = clock.now()
    at = now if told.at is None else read_instant("at", told.at, now)
    given = _given(told, at)
    chosen = load(told.policy) if told.policy is not None else None
    stored = told.message is not None or told.contact is not None
    if stored:
        with database.session() as session:
            facts, active = _stored(session, told, at)
        chosen = chosen or active
    else:
        facts = Facts()
        chosen = chosen or load("default")
    for name, value in given.items():
        if value not in (None, (), False):
            setattr(facts, name, value)
    facts.consents += tuple(read_consent(each, at) for each in told.consent)
    facts.tokens += tuple(read_token(each, at) for each in told.token)
    sends = [read_send(each, at, facts.category) for each in told.sent]
    facts.sends += tuple(sorted(sends, key=lambda send: send.at))
    return Asked(policy=chosen, facts=facts, at=at, not_told=() if stored else _not_told(facts))


def load(name: str, *, option: str = "policy") -> Policy:
    """The built-in policy of this name, the one in this file, or the stored one whose version begins so.

    Raises Invalid where it cannot be read, NotFound where no version begins so.
    """
    if _VERSION.fullmatch(name) and not Path(name).exists():
        with database.session() as session:
            return policy_by_version(session, read_version(session, name).version)
    try:
        return load_policy(name)
    except PolicyError as error:
        raise Invalid(str(error), field=option) from error


def _given(told: Told, at: int) -> dict[str, object]:
    # A zone that is read while a message is decided must be one: what is told here is checked like an import.
    flags = (
        "opted_out", "blocked", "unreachable", "erased", "kill_switch", "page_stopped", "campaign_paused",
        "template_approved", "may_wait", "confirms_opt_out", "topic",
    )  # fmt: skip
    instants = (
        "last_inbound", "ad_inbound", "opted_out_at", "handover_at", "not_before", "expires_at",
    )  # fmt: skip
    return {
        "timezones": tuple(check_zone(zone) for zone in told.timezone),
        "utc_offset": None if told.utc_offset is None else round(told.utc_offset * 60),
        "country": None if told.country is None else check_country(told.country),
        "region": None if told.region is None else check_region(told.region),
        "category": None if told.category is None else among("category", told.category, CATEGORIES),
        "opted_out_topics": tuple(told.opted_out_topic),
        "handover": told.handover or told.handover_at is not None,
        **{name: getattr(told, name) for name in flags},
        **{
            name: read_instant(name, written, at)
            for name in instants
            if (written := getattr(told, name)) is not None
        },
    }  # fmt: skip


def _not_told(facts: Facts) -> tuple[str, ...]:
    found = []
    if facts.last_inbound is None and not facts.tokens and not facts.template_approved:
        found.append("when they last wrote (--last-inbound 2h)")
    if not facts.timezones and facts.utc_offset is None and facts.country is None and facts.region is None:
        found.append("where they are (--timezone Europe/Berlin, --country DE)")
    return tuple(found)


def _stored(session: Session, told: Told, at: int) -> tuple[Facts, Policy]:
    """The facts of a stored person, with those of the message or of what was told of one, and the page's policy.

    What is scheduled for the person before such a message counts as planned.
    """
    wish: Message | Wish
    if told.message is not None:
        if told.contact is not None:
            raise Invalid("a message has its person", field="contact", way_out="give --message or --contact, not both")
        found = session.get(Message, told.message)
        if found is None:
            raise NotFound(
                f"there is no message {told.message}", field="message", way_out="`duly message list` shows them"
            )
        wish, contact_id = found, found.contact_id
    else:
        page_name, slash, psid = (told.contact or "").partition("/")
        if not slash:
            raise Invalid(f"`{told.contact}` names nobody", field="contact", way_out="write PAGE/PSID")
        page = get_page(session, page_name)
        assert page.id is not None  # a stored page has its id
        stored = get_contact(session, page.id, psid)
        assert stored.id is not None  # a stored contact has its id
        contact_id = stored.id
        category = told.category or "promotional"
        wish = Wish(page_id=page.id, template_id=0, category=category, topic=told.topic)
    policy = active_policies(session, [wish.page_id]).of(wish.page_id)
    if policy is None:
        raise NotFound("the page has no active policy", field="policy", way_out="name one with --policy")
    known = contact_facts(session, [contact_id], at)[contact_id]
    facts = for_message(known, wish, switches(session))
    scheduled = scheduled_messages(session, [contact_id], at, least=wish.priority).get(contact_id, ())
    own_place = wish.id if isinstance(wish, Message) and wish.state in UNSENT else None
    facts.planned = planned_before(scheduled, wish.priority, own_place)
    return facts, policy
