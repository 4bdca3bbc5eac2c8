"""The platform's own rules as dated data: ``packs/platform/<name>.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources

from policies.facts import CATEGORIES
from policies.readers import read_duration
from policies.toml_source import PolicyError, Table, read_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPack:
    """What grounds the platform gives, with their sources."""

    name: str
    reviewed_on: date
    #: Seconds that the standard messaging window stays open.
    window: int
    window_citation: str
    #: Categories that an approved utility template may carry, at any time.
    utility_categories: tuple[str, ...]
    utility_citation: str


@cache
def platform_packs() -> tuple[str, ...]:
    """The names that a policy's ``packs`` may list, such as "platform/messenger"."""
    folder = resources.files("policies").joinpath("packs", "platform")
    return tuple(sorted(f"platform/{each.name.removesuffix('.toml')}" for each in folder.iterdir()))


@cache
def platform_pack(name: str) -> PlatformPack:
    """The pack of this name ("platform/…"). Raises PolicyError where the file is wrong."""
    where = f"packs/{name}.toml"
    text = resources.files("policies").joinpath("packs", *f"{name}.toml".split("/")).read_text(encoding="utf-8")
    document = read_toml(text, where=where)
    about, window, utility = (_required(document, key) for key in ("platform", "standard_window", "utility_template"))
    reviewed_on = about.raw("reviewed_on")
    if not isinstance(reviewed_on, date):
        raise about.error("reviewed_on", "must be a date, such as 2026-11-21")
    categories = utility.texts("categories")
    if not set(categories) <= set(CATEGORIES):
        raise utility.error("categories", f"must be among {', '.join(CATEGORIES)}")
    window.text("since")
    pack = PlatformPack(
        name=about.text("name"),
        reviewed_on=reviewed_on,
        window=read_duration(window, "length"),
        window_citation=_cited(window),
        utility_categories=categories,
        utility_citation=_cited(utility),
    )
    for table in (about, window, utility, document):
        table.done()
    return pack


def _required(document: Table, key: str) -> Table:
    table = document.table(key)
    if table is None:
        raise PolicyError(document.where, 1, key, "the table is missing")
    return table


def _cited(table: Table) -> str:
    table.texts("sources")
    table.text("checked")
    table.choice("confidence", ("high", "medium", "low"))
    table.text("note", "")
    return table.text("citation")
