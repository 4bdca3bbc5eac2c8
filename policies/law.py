"""Jurisdictions' packs, ``packs/law/<ISO code>.toml``: research notes with their sources, not legal advice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

from policies.local_time import known_zones
from policies.readers import read_cap, read_hours
from policies.terms import WEEKDAYS, Cap, Hours, Source
from policies.toml_source import PolicyError, Table, read_toml

#: Courtesy: whoever may not be texted at an hour shall not be written to in an app either.
_COURTESY = frozenset(
    {"sms", "mms", "app_push", "messaging_app", "web_messaging", "social_messaging", "any_electronic"}
)
#: Packs' hours and caps bind promotional messages only, whatever their subject.
_BOUND = ("promotional",)
_REACHES = ("yes", "likely", "unclear", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class JurisdictionPack:
    """What one country or region asks of marketing messages."""

    code: str
    name: str
    #: A region's own zones; a country's come from tzdata.
    zones: tuple[str, ...]
    as_of: date
    reviewed_on: date
    hours: tuple[Hours, ...]
    caps: tuple[Cap, ...]


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
        return source.app_messages in ("yes", "likely")
    return not _COURTESY.isdisjoint(source.channels)


def read_pack(code: str) -> JurisdictionPack:
    """Read ``packs/law/<code>.toml``. Raises PolicyError where it is wrong."""
    where = f"packs/law/{code}.toml"
    text = resources.files("policies").joinpath("packs", "law", f"{code}.toml").read_text(encoding="utf-8")
    document = read_toml(text, where=where)
    about = document.table("jurisdiction")
    if about is None:
        raise PolicyError(where, 1, "jurisdiction", "the table is missing")
    if about.text("code") != code:
        raise about.error("code", "is not the file's own")
    pack = JurisdictionPack(
        code=code,
        name=about.text("name"),
        zones=about.texts("zones", ()),
        as_of=_day(about, "as_of"),
        reviewed_on=_day(about, "reviewed_on"),
        hours=tuple(
            read_hours(entry, source=_source(entry, code), applies_to=_BOUND)
            for entry in document.tables("permitted_hours")
        ),
        caps=tuple(
            read_cap(entry, source=_source(entry, code), applies_to=_BOUND)
            for entry in document.tables("frequency_cap")
        ),
    )
    for name in pack.zones:
        if name not in known_zones():
            raise about.error("zones", f"`{name}` is no time zone")
    about.done()
    document.done()
    return pack


def _source(entry: Table, code: str) -> Source:
    source = Source(
        jurisdiction=code,
        citation=entry.text("citation"),
        basis=entry.text("basis"),
        channels=entry.texts("channels"),
        app_messages=entry.choice("app_messages", _REACHES),
        checked=entry.text("checked"),
        confidence=entry.choice("confidence", ("high", "medium", "low")),
        urls=entry.texts("sources"),
        note=entry.text("note", ""),
    )
    entry.done(also=("id", "daily", *WEEKDAYS, "limit", "per"))
    return source


def _day(table: Table, key: str) -> date:
    value = table.raw(key)
    if not isinstance(value, date):
        raise table.error(key, "must be a date, such as 2026-11-21")
    return value
