"""What one cell means: each field's own reading. Every function raises Invalid for what it cannot be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from policies.country_codes import instead_of
from scheduler.contacts.country_names import country_named
from scheduler.contacts.places import check_country, check_locale, check_region, check_zones, in_country, odd_zones
from scheduler.contacts.profiles import offset_minutes
from scheduler.contacts.psids import ROUNDED, check_psid, is_placeholder, is_word_for_nothing, looks_rounded
from scheduler.errors import Invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-]?)(\d{1,2})(?::(\d\d)|\.(\d{1,2}))?", re.IGNORECASE)
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")
_YES = frozenset({"yes", "true", "y", "1", "x"})
_NO = frozenset({"no", "false", "n", "0"})
_MAX_TEXT = 500
_LONGEST_PLACEHOLDER = 16
_MAX_WORDING = 10_000
_MAX_TOPIC = 200
_KINDS = ("express", "implied", "night")
_CONSENT = ("topic", "kind", "source", "wording", "granted_at", "expires_at")

#: A consent as it is staged: the members of ``_CONSENT``, instants in epoch seconds.
Consent = dict[str, Any]
#: An opt-out as it is staged: topic, category, at.
OptOut = dict[str, Any]
_CATEGORIES = ("promotional", "utility", "service")


def psid(cell: str) -> str:
    """The platform's id of the person."""
    return check_psid(cell)


def text(cell: str, most: int = _MAX_TEXT) -> str:
    """Plain text."""
    if len(cell) > most:
        raise Invalid(f"has {len(cell)} characters")
    return cell


@lru_cache(maxsize=4096)
def locale(cell: str) -> str:
    """A locale. ``nan`` would be one, too: a language of China."""
    return check_locale(_value(cell))


@lru_cache(maxsize=1024)
def country(cell: str) -> str:
    """An ISO 3166-1 code, also from the country's name in one of several languages."""
    try:
        return check_country(cell)
    except Invalid as error:
        named = country_named(cell)
        if named is None:
            advice = instead_of(cell)
            raise Invalid(f"{error.message}: {advice}" if advice else error.message) from None
        return named


region = lru_cache(maxsize=8192)(check_region)
#: A million rows are in some hundred places.
region_in_country = lru_cache(maxsize=8192)(in_country)
odd_places = lru_cache(maxsize=8192)(odd_zones)


@lru_cache(maxsize=4096)
def _zones(cell: str) -> tuple[str, ...]:
    return tuple(check_zones([part for part in (part.strip() for part in cell.split("|")) if part]))


def timezone(cell: str) -> list[str]:
    """One IANA zone, or candidates with ``|`` between them."""
    return list(_zones(cell))


@lru_cache(maxsize=1024)
def utc_offset(cell: str) -> int:
    """Minutes east of UTC, from hours as people write them."""
    found = _OFFSET.fullmatch(cell.replace("−", "-"))
    minutes = None
    if found is not None:
        sign, hours, past, fraction = found.groups()
        if past is None or int(past) < 60:
            size = int(hours) + (int(past) / 60 if past else float(f"0.{fraction}") if fraction else 0.0)
            minutes = offset_minutes(-size if sign == "-" else size)
    if minutes is None:
        shown = "".join(each if each.isprintable() else "\ufffd" for each in cell[:_LONGEST_PLACEHOLDER])
        more = "…" if len(cell) > _LONGEST_PLACEHOLDER else ""
        raise Invalid(f"`{shown}{more}` is not an offset that clocks have anywhere, in hours")
    return minutes


def instant(cell: str) -> int:
    """Epoch seconds of an ISO 8601 instant with its offset."""
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise Invalid("is not an instant") from None
    if moment.tzinfo is None:
        raise Invalid("has no offset, so nobody can tell which instant it is")
    epoch = (moment - _EPOCH) // timedelta(seconds=1)
    if epoch < 0:
        raise Invalid("is before 1970")
    return epoch


def yes_or_no(cell: str) -> bool:
    """yes or no."""
    folded = cell.casefold()
    if folded in _YES:
        return True
    if folded in _NO:
        return False
    raise Invalid("is neither yes nor no")


def topic(cell: str) -> str:
    """A topic."""
    return text(cell, _MAX_TOPIC)


def topics(cell: str) -> list[str | None]:
    """Topics with ``|`` between them; None is everything."""
    parts = [part.strip() for part in cell.split("|")]
    return list(dict.fromkeys(None if part == "*" else topic(part) for part in parts if part)) or [None]


def kind(cell: str) -> str:
    """A kind of consent."""
    folded = cell.casefold()
    if folded not in _KINDS:
        raise Invalid("is not a kind of consent")
    return folded


def wording(cell: str) -> str:
    """The words that were agreed to."""
    if cell.startswith("sha256:"):
        raise Invalid("names a text instead of giving it")
    return text(cell, _MAX_WORDING)


def number(cell: str) -> int | float:
    """A number as people count with it: no leading zeros, no exponent."""
    if _NUMBER.fullmatch(cell) is None:
        raise Invalid("is not a number; map the column as text if it is an id or a code")
    return float(cell) if "." in cell else int(cell)


def any_json(cell: str) -> object:
    """One plain value as JSON writes it."""
    try:
        value = json.loads(cell, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Invalid("is not JSON") from None
    plain = value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))
    if not plain:
        raise Invalid("is neither text, number, yes/no nor null")
    if isinstance(value, str):
        return text(_storable(value))
    return value


def doubt(target: str, cell: str, value: object) -> str | None:
    """What a person should look at in a cell that could be read; None as a rule."""
    if target == "psid" and looks_rounded(cell):
        return ROUNDED
    if target in ("name", "first_name") and len(cell) <= _LONGEST_PLACEHOLDER and is_word_for_nothing(cell):
        return f"`{cell}` is what programs write where there is no name; people would be called by it"
    if target == "country" and cell.upper() != value:
        return f"`{cell[:64]}` is read as {value}"
    return None


def consents(cell: str, *, now: int) -> list[Consent]:
    """A JSON list of consents."""
    return [_consent(each, place, now) for place, each in enumerate(_objects(cell))]


def opt_outs(cell: str) -> list[OptOut]:
    """A JSON list of opt-outs."""
    return [
        {"at": None, "topic": None, "category": None} | _members(each, "opt-out", place, _OPT_OUT_READERS)
        for place, each in enumerate(_objects(cell))
    ]


def category(cell: str) -> str:
    """A category of messages."""
    if cell not in _CATEGORIES:
        raise Invalid("is not a category of messages")
    return cell


def whole_consent(said: dict[str, Any], *, now: int) -> tuple[Consent | None, list[tuple[str, str]]]:
    """A consent from its members, already read one by one, or what is wrong with it: (member, words)."""
    wrong = [
        (member, "is missing: consent without source, wording and time is not consent that can be shown")
        for member in ("kind", "source", "wording", "granted_at")
        if member not in said
    ]
    granted_at, expires_at = said.get("granted_at"), said.get("expires_at")
    # A minute for clocks that differ.
    if granted_at is not None and granted_at > now + 60:
        wrong.append(("granted_at", "has not passed yet"))
    if granted_at is not None and expires_at is not None and expires_at <= granted_at:
        wrong.append(("expires_at", "is not after granted_at"))
    if wrong:
        return None, wrong
    return {member: said.get(member) for member in _CONSENT}, []


CONSENT_READERS: dict[str, Callable[[str], Any]] = {
    "topic": topic,
    "kind": kind,
    "source": text,
    "wording": wording,
    "granted_at": instant,
    "expires_at": instant,
}


_OPT_OUT_READERS: dict[str, Callable[[str], Any]] = {"topic": topic, "category": category, "at": instant}


def _consent(given: dict[str, Any], place: int, now: int) -> Consent:
    whole, wrong = whole_consent(_members(given, "consent", place, CONSENT_READERS), now=now)
    if whole is None:
        raise Invalid(f"{wrong[0][0]} of consent {place + 1} {wrong[0][1]}")
    return whole


def _objects(cell: str) -> list[dict[str, Any]]:
    try:
        given = json.loads(cell)
    except (ValueError, RecursionError):
        raise Invalid("is not JSON") from None
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise Invalid("is not a list of objects")
    return given


def _members(given: dict[str, Any], noun: str, place: int, readers: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(readers))
    if unknown:
        raise Invalid(f"{noun} {place + 1} has `{unknown[0][:32]}`, which is not part of one")
    said: dict[str, Any] = {}
    for member, value in given.items():
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise Invalid(f"{member} of {noun} {place + 1} is not text")
        try:
            said[member] = readers[member](_storable(value).strip())
        except Invalid as error:
            raise Invalid(f"{member} of {noun} {place + 1} {error.message}") from None
    return said


def _storable(value: str) -> str:
    # JSON can escape what a file in UTF-8 cannot hold.
    if "\x00" in value or any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise Invalid("has text that cannot be stored")
    return value


def _value(cell: str) -> str:
    if len(cell) <= _LONGEST_PLACEHOLDER and is_placeholder(cell):
        raise Invalid(f"`{cell}` stands for no value")
    return cell


def _no_constant(name: str) -> object:
    raise ValueError(name)


ATTRIBUTE_READERS: dict[str, Callable[[str], Any]] = {
    "text": text,
    "number": number,
    "bool": yes_or_no,
    "json": any_json,
}
