"""Jurisdictions' packs, ``packs/law/<ISO code>.toml``: research notes with their sources, not legal advice."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

from policies.countries import known_countries, known_place
from policies.law_terms import CONSENT_KINDS, SCOPES, UNITS, ConsentLaw, Duty, Moratorium, OptOutLaw, Upcoming
from policies.local_time import known_zones
from policies.readers import HOURS_KEYS, read_cap, read_day, read_duration, read_hours, read_span
from policies.terms import Cap, Hours, Source
from policies.territories import UNIONS, territories
from policies.toml_source import PolicyError, Table, read_toml

#: Courtesy: whoever may not be texted at an hour shall not be written to in an app either.
_COURTESY = frozenset(
    {"sms", "mms", "app_push", "messaging_app", "web_messaging", "social_messaging", "any_electronic"}
)
#: Packs' hours and caps bind promotional messages only, whatever their subject.
_BOUND = ("promotional",)
_REACHES = ("yes", "likely", "unclear", "no")
#: Of these, what counts as reaching messages in an app.
_REACHED = ("yes", "likely")

CHANNELS = (
    "voice", "fax", "sms", "mms", "email", "app_push", "messaging_app", "web_messaging", "social_messaging",
    "any_electronic",
)  # fmt: skip
#: Where a rule's authority comes from; "a/b" where it has two.
BASES = ("statute", "regulation", "industry_code", "carrier_rule", "vendor_practice")
#: How a fact was checked: the text itself was seen, somebody's summary of it, or neither; "a/b" where parts differ.
CHECKED = ("primary", "secondary", "memory")
CONFIDENCE = ("high", "medium", "low")


@dataclass(frozen=True, slots=True, kw_only=True)
class JurisdictionPack:
    """What one country or region asks of marketing messages."""

    code: str
    name: str
    #: A region's own zones; a country's come from tzdata.
    zones: tuple[str, ...]
    #: The countries that a union is made of; empty for a country or region.
    members: tuple[str, ...]
    #: The age of what was read.
    as_of: date
    reviewed_on: date
    confidence: str
    note: str
    hours: tuple[Hours, ...]
    caps: tuple[Cap, ...]
    consent: ConsentLaw | None
    opt_out: OptOutLaw | None
    upcoming: tuple[Upcoming, ...]
    duties: tuple[Duty, ...]
    moratoria: tuple[Moratorium, ...]


@cache
def jurisdiction_pack(code: str) -> JurisdictionPack | None:
    """The pack of an ISO 3166 code, or None where there is none."""
    return read_pack(code) if code in jurisdictions_with_packs() else None


@cache
def jurisdictions_with_packs() -> frozenset[str]:
    """The ISO codes that have a pack."""
    folder = resources.files("policies").joinpath("packs", "law")
    return frozenset(each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml"))


def binding_hours(code: str, mode: str) -> tuple[Hours, ...]:
    """The hours of a jurisdiction that bind in this mode ("courtesy", "legal" or "off")."""
    pack = jurisdiction_pack(code)
    return tuple(each for each in pack.hours if reaches(each.source, mode)) if pack else ()


def binding_caps(code: str, mode: str) -> tuple[Cap, ...]:
    """The caps of a jurisdiction that bind in this mode."""
    pack = jurisdiction_pack(code)
    return tuple(each for each in pack.caps if reaches(each.source, mode)) if pack else ()


def reaches(source: Source | None, mode: str) -> bool:
    """Whether a pack's rule binds our messages in this mode."""
    if source is None or mode == "off":
        return False
    if mode == "legal":
        return source.app_messages in _REACHED
    return not _COURTESY.isdisjoint(source.channels)


def binding_consent(code: str, mode: str) -> ConsentLaw | None:
    """What a jurisdiction asks of consent in this mode; None where it asks nothing, or nobody looked.

    "courtesy" binds every entry, "legal" those that reach messages in an app, "off" none.
    """
    pack = jurisdiction_pack(code)
    if pack is None or pack.consent is None or mode == "off":
        return None
    return pack.consent if mode == "courtesy" or pack.consent.source.app_messages in _REACHED else None


def binding_duties(code: str, mode: str) -> tuple[Duty, ...]:
    """What a jurisdiction asks of senders beside hours, caps and consent, in this mode."""
    pack = jurisdiction_pack(code)
    return tuple(each for each in pack.duties if reaches(each.source, mode)) if pack else ()


@cache
def unions_of(country: str) -> tuple[str, ...]:
    """The unions with rules of their own (such as "EU") that this country, or territory of one, is part of."""
    territory = territories().get(country)
    return tuple(
        code
        for code in UNIONS
        if (territory is not None and territory.union == code)
        or ((pack := jurisdiction_pack(code)) and country in pack.members)
    )


def read_pack(code: str) -> JurisdictionPack:
    """Read ``packs/law/<code>.toml``. Raises PolicyError where it is wrong."""
    text = resources.files("policies").joinpath("packs", "law", f"{code}.toml").read_text(encoding="utf-8")
    return parse_pack(text, code, where=f"packs/law/{code}.toml")


def parse_pack(text: str, code: str, *, where: str) -> JurisdictionPack:
    """The pack of the jurisdiction ``code`` that ``text`` states. Raises PolicyError with file, line and key."""
    document = read_toml(text, where=where)
    about = document.table("jurisdiction")
    if about is None:
        raise PolicyError(where, 1, "jurisdiction", "the table is missing")
    if about.text("code") != code:
        raise about.error("code", f"is not the file's own, `{code}`")
    if code not in UNIONS and not known_place(code):
        raise about.error("code", f"`{code}` is not a country, a region of one, or one of {', '.join(UNIONS)}")
    ids: set[str] = set()
    pack = JurisdictionPack(
        code=code,
        name=about.text("name"),
        zones=_zones(about),
        members=_members(about, code),
        as_of=read_day(about, "as_of"),
        reviewed_on=read_day(about, "reviewed_on"),
        confidence=about.choice("confidence", CONFIDENCE),
        note=about.text("note", ""),
        hours=tuple(_hours(entry, code, ids) for entry in document.tables("permitted_hours")),
        caps=tuple(_cap(entry, code, ids) for entry in document.tables("frequency_cap")),
        consent=_consent(document.table("consent"), code),
        opt_out=_opt_out(document.table("opt_out"), code),
        upcoming=tuple(read_upcoming(entry) for entry in document.tables("upcoming")),
        duties=tuple(_duty(entry, code, ids) for entry in document.tables("duty")),
        moratoria=tuple(_moratorium(entry) for entry in document.tables("moratorium")),
    )
    about.done()
    document.done()
    return pack


def read_upcoming(entry: Table) -> Upcoming:
    """An entry of ``upcoming``: a date, what changes then, who says so."""
    found = Upcoming(on=read_day(entry, "on"), what=entry.text("what"), source=entry.text("source"))
    entry.done()
    return found


def _zones(about: Table) -> tuple[str, ...]:
    zones = about.texts("zones", ())
    for name in zones:
        if name not in known_zones():
            raise about.error("zones", f"`{name}` is not an IANA time zone, such as America/Chicago")
    return zones


def _members(about: Table, code: str) -> tuple[str, ...]:
    if not about.has("members"):
        return ()
    if code not in UNIONS:
        raise about.error("members", f"only a union has members: {', '.join(UNIONS)}")
    members = about.texts("members")
    for country in members:
        if country not in known_countries():
            raise about.error("members", f"`{country}` is not an ISO 3166-1 country code, such as FR")
    return members


def _hours(entry: Table, code: str, ids: set[str]) -> Hours:
    found = read_hours(entry, source=_source(entry, code, channels=True), applies_to=_BOUND)
    _once(entry, found.id, ids)
    if (entry.has("holiday") or entry.has("before_holiday")) != entry.has("holidays"):
        raise entry.error("holidays", "and a row `holiday` or `before_holiday` go together")
    entry.done(also=HOURS_KEYS)
    return found


def _cap(entry: Table, code: str, ids: set[str]) -> Cap:
    found = read_cap(entry, source=_source(entry, code, channels=True), applies_to=_BOUND)
    _once(entry, found.id, ids)
    entry.done()
    return found


def _once(entry: Table, id_: str, ids: set[str]) -> None:
    if id_ in ids:
        raise entry.error("id", f"`{id_}` is here twice")
    ids.add(id_)


def _consent(table: Table | None, code: str) -> ConsentLaw | None:
    if table is None:
        return None
    kinds = table.texts("kinds")
    if not kinds or not set(kinds) <= set(CONSENT_KINDS):
        raise table.error("kinds", f"must be one or both of {', '.join(CONSENT_KINDS)}")
    found = ConsentLaw(
        kinds=kinds,
        express_lasts=read_span(table, "express_lasts"),
        implied_lasts=read_span(table, "implied_lasts"),
        implied_at_most=read_span(table, "implied_at_most"),
        source=_source(table, code, channels=False),
    )
    for kind, keys in (("express", ("express_lasts",)), ("implied", ("implied_lasts", "implied_at_most"))):
        for key in keys:
            if kind not in kinds and table.has(key):
                raise table.error(key, f"speaks of {kind} consent, which is not among `kinds`")
    table.done()
    return found


def _opt_out(table: Table | None, code: str) -> OptOutLaw | None:
    if table is None:
        return None
    found = OptOutLaw(
        honour_within=table.whole("honour_within", least=0),
        unit=table.choice("unit", UNITS),
        words=table.texts("words", ()),
        confirmation=table.flag("confirmation"),
        confirmation_within=(read_duration(table, "confirmation_within") if table.has("confirmation_within") else None),
        scope=table.choice("scope", SCOPES),
        kept_for=table.text("kept_for", ""),
        source=_source(table, code, channels=False),
        later=(read_day(table, "later_on"), table.choice("later_scope", SCOPES)) if table.has("later_on") else None,
    )
    read_span(table, "kept_for")
    if found.confirmation_within is not None and not found.confirmation:
        raise table.error("confirmation_within", "says how soon a confirmation goes that the law does not allow")
    if (found.unit == "immediate") != (found.honour_within == 0):
        raise table.error("honour_within", "is 0 where the unit is `immediate`, and only there")
    table.done()
    return found


def _duty(entry: Table, code: str, ids: set[str]) -> Duty:
    found = Duty(
        id=entry.text("id"),
        since=read_day(entry, "since"),
        what=entry.text("what"),
        source=_source(entry, code, channels=True),
    )
    _once(entry, found.id, ids)
    entry.done()
    return found


def _moratorium(entry: Table) -> Moratorium:
    found = Moratorium(
        kind=entry.choice("kind", ("state_of_emergency",)),
        effect=entry.text("effect"),
        checked=entry.choice("checked", CHECKED),
        source=entry.text("source"),
    )
    entry.done()
    return found


def _source(entry: Table, code: str, *, channels: bool) -> Source:
    return Source(
        jurisdiction=code,
        citation=entry.text("citation"),
        basis="/".join(_among(entry, "basis", entry.text("basis").split("/"), BASES)),
        channels=_among(entry, "channels", entry.texts("channels"), CHANNELS) if channels else (),
        app_messages=entry.choice("app_messages", _REACHES),
        checked="/".join(_among(entry, "checked", entry.text("checked").split("/"), CHECKED)),
        confidence=entry.choice("confidence", CONFIDENCE),
        urls=entry.texts("sources"),
        note=entry.text("note", ""),
    )


def _among(entry: Table, key: str, values: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    values = tuple(values)
    for value in values:
        if value not in known:
            raise entry.error(key, f"`{value}` is none of {', '.join(known)}")
    return values
