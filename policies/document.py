"""A policy document as written (`*.policy.toml`): read, merged with what it extends, written out canonically."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from policies.local_time import known_zones
from policies.platform_pack import platform_pack, platform_packs
from policies.readers import read_cap, read_categories, read_duration, read_hours, read_id
from policies.terms import WEEKDAYS, Cap, Gap, Hours, Row, UnknownZone, clock_time, duration
from policies.toml_source import PolicyError, Table, read_toml

_MODES = ("all_candidates", "hold", "fallback")
_HOURS_KEYS = ("applies_to", "daily", *WEEKDAYS, "holiday", "before_holiday", "holidays")
_CONSENT = ("inbound", "packs")
#: Entries of one kind in a document: each of them is looked at for every message.
MOST_ENTRIES = 100

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")
_PACKS = ("platform/messenger",)

_Entry = TypeVar("_Entry", Hours, Cap, Gap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a document says itself: None where it leaves something to what it extends, or to the defaults."""

    name: str
    extends: str | None
    packs: tuple[str, ...] | None
    jurisdictions: str | None
    margin: int | None
    click_to_messenger: bool | None
    consent: str | None
    #: Seconds; 0: never.
    handover_timeout: int | None
    hours: tuple[Hours, ...]
    caps: tuple[Cap, ...]
    gaps: tuple[Gap, ...]
    mode: str | None
    zone: str | None
    table: Table
    unknown_zone_table: Table | None

    def error_at_extends(self, message: str) -> PolicyError:
        """An error about the line that says ``extends``."""
        return self.table.error("extends", message)

    def completed(self, base: Document | None) -> Document:
        """The whole document: over ``base``, tables merge key by key and lists by id. Raises PolicyError."""
        below = base or _DEFAULTS
        mode = self.mode if self.mode is not None else below.unknown_zone.mode
        zone = self.zone if self.zone is not None else below.unknown_zone.zone
        if mode != "fallback":
            if self.zone is not None and self.unknown_zone_table:
                raise self.unknown_zone_table.error("zone", f"serves mode `fallback` alone, and the mode is `{mode}`")
            zone = ""
        elif not zone and self.unknown_zone_table:
            raise self.unknown_zone_table.error("mode", "`fallback` needs a `zone` to fall back to")
        packs = self.packs if self.packs is not None else below.packs
        margin = self.margin if self.margin is not None else below.margin
        if margin >= platform_pack(packs[0]).window:
            raise self.table.error("packs", "has a messaging window that the margin uses up")
        hours, caps, gaps = (
            _merged(below.hours, self.hours),
            _merged(below.caps, self.caps),
            _merged(below.gaps, self.gaps),
        )
        if max(map(len, (hours, caps, gaps))) > MOST_ENTRIES:
            raise self.table.error("extends", f"makes more than {MOST_ENTRIES} entries of one kind together")
        return Document(
            name=self.name,
            packs=packs,
            jurisdictions=self.jurisdictions if self.jurisdictions is not None else below.jurisdictions,
            margin=margin,
            click_to_messenger=(
                self.click_to_messenger if self.click_to_messenger is not None else below.click_to_messenger
            ),
            consent=self.consent if self.consent is not None else below.consent,
            handover_timeout=(
                self.handover_timeout or None if self.handover_timeout is not None else below.handover_timeout
            ),
            hours=hours,
            caps=caps,
            gaps=gaps,
            unknown_zone=UnknownZone(mode=mode, zone=zone),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole document, with nothing left to others."""

    name: str
    packs: tuple[str, ...]
    jurisdictions: str
    margin: int
    hours: tuple[Hours, ...]
    caps: tuple[Cap, ...]
    gaps: tuple[Gap, ...]
    unknown_zone: UnknownZone
    #: The first message after a Click-to-Messenger advertisement opens the longer window that the platform gives it.
    click_to_messenger: bool
    #: "inbound": writing to us, or a token, is consent enough; "packs": what each jurisdiction asks for.
    consent: str
    #: Seconds from a person's last message in a conversation until automation may speak again. None: when handed back.
    handover_timeout: int | None


_DEFAULTS = Document(
    name="", packs=_PACKS, jurisdictions="off", margin=0, hours=(), caps=(), gaps=(), unknown_zone=UnknownZone(),
    click_to_messenger=False, consent="inbound", handover_timeout=None,
)  # fmt: skip


def read_document(text: str, *, where: str) -> Written:
    """What the document says. Raises PolicyError naming file, line and key where it says something impossible."""
    document = read_toml(text, where=where)
    about = document.table("policy")
    if about is None:
        raise PolicyError(where, 1, "policy", "the table [policy] is missing")
    name = about.text("name")
    if not _NAME.fullmatch(name):
        raise about.error("name", f"`{name}` must be letters, digits, spaces, `.`, `_` and `-`")
    window = document.table("messaging_window")
    margin = click_to_messenger = None
    if window:
        click_to_messenger = window.flag("click_to_messenger") if window.has("click_to_messenger") else None
        if window.has("margin"):
            margin = read_duration(window, "margin", least=0, longest=24 * 3600 - 1)
        window.done()
    unknown = document.table("unknown_zone")
    mode = zone = None
    if unknown:
        mode = unknown.choice("mode", _MODES) if unknown.has("mode") else None
        zone = unknown.text("zone") if unknown.has("zone") else None
        if zone is not None and zone not in known_zones():
            raise unknown.error("zone", f"`{zone}` is not an IANA time zone, such as Europe/Berlin")
        unknown.done()
    consent = document.table("consent")
    require = None
    if consent:
        require = consent.choice("require", _CONSENT) if consent.has("require") else None
        consent.done()
    handover = document.table("handover")
    timeout = None
    if handover:
        timeout = _timeout(handover) if handover.has("timeout") else None
        handover.done()
    written = Written(
        name=name,
        extends=about.text("extends") if about.has("extends") else None,
        packs=_packs(about) if about.has("packs") else None,
        jurisdictions=about.choice("jurisdictions", ("courtesy", "legal", "off"))
        if about.has("jurisdictions")
        else None,
        margin=margin,
        click_to_messenger=click_to_messenger,
        consent=require,
        handover_timeout=timeout,
        hours=_entries(document, "permitted_hours", read_hours),
        caps=_entries(document, "frequency_cap", read_cap),
        gaps=_entries(document, "minimum_gap", _read_gap),
        mode=mode,
        zone=zone,
        table=about,
        unknown_zone_table=unknown,
    )
    about.done()
    document.done()
    return written


def canonical_text(document: Document) -> str:
    """The document in the one spelling that its version is taken of. ``read_document`` reads it back.

    Versions are stored: what came to the grammar later is written only where it says something.
    """
    lines = [
        "[policy]",
        f"name = {_toml(document.name)}",
        f"packs = {_toml(document.packs)}",
        f"jurisdictions = {_toml(document.jurisdictions)}",
        "",
        "[messaging_window]",
        f"margin = {_toml(duration(document.margin))}",
        *(["click_to_messenger = true"] if document.click_to_messenger else []),
    ]
    for hours in document.hours:
        lines += ["", "[[permitted_hours]]", *_head(hours)]
        for day, row in zip(WEEKDAYS, hours.rows, strict=True):
            if row is not None:
                lines.append(f"{day} = {_row(row)}")
        for key, row in (("holiday", hours.holiday), ("before_holiday", hours.before_holiday)):
            if row is not None:
                lines.append(f"{key} = {_row(row)}")
        if hours.holidays:
            lines.append(f"holidays = {_toml(hours.holidays)}")
    for cap in document.caps:
        per = cap.calendar or duration(cap.period)
        lines += ["", "[[frequency_cap]]", *_head(cap), f"limit = {cap.limit}", f"per = {_toml(per)}"]
    for gap in document.gaps:
        lines += ["", "[[minimum_gap]]", *_head(gap), f"between = {_toml(duration(gap.between))}"]
    lines += ["", "[unknown_zone]", f"mode = {_toml(document.unknown_zone.mode)}"]
    if document.unknown_zone.zone:
        lines.append(f"zone = {_toml(document.unknown_zone.zone)}")
    lines += ["", "[consent]", f"require = {_toml(document.consent)}", ""]
    if document.handover_timeout is not None:
        lines += ["[handover]", f"timeout = {_toml(duration(document.handover_timeout))}", ""]
    return "\n".join(lines)


def _timeout(table: Table) -> int:
    return 0 if table.text("timeout") == "never" else read_duration(table, "timeout")


def _packs(about: Table) -> tuple[str, ...]:
    packs = about.texts("packs")
    for name in packs:
        if name not in platform_packs():
            raise about.error("packs", f"`{name}` is not a pack; known are {', '.join(platform_packs())}")
    if len(packs) != 1:
        raise about.error("packs", "must name the one platform that is sent through")
    return packs


def _read_gap(table: Table) -> Gap:
    return Gap(id=read_id(table), applies_to=read_categories(table), between=read_duration(table, "between"))


def _entries(document: Table, key: str, read: Callable[[Table], _Entry]) -> tuple[_Entry, ...]:
    found: dict[str, _Entry] = {}
    tables = document.tables(key)
    if len(tables) > MOST_ENTRIES:
        raise tables[MOST_ENTRIES].error("", f"is one of {len(tables)} entries; {MOST_ENTRIES} are read at most")
    for table in tables:
        entry = read(table)
        if entry.id in found:
            raise table.error("id", f"`{entry.id}` is here twice")
        found[entry.id] = entry
        # Every key that an entry of its kind may have, whether or not this one has it.
        table.done(also=_HOURS_KEYS if key == "permitted_hours" else ("applies_to",))
    return tuple(found.values())


def _merged(base: Sequence[_Entry], own: Sequence[_Entry]) -> tuple[_Entry, ...]:
    merged: dict[str, _Entry] = {}
    for entries in (base, own):
        merged.update((entry.id, entry) for entry in entries)
    return tuple(merged[id_] for id_ in sorted(merged))


def _head(entry: Hours | Cap | Gap) -> list[str]:
    return [f"id = {_toml(entry.id)}", *([f"applies_to = {_toml(entry.applies_to)}"] if entry.applies_to else [])]


def _row(row: Row) -> str:
    return _toml([[clock_time(start), clock_time(end)] for start, end in row])


def _toml(value: object) -> str:
    # Names, ids and zones are plain ASCII (checked where they are read), so JSON's spelling is TOML's.
    return json.dumps(value)
