"""A scenario's contact, message and history: read key by key into what the facts will be.

What comes out are fields of ``policies.facts.Facts``, instants still relative where the file says "90m ago": the
defaults of a file are read once and merged under each scenario, whose own instant then resolves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from policies.country_codes import country_code, instead_of, region_code
from policies.facts import CATEGORIES, UTC_OFFSETS, Consent, Facts, Send, Token
from policies.local_time import tzdata_version
from policies.scenarios.instants import Relative, read_instant
from policies.scenarios.vocabulary import CONSENT_KINDS, GROUNDS, TOKEN_KINDS
from policies.stated_zones import looks_like_an_offset, telling_zone
from policies.toml_source import Table

_LOCALE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z]{4})?([_-]([A-Za-z]{2}|[0-9]{3}))?")


@dataclass(frozen=True, slots=True)
class Record:
    """A consent, token or send whose instants may still be relative."""

    kind: type[Consent | Token | Send]
    values: dict[str, object]
    #: Where it stands.
    table: Table


_REQUIRED: dict[type[Consent | Token | Send], tuple[str, ...]] = {
    Consent: ("kind", "granted_at"),
    Token: ("kind",),
    Send: ("at", "category"),
}

#: Fields of the facts, not yet resolved.
Known = dict[str, object]
_Reader = Callable[[Table, str], Known]


def read_contact(table: Table) -> Known:
    """The keys of ``contact``. Raises PolicyError naming the key."""
    return _read(table, _CONTACT)


def read_message(table: Table) -> Known:
    """The keys of ``message``. Raises PolicyError naming the key."""
    return _read(table, _MESSAGE)


def read_history(tables: list[Table]) -> Known:
    """``history``: the sends before. Raises PolicyError naming the key."""
    return {"sends": tuple(_record(each, Send, _SEND) for each in tables)}


def facts_of(known: Known, anchor: int) -> Facts:
    """The facts, with what is relative counted from ``anchor`` (epoch seconds)."""
    values = {}
    for name, value in known.items():
        if type(value) is tuple and value and type(value[0]) is Record:
            value = tuple(_resolve(each, anchor) for each in value)
            if name == "sends":
                value = tuple(sorted(value, key=attrgetter("at")))
        elif type(value) is Relative:
            value = anchor + value.seconds
        values[name] = value
    return Facts(**values)  # type: ignore[arg-type]  # each value was made by the reader of its own field


def is_contact_key(key: str) -> bool:
    """Whether ``contact`` has such a key."""
    return key in _CONTACT


def is_message_key(key: str) -> bool:
    """Whether ``message`` has such a key."""
    return key in _MESSAGE


def matrix_keys() -> tuple[str, ...]:
    """The keys of contact and message."""
    return (*_CONTACT, *_MESSAGE)


def _read(table: Table, readers: dict[str, _Reader]) -> Known:
    known: Known = {}
    for key in table:
        reader = readers.get(key)
        if reader is None:
            raise table.error(key, f"is not known here; known are {', '.join(sorted(readers))}")
        known.update(reader(table, key))
    return known


def _plain_flag(field: str) -> _Reader:
    return lambda table, key: {field: table.flag(key)}


def _plain_instant(field: str) -> _Reader:
    return lambda table, key: {field: read_instant(table, key)}


def _timezone(table: Table, key: str) -> Known:
    written = table.raw(key)
    names = (written,) if isinstance(written, str) else table.texts(key)
    return {"timezones": tuple(_zone(table, key, name) for name in names)}


def _zone(table: Table, key: str, written: str) -> str:
    found = telling_zone(written)
    if found is None and looks_like_an_offset(written):
        raise table.error(key, f"`{written}` is an offset, no time zone; write `utc_offset` in hours, such as -5")
    if found is None:
        known = f"tzdata {tzdata_version()} has names such as America/New_York"
        raise table.error(key, f"`{written}` is not a time zone; {known}")
    return found


def _utc_offset(table: Table, key: str) -> Known:
    hours = table.raw(key)
    if not isinstance(hours, int | float) or isinstance(hours, bool):
        raise table.error(key, f"must be a number of hours, such as -5 or 5.5, not {hours!r}")
    minutes = hours * 60
    if not UTC_OFFSETS[0] <= minutes <= UTC_OFFSETS[1] or minutes != int(minutes):
        raise table.error(key, f"`{hours}` must be hours from -12 to 14, in whole minutes")
    return {"utc_offset": int(minutes)}


def _country(table: Table, key: str) -> Known:
    written = table.text(key)
    code = country_code(written)
    if code is None or written != written.upper():
        advice = instead_of(written) or "write its ISO 3166-1 code, such as US"
        raise table.error(key, f"`{written}` is not a country; {advice}")
    return {"country": code}


def _region(table: Table, key: str) -> Known:
    written = table.text(key)
    code = region_code(written)
    if code is None or written != written.upper():
        advice = instead_of(written) or "write its ISO 3166-2 code, such as US-FL"
        raise table.error(key, f"`{written}` is not a region; {advice}")
    return {"region": code}


def _locale(table: Table, key: str) -> Known:
    written = table.text(key)
    if not _LOCALE.fullmatch(written):
        raise table.error(key, f"`{written}` is not a locale; write it like en_US")
    return {"locale": written}


def _opted_out(table: Table, key: str) -> Known:
    # The key says all of it: a list of topics overrides a default's `true`, and the other way round.
    value = table.raw(key)
    if isinstance(value, list):
        return {"opted_out": False, "opted_out_topics": table.texts(key)}
    if not isinstance(value, bool):
        raise table.error(key, f"must be true, false or a list of topics, not {value!r}")
    return {"opted_out": value, "opted_out_topics": ()}


def _handover(table: Table, key: str) -> Known:
    if isinstance(table.raw(key), bool):
        return {"handover": table.flag(key), "handover_at": None}
    return {"handover": True, "handover_at": read_instant(table, key)}


def _records(field: str, kind: type[Consent | Token]) -> _Reader:
    readers = _CONSENT if kind is Consent else _TOKEN
    return lambda table, key: {field: tuple(_record(each, kind, readers) for each in table.tables(key))}


def _record(table: Table, kind: type[Consent | Token | Send], readers: dict[str, _Reader]) -> Record:
    # What is not known first: a misspelt key that is needed is told by its own name.
    values = _read(table, readers)
    for key in _REQUIRED[kind]:
        if not table.has(key):
            raise table.error("", f"`{key}` is missing")
    return Record(kind, values, table)


def _resolve(record: Record, anchor: int) -> Consent | Token | Send:
    values = {
        name: anchor + value.seconds if type(value) is Relative else value for name, value in record.values.items()
    }
    made = record.kind(**values)  # type: ignore[arg-type]  # each value was made by the reader of its own field
    if isinstance(made, Consent) and made.expires_at is not None and made.expires_at <= made.granted_at:
        raise record.table.error("expires_at", "must be later than `granted_at`")
    if isinstance(made, Token) and made.last_used_at is not None and made.last_used_at > anchor:
        raise record.table.error("last_used_at", "is later than the scenario's own instant")
    return made


def _choice(field: str, among: tuple[str, ...]) -> _Reader:
    return lambda table, key: {field: table.choice(key, among)}


def _text(field: str) -> _Reader:
    return lambda table, key: {field: table.text(key)}


_CONSENT: dict[str, _Reader] = {
    "topic": _text("topic"),
    "kind": _choice("kind", CONSENT_KINDS),
    "granted_at": _plain_instant("granted_at"),
    "expires_at": _plain_instant("expires_at"),
}
_TOKEN: dict[str, _Reader] = {
    "kind": _choice("kind", TOKEN_KINDS),
    "topic": _text("topic"),
    "expires_at": _plain_instant("expires_at"),
    "last_used_at": _plain_instant("last_used_at"),
}
_SEND: dict[str, _Reader] = {
    "at": _plain_instant("at"),
    "category": _choice("category", CATEGORIES),
    "ground": _choice("ground", GROUNDS),
    "confirms_opt_out": _plain_flag("confirms_opt_out"),
}
_CONTACT: dict[str, _Reader] = {
    "timezone": _timezone,
    "utc_offset": _utc_offset,
    "country": _country,
    "region": _region,
    "locale": _locale,
    "last_inbound": _plain_instant("last_inbound"),
    "ad_inbound": _plain_instant("ad_inbound"),
    "opted_out": _opted_out,
    "opted_out_at": _plain_instant("opted_out_at"),
    "blocked": _plain_flag("blocked"),
    "unreachable": _plain_flag("unreachable"),
    "erased": _plain_flag("erased"),
    "test_mode": _plain_flag("not_allowed"),
    "handover": _handover,
    "consents": _records("consents", Consent),
    "tokens": _records("tokens", Token),
}
_MESSAGE: dict[str, _Reader] = {
    "category": _choice("category", CATEGORIES),
    "topic": _text("topic"),
    "not_before": _plain_instant("not_before"),
    "expires_at": _plain_instant("expires_at"),
    "template_approved": _plain_flag("template_approved"),
    "may_wait": _plain_flag("may_wait"),
    "confirms_opt_out": _plain_flag("confirms_opt_out"),
}
