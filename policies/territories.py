"""Territories with a country's code of their own that belong to another state: ``packs/places/territories.toml``.

Puerto Rico is US-PR and PR, Réunion FR-974 and RE. Such a place has its own zones, whichever way it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from policies.countries import known_countries
from policies.toml_source import Table, read_toml

#: Whose packs bind there: the state's always, or only where the state was named too.
LAWS = ("state", "own")
#: What has members and rules of its own beside theirs.
UNIONS = ("EU",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Territory:
    """A place with a code of its own in ISO 3166-1 that belongs to a state with another."""

    code: str
    name: str
    #: The state's code.
    state: str
    #: Its codes as a region of the state (ISO 3166-2), today's first; empty where it has none.
    regions: tuple[str, ...]
    #: One of LAWS.
    law: str
    #: The union it is part of; "" for none.
    union: str
    note: str

    @property
    def takes_state_law(self) -> bool:
        """Whether the state's packs bind there even where only the territory was named."""
        return self.law == "state"


@cache
def territories() -> dict[str, Territory]:
    """Every territory, by its own code."""
    path = resources.files("policies").joinpath("packs", "places", "territories.toml")
    return parse_territories(path.read_text(encoding="utf-8"), where="packs/places/territories.toml")


def territory_of_region(region: str) -> Territory | None:
    """The territory that a region's code names, such as "FR-974" or "FR-RE"; None where it is an ordinary region."""
    found = _by_region().get(region)
    if found is None:
        state, _, part = region.partition("-")
        own = territories().get(part)
        found = own if own is not None and own.state == state else None
    return found


def parse_territories(text: str, *, where: str) -> dict[str, Territory]:
    """The territories that ``text`` states, by their codes. Raises PolicyError with file, line and key."""
    document = read_toml(text, where=where)
    about = document.table("territories")
    if about is None:
        raise document.error("territories", "the table is missing")
    for key in ("citation", "checked"):
        about.text(key)
    about.texts("sources")
    about.done(also=("reviewed_on",))
    found: dict[str, Territory] = {}
    for entry in document.tables("territory"):
        each = _territory(entry)
        if each.code in found:
            raise entry.error("code", f"`{each.code}` is here twice")
        found[each.code] = each
    document.done()
    return found


def _territory(entry: Table) -> Territory:
    found = Territory(
        code=entry.text("code"),
        name=entry.text("name"),
        state=entry.text("state"),
        regions=entry.texts("regions", ()),
        law=entry.choice("law", LAWS),
        union=entry.choice("union", ("", *UNIONS), ""),
        note=entry.text("note", ""),
    )
    entry.done()
    for key, code in (("code", found.code), ("state", found.state)):
        if code not in known_countries():
            raise entry.error(key, f"`{code}` is not an ISO 3166-1 country code, such as FR")
    for region in found.regions:
        if region.partition("-")[0] != found.state:
            raise entry.error("regions", f"`{region}` is not a region of {found.state}")
    return found


@cache
def _by_region() -> dict[str, Territory]:
    return {region: each for each in territories().values() for region in each.regions}
