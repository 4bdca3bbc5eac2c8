"""Facts told on the command line: the options that commands share, and what they come to."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from sqlmodel import Session

from policies.facts import CATEGORIES, Consent, Facts, Send, Token
from policies.policy import Policy, PolicyError, load_policy
from policies.terms import duration
from scheduler import clock
from scheduler.api.instants import parse_instant
from scheduler.contacts.places import check_country, check_region, check_zone
from scheduler.contacts.registry import get_contact
from scheduler.errors import Invalid, NotFound
from scheduler.facts.decisions import contact_facts, for_message, switches
from scheduler.governance.active import active_policies, policy_by_version
from scheduler.governance.history import read_version
from scheduler.outbox.plan import Wish
from scheduler.outbox.tables import Message
from scheduler.pages.registry import get_page
from scheduler.store import database

#: How long before ``--at``, or after it.
_SPAN = re.compile(r"(\+?)(?=\d)(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?( ago)?")
#: An instant as people write it, without its seconds.
_NO_SECONDS = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d)([Zz]|[+-]\d\d:\d\d)")
_WHEN = "an instant like 2026-03-28T08:00Z, or how long before --at: 90m, 2h, 3d (+2h: after it)"
_VERSION = re.compile(r"[0-9a-f]{8,64}")
_CONSENTS = ("express", "implied", "night")
_TOKENS = ("marketing", "recurring", "one_time")


def _option(words: str, **more: Any) -> Any:
    return typer.Option(help=words, **more)


def _flag(name: str, words: str) -> Any:
    return typer.Option(name, help=words)


@dataclass(slots=True, kw_only=True)
class Told:
    """What the options said, as it was typed."""

    policy: Annotated[
        str | None, _option("A built-in policy, a file, or a version. Default: the page's active one, or `default`.")
    ] = None
    at: Annotated[
        str | None, _option("When: an instant like 2026-03-28T08:00Z, or how long ago: 90m, 2h, 3d. Default: now.")
    ] = None
    message: Annotated[int | None, _option("A stored message: its person and its content.", min=1)] = None
    contact: Annotated[str | None, _option("A stored person, PAGE/PSID.")] = None
    timezone: Annotated[list[str], _option("An IANA zone; several are candidates.")] = field(default_factory=list)
    utc_offset: Annotated[float | None, _option("The offset a profile tells, in hours.", min=-14, max=14)] = None
    country: Annotated[str | None, _option("ISO 3166-1 alpha-2.")] = None
    region: Annotated[str | None, _option("ISO 3166-2, US-FL.")] = None
    last_inbound: Annotated[str | None, _option(f"The person's last message: {_WHEN}.")] = None
    ad_inbound: Annotated[
        str | None, _option("Their first message after a click on a Click-to-Messenger advertisement.")
    ] = None
    consent: Annotated[
        list[str],
        _option(f"KIND, and perhaps ,granted=WHEN ,expires=WHEN ,topic=TOPIC; KIND is {', '.join(_CONSENTS)}."),
    ] = field(default_factory=list)
    token: Annotated[
        list[str],
        _option(
            f"KIND, and perhaps ,used=WHEN ,expires=WHEN ,topic=TOPIC; KIND is {', '.join(_TOKENS)}. May be repeated."
        ),
    ] = field(default_factory=list)
    sent: Annotated[
        list[str],
        _option(f"An earlier send: WHEN, and perhaps ,category=… ,ground=…; WHEN is {_WHEN}. May be repeated."),
    ] = field(default_factory=list)
    opted_out: Annotated[bool, _flag("--opted-out", "They asked for no messages.")] = False
    opted_out_topic: Annotated[list[str], _option("They asked for none on this topic.")] = field(default_factory=list)
    opted_out_at: Annotated[str | None, _option("When they asked for no more.")] = None
    blocked: Annotated[bool, _flag("--blocked", "They blocked the page.")] = False
    unreachable: Annotated[bool, _flag("--unreachable", "The platform does not know them.")] = False
    erased: Annotated[bool, _flag("--erased", "Their data was erased.")] = False
    handover: Annotated[bool, _flag("--handover", "A person of the team has the thread.")] = False
    handover_at: Annotated[str | None, _option("When that person last wrote or took it; implies --handover.")] = None
    kill_switch: Annotated[bool, _flag("--kill-switch", "A kill switch is engaged.")] = False
    page_stopped: Annotated[bool, _flag("--page-stopped", "The page is stopped.")] = False
    campaign_paused: Annotated[bool, _flag("--campaign-paused", "The campaign is paused.")] = False
    category: Annotated[str | None, _option(f"{', '.join(CATEGORIES)}. Default: promotional.")] = None
    topic: Annotated[str | None, _option("The message's topic.")] = None
    template_approved: Annotated[bool, _flag("--template-approved", "It is an approved utility template.")] = False
    confirms_opt_out: Annotated[bool, _flag("--confirms-opt-out", "It does nothing but confirm an opt-out.")] = False
    not_before: Annotated[str | None, _option("Not before this instant.")] = None
    expires_at: Annotated[str | None, _option("Not from this instant on.")] = None


@dataclass(slots=True, kw_only=True)
class Asked:
    """What is asked of the engine."""

    policy: Policy
    facts: Facts
    #: Epoch seconds UTC.
    at: int
    #: What nobody told though the answer may rest on it, each with the option that tells it.
    not_told: tuple[str, ...]


def tells(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of ``Told``; it takes them together as its first parameter."""

    @wraps(command)
    def wrapped(**given: Any) -> None:
        told = Told(**{each.name: given.pop(each.name) for each in fields(Told)})
        command(told, **given)

    hints = get_type_hints(Told, include_extras=True)
    own = get_type_hints(command, include_extras=True)
    blank = Told()
    parameters = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=getattr(blank, each.name), annotation=hints[each.name]
        )
        for each in fields(Told)
    ]
    parameters += [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own[each.name])
        for each in list(inspect.signature(command).parameters.values())[1:]
    ]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # this is how it is told
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapped


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
    facts.consents += tuple(_consent(each, at) for each in told.consent)
    facts.tokens += tuple(_token(each, at) for each in told.token)
    sends = [_send(each, at, facts.category) for each in told.sent]
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


def read_instant(option: str, given: str, at: int) -> int:
    """Epoch seconds of an instant told on the command line; ``90m`` is so long before ``at``, ``+90m`` after it."""
    span = _SPAN.fullmatch(given.strip())
    if span is not None:
        return at + _seconds(span) if span[1] else at - _seconds(span)
    try:
        found = parse_instant(_NO_SECONDS.sub(r"\1:00\2", given.strip()))
    except ValueError as error:
        way_out = "or say how long ago it was: 90m, 2h, 3d"
        raise Invalid(f"`{given}` {error}", field=option, way_out=way_out) from error
    assert isinstance(found, int)
    return found


def read_span(option: str, given: str, *, longest: int) -> int:
    """Seconds of a span such as 48h or 90d, at most ``longest``. Raises Invalid."""
    found = _SPAN.fullmatch(given.strip())
    seconds = _seconds(found) if found else 0
    if not found or found[1] or found[6] or not 0 < seconds <= longest:
        raise Invalid(
            f"`{given}` is no span of time",
            field=option,
            way_out=f"write it like 48h or 7d, at most {duration(longest)}",
        )
    return seconds


def _seconds(span: re.Match[str]) -> int:
    return sum(
        int(count) * size for count, size in zip(span.groups()[1:5], (86_400, 3600, 60, 1), strict=True) if count
    )


def _given(told: Told, at: int) -> dict[str, object]:
    # A zone that is read while a message is decided must be one: what is told here is checked like an import.
    flags = (
        "opted_out", "blocked", "unreachable", "erased", "kill_switch", "page_stopped", "campaign_paused",
        "template_approved", "confirms_opt_out", "topic",
    )  # fmt: skip
    instants = (
        "last_inbound", "ad_inbound", "opted_out_at", "handover_at", "not_before", "expires_at",
    )  # fmt: skip
    return {
        "timezones": tuple(check_zone(zone) for zone in told.timezone),
        "utc_offset": None if told.utc_offset is None else round(told.utc_offset * 60),
        "country": None if told.country is None else check_country(told.country),
        "region": None if told.region is None else check_region(told.region),
        "category": None if told.category is None else _among("category", told.category, CATEGORIES),
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


def _consent(written: str, at: int) -> Consent:
    kind, more = _parts("consent", written, ("granted", "expires", "topic"))
    granted, expires = more.get("granted"), more.get("expires")
    return Consent(
        kind=_among("consent", kind, _CONSENTS),
        topic=more.get("topic"),
        granted_at=at if granted is None else read_instant("consent", granted, at),
        expires_at=None if expires is None else read_instant("consent", expires, at),
    )


def _token(written: str, at: int) -> Token:
    kind, more = _parts("token", written, ("used", "expires", "topic"))
    used, expires = more.get("used"), more.get("expires")
    return Token(
        kind=_among("token", kind, _TOKENS),
        topic=more.get("topic"),
        last_used_at=None if used is None else read_instant("token", used, at),
        expires_at=None if expires is None else read_instant("token", expires, at),
    )


def _send(written: str, at: int, category: str) -> Send:
    when, more = _parts("sent", written, ("category", "ground"))
    return Send(
        at=read_instant("sent", when, at),
        category=_among("sent", more["category"], CATEGORIES) if "category" in more else category,
        ground=more.get("ground"),
    )


def _parts(option: str, written: str, known: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """``first,key=value,key=value`` taken apart."""
    first, *rest = (part.strip() for part in written.split(","))
    found: dict[str, str] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals or key not in known or key in found or not value:
            raise Invalid(
                f"`{part}` of `{written}` says nothing",
                field=option, way_out=f"write {', '.join(f'{name}=…' for name in known)}, each once",
            )  # fmt: skip
        found[key] = value
    return first, found


def _among(option: str, given: str, known: tuple[str, ...]) -> str:
    if given not in known:
        what = "is not a category" if known is CATEGORIES else "is no kind"
        raise Invalid(f"`{given}` {what}", field=option, way_out=f"use one of {', '.join(known)}")
    return given


def _stored(session: Session, told: Told, at: int) -> tuple[Facts, Policy]:
    """The facts of a stored person, with those of the message or of what was told of one, and the page's policy."""
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
    return for_message(known, wish, switches(session)), policy
