"""A policy document for the second reading: the tables as they stand, with what they leave out filled in."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass, field

from tests.properties.naive_places import Entry

MINUTE, HOUR, DAY = 60, 3600, 86400
UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}


@dataclass(slots=True)
class Document:
    """A policy document as its tables say."""

    hours: list[Entry] = field(default_factory=list)
    caps: list[Entry] = field(default_factory=list)
    gaps: list[Entry] = field(default_factory=list)
    margin: int = 0
    click_to_messenger: bool = False
    jurisdictions: str = "off"
    mode: str = "all_candidates"
    zone: str = ""
    consent: str = "inbound"
    #: Seconds after a person's last message at which a handover ends by itself; None: it does not.
    timeout: int | None = None


def read(text: str, base: Document | None = None) -> Document:
    """The document written in ``text``, over ``base`` where it extends one."""
    tables = tomllib.loads(text)
    document = copy.deepcopy(base) or Document()
    window, unknown = tables.get("messaging_window", {}), tables.get("unknown_zone", {})
    if "margin" in window:
        document.margin = seconds(window["margin"])
    document.click_to_messenger = window.get("click_to_messenger", document.click_to_messenger)
    document.jurisdictions = tables.get("policy", {}).get("jurisdictions", document.jurisdictions)
    document.mode = unknown.get("mode", document.mode)
    document.zone = unknown.get("zone", document.zone)
    document.consent = tables.get("consent", {}).get("require", document.consent)
    if "timeout" in tables.get("handover", {}):
        document.timeout = seconds(tables["handover"]["timeout"])
    for key, entries in (
        ("permitted_hours", document.hours),
        ("frequency_cap", document.caps),
        ("minimum_gap", document.gaps),
    ):
        for entry in tables.get(key, []):
            entries[:] = [old for old in entries if old["id"] != entry["id"]] + [entry]
    return document


def seconds(text: str) -> int:
    """ "90m" as 5400."""
    return int(text[:-1]) * UNITS[text[-1]]


def bound(entry: Entry, category: str) -> bool:
    """Whether an entry binds, and counts, messages of a category."""
    return category in entry.get("applies_to", [category])
