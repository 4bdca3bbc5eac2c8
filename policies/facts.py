"""What a decision is taken from: one contact, one message, and what was sent to the contact before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(slots=True, kw_only=True)
class Send:
    """An earlier send to the same contact: begun, and not refused."""

    #: When it began, epoch seconds UTC.
    at: int
    category: str
    ground: str | None = None
    #: It was the one message that confirms an opt-out.
    confirms_opt_out: bool = False


@dataclass(slots=True, kw_only=True)
class Planned:
    """Another message that is scheduled for the same contact and is of no lower priority: a forecast of a send."""

    #: When it is to begin, epoch seconds UTC.
    at: int
    category: str
    ground: str | None = None
    #: What it belongs to, such as "campaign 3" or "event 12".
    owner: str = ""


@dataclass(slots=True, kw_only=True)
class Consent:
    """Something the person agreed to, as the ledger holds it."""

    #: None: any topic.
    topic: str | None = None
    #: "express", "implied" (from a purchase, an inquiry, …) or "night" (South Korea's separate consent to the night).
    kind: str
    granted_at: int
    #: None: as long as the jurisdiction lets it last.
    expires_at: int | None = None


@dataclass(slots=True, kw_only=True)
class Token:
    """A permission to write outside the window that the person granted on the platform."""

    #: "marketing", "recurring" or "one_time".
    kind: str
    #: The topic that it serves. None: any.
    topic: str | None = None
    #: None: it does not expire.
    expires_at: int | None = None
    last_used_at: int | None = None


@dataclass(slots=True, kw_only=True)
class Facts:
    """Everything the rules may look at. Instants are epoch seconds UTC.

    Not frozen, because millions are made: whoever holds one treats it as a value.
    """

    #: Stated IANA zones; several are candidates, none means no such evidence.
    timezones: tuple[str, ...] = ()
    #: A numeric profile offset, minutes east of UTC.
    utc_offset: int | None = None
    #: ISO 3166-1 alpha-2.
    country: str | None = None
    #: ISO 3166-2, such as "US-FL".
    region: str | None = None
    locale: str | None = None
    #: The newest platform event that opens the messaging window.
    last_inbound: int | None = None
    #: The person's first message after they clicked a Click-to-Messenger advertisement.
    ad_inbound: int | None = None
    opted_out: bool = False
    #: When they last asked for no more messages; None: not known.
    opted_out_at: int | None = None
    opted_out_topics: tuple[str, ...] = ()
    blocked: bool = False
    unreachable: bool = False
    erased: bool = False
    #: The page is in test mode and the contact is not on its allow-list.
    not_allowed: bool = False
    #: A person of the team has the thread.
    handover: bool = False
    #: When they last wrote, or took the thread. None: not known, so nothing times out.
    handover_at: int | None = None
    #: Somebody has to look at them first: an event of theirs could not be applied, or ``under_review``.
    held: bool = False
    #: They may have opted out, in words that somebody has to judge: why they are held, if nothing else is.
    under_review: bool = False
    consents: tuple[Consent, ...] = ()
    tokens: tuple[Token, ...] = ()
    #: Earlier sends of the last 30 days.
    sends: tuple[Send, ...] = ()
    #: What gaps and caps are to count before it has begun. Never given where a message is about to begin.
    planned: tuple[Planned, ...] = ()
    #: "promotional", "utility" or "service".
    category: str = "promotional"
    topic: str | None = None
    not_before: int | None = None
    expires_at: int | None = None
    #: Where only the missing ground or the unknown zone denies it, it waits for the person instead.
    may_wait: bool = False
    #: The platform approved the message's utility template.
    template_approved: bool = False
    #: The message does nothing but confirm an opt-out: the one exemption from it.
    confirms_opt_out: bool = False
    kill_switch: bool = False
    campaign_paused: bool = False
    page_stopped: bool = False


CATEGORIES = ("promotional", "utility", "service")
#: The widest offsets of clocks on earth, in minutes east of UTC: the least and the most.
UTC_OFFSETS = (-12 * 60, 14 * 60)
#: The offsets that clocks have anywhere, minutes: whole hours, and the others of tzdata's zones (a test compares).
OFFSETS_IN_USE = frozenset(range(UTC_OFFSETS[0], UTC_OFFSETS[1] + 1, 60)) | {
    -570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825
}  # fmt: skip


def with_message(
    contact: Facts, *, category: str, topic: str | None, not_before: int | None, expires_at: int | None,
    may_wait: bool, template_approved: bool, kill_switch: bool, campaign_paused: bool,
) -> Facts:  # fmt: skip
    """The contact's facts with those of one message to them; the given ones stay as they are.

    Spelt out, because it is done for every message planned or sent: ``dataclasses.replace`` takes twice as long.
    """
    return Facts(
        timezones=contact.timezones,
        utc_offset=contact.utc_offset,
        country=contact.country,
        region=contact.region,
        locale=contact.locale,
        last_inbound=contact.last_inbound,
        ad_inbound=contact.ad_inbound,
        opted_out=contact.opted_out,
        opted_out_at=contact.opted_out_at,
        opted_out_topics=contact.opted_out_topics,
        blocked=contact.blocked,
        unreachable=contact.unreachable,
        erased=contact.erased,
        not_allowed=contact.not_allowed,
        handover=contact.handover,
        handover_at=contact.handover_at,
        held=contact.held,
        under_review=contact.under_review,
        consents=contact.consents,
        tokens=contact.tokens,
        sends=contact.sends,
        planned=contact.planned,
        category=category,
        topic=topic,
        not_before=not_before,
        expires_at=expires_at,
        may_wait=may_wait,
        template_approved=template_approved,
        confirms_opt_out=contact.confirms_opt_out,
        kill_switch=kill_switch,
        campaign_paused=campaign_paused,
        page_stopped=contact.page_stopped,
    )


_DEFAULTS = Facts()
_NAMES = tuple(field.name for field in fields(Facts))
_TUPLES = {"timezones", "opted_out_topics"}
#: Tuples of values, each written as a list of its fields in their order; trailing ones at their defaults left out.
_RECORDS: dict[str, type[Send | Planned | Consent | Token]] = {
    "sends": Send, "planned": Planned, "consents": Consent, "tokens": Token,
}  # fmt: skip
_FIELDS = {kind: fields(kind) for kind in (Send, Planned, Consent, Token)}


def facts_to_json(facts: Facts) -> dict[str, object]:
    """The facts as plain JSON values, those at their defaults left out. Lossless: ``facts_from_json`` reads it back."""
    stored: dict[str, object] = {}
    for name in _NAMES:
        value = getattr(facts, name)
        if value == getattr(_DEFAULTS, name):
            continue
        if name in _RECORDS:
            stored[name] = [_record_to_json(each) for each in value]
        else:
            stored[name] = list(value) if name in _TUPLES else value
    return stored


def facts_from_json(stored: Mapping[str, object]) -> Facts:
    """The facts that ``facts_to_json`` wrote. Raises ValueError on an unknown name."""
    values: dict[str, object] = {}
    for name, value in stored.items():
        if name not in _NAMES:
            raise ValueError(f"`{name}` is not a fact; known are {', '.join(_NAMES)}")
        if name in _RECORDS:
            assert isinstance(value, list)
            kind = _RECORDS[name]
            names = [each.name for each in _FIELDS[kind]]
            values[name] = tuple(kind(**dict(zip(names, each, strict=False))) for each in value)
        elif name in _TUPLES:
            assert isinstance(value, list)
            values[name] = tuple(value)
        else:
            values[name] = value
    return Facts(**values)  # type: ignore[arg-type]  # the names were checked; the values are those we wrote


def _record_to_json(record: Send | Planned | Consent | Token) -> list[object]:
    values = [(getattr(record, each.name), each.default) for each in _FIELDS[type(record)]]
    while len(values) > 3 and values[-1][0] == values[-1][1]:
        values.pop()
    return [value for value, _ in values]
