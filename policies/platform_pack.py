"""The platform's own rules as dated data: ``packs/platform/<name>.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources

from policies.countries import known_countries
from policies.facts import CATEGORIES
from policies.law import CHECKED, CONFIDENCE, jurisdiction_pack, read_upcoming
from policies.law_terms import Upcoming
from policies.readers import read_day, read_duration
from policies.territories import UNIONS, territories
from policies.toml_source import PolicyError, Table, read_toml

#: What a person may do that opens the standard messaging window.
OPENERS = (
    "message", "postback", "ad_message", "plugin_message", "link", "reaction", "lead_form", "comment", "visitor_post",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """How a ground stands for a time. Instants are epoch seconds UTC; a date is its midnight in UTC."""

    #: None: from the beginning.
    since: int | None
    #: None: for good.
    until: int | None
    #: The only countries it serves in that time; None: all.
    only_in: frozenset[str] | None
    #: Seconds that a token rests in that time; None: as the ground says.
    rest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTerms:
    """A ground that a token from the person gives."""

    #: The categories that it may carry.
    categories: tuple[str, ...]
    #: Seconds between two messages; None: a token serves once.
    rest: int | None
    #: Countries whose people it does not reach.
    unavailable_in: frozenset[str]
    #: Countries whose businesses may use it; empty: any.
    senders_in: tuple[str, ...]
    #: What holds when; empty: always and everywhere.
    periods: tuple[Availability, ...]
    citation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredTag:
    """A message tag that the platform refuses."""

    name: str
    since: date
    #: What to do instead.
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPack:
    """What grounds the platform gives, with their sources."""

    name: str
    reviewed_on: date
    #: Seconds that the standard messaging window stays open.
    window: int
    window_citation: str
    #: What opens it, of OPENERS.
    opened_by: frozenset[str]
    #: Seconds that it may stay open after the first message that follows a Click-to-Messenger advertisement.
    click_to_messenger: int
    #: From when on (epoch seconds UTC) such a message counts so.
    click_to_messenger_since: int
    click_to_messenger_citation: str
    #: Categories that an approved utility template may carry, at any time.
    utility_categories: tuple[str, ...]
    utility_citation: str
    marketing: TokenTerms
    recurring: TokenTerms
    one_time: TokenTerms
    retired_tags: tuple[RetiredTag, ...]
    upcoming: tuple[Upcoming, ...]


@cache
def platform_packs() -> tuple[str, ...]:
    """The names that a policy's ``packs`` may list, such as "platform/messenger"."""
    folder = resources.files("policies").joinpath("packs", "platform")
    names = (each.name for each in folder.iterdir())
    return tuple(sorted(f"platform/{name.removesuffix('.toml')}" for name in names if name.endswith(".toml")))


@cache
def platform_pack(name: str) -> PlatformPack:
    """The pack of this name ("platform/…"). Raises PolicyError where the file is wrong."""
    text = resources.files("policies").joinpath("packs", *f"{name}.toml".split("/")).read_text(encoding="utf-8")
    return parse_platform_pack(text, where=f"packs/{name}.toml")


def parse_platform_pack(text: str, *, where: str) -> PlatformPack:
    """The pack that ``text`` states. Raises PolicyError naming file, line and key."""
    document = read_toml(text, where=where)
    about, window, utility, advertisement = (
        _required(document, key) for key in ("platform", "standard_window", "utility_template", "click_to_messenger")
    )
    opened_by = window.texts("opened_by")
    for event in opened_by:
        if event not in OPENERS:
            raise window.error("opened_by", f"`{event}` is none of {', '.join(OPENERS)}")
    window.text("since")
    pack = PlatformPack(
        name=about.text("name"),
        reviewed_on=read_day(about, "reviewed_on"),
        window=read_duration(window, "length"),
        window_citation=_cited(window),
        opened_by=frozenset(opened_by),
        click_to_messenger=read_duration(advertisement, "length"),
        click_to_messenger_since=_instant(advertisement, "since"),
        click_to_messenger_citation=_cited(advertisement),
        utility_categories=_categories(utility),
        utility_citation=_cited(utility),
        marketing=_token(document, "marketing_token"),
        recurring=_token(document, "recurring"),
        one_time=_token(document, "one_time_token"),
        retired_tags=_tags(document),
        upcoming=tuple(read_upcoming(entry) for entry in document.tables("upcoming")),
    )
    if pack.click_to_messenger < pack.window:
        raise advertisement.error("length", "is shorter than the standard window")
    for table in (about, window, utility, advertisement, document):
        table.done()
    return pack


def _token(document: Table, key: str) -> TokenTerms:
    table = _required(document, key)
    periods = tuple(_period(entry) for entry in table.tables("period"))
    for entry, earlier, later in zip(table.tables("period")[1:], periods, periods[1:], strict=False):
        if earlier.until is None or earlier.until != later.since:
            raise entry.error("since", "must be where the period before it ends")
    terms = TokenTerms(
        categories=_categories(table),
        rest=read_duration(table, "rest") if table.has("rest") else None,
        unavailable_in=_countries(table, "unavailable_in") if table.has("unavailable_in") else frozenset(),
        senders_in=_senders(table),
        periods=periods,
        citation=_cited(table),
    )
    table.done(also=("rest", "unavailable_in", "senders_in"))
    return terms


def _period(entry: Table) -> Availability:
    found = Availability(
        since=_instant(entry, "since") if entry.has("since") else None,
        until=_instant(entry, "until") if entry.has("until") else None,
        only_in=_countries(entry, "only_in") if entry.has("only_in") else None,
        rest=read_duration(entry, "rest") if entry.has("rest") else None,
    )
    entry.text("source")
    if found.since is not None and found.until is not None and found.since >= found.until:
        raise entry.error("until", "must come after `since`")
    entry.done(also=("since", "until", "only_in", "rest"))
    return found


def _tags(document: Table) -> tuple[RetiredTag, ...]:
    found: dict[str, RetiredTag] = {}
    for entry in document.tables("retired_tag"):
        tag = RetiredTag(name=entry.text("name"), since=read_day(entry, "since"), instead=entry.text("instead"))
        entry.text("source")
        entry.done()
        if tag.name in found:
            raise entry.error("name", f"`{tag.name}` is here twice")
        found[tag.name] = tag
    return tuple(found.values())


def _countries(table: Table, key: str) -> frozenset[str]:
    # A union stands for its members, which its own pack lists once.
    found: set[str] = set()
    for code in table.texts(key):
        union = jurisdiction_pack(code) if code in UNIONS else None
        if union is None and code not in known_countries():
            raise table.error(key, f"`{code}` is neither a country's ISO 3166-1 code nor one of {', '.join(UNIONS)}")
        found.update(union.members if union else (code,))
        # And for the territories that are part of it: Réunion of the EU, Norfolk Island of Australia.
        found.update(
            each.code
            for each in territories().values()
            if (each.union == code if union else each.state == code and each.takes_state_law)
        )
    return frozenset(found)


def _senders(table: Table) -> tuple[str, ...]:
    senders = table.texts("senders_in", ())
    for code in senders:
        if code not in known_countries():
            raise table.error("senders_in", f"`{code}` is not an ISO 3166-1 country code, such as US")
    return senders


def _categories(table: Table) -> tuple[str, ...]:
    categories = table.texts("categories")
    if not categories or not set(categories) <= set(CATEGORIES):
        raise table.error("categories", f"must be among {', '.join(CATEGORIES)}")
    return categories


def _instant(table: Table, key: str) -> int:
    day = read_day(table, key)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _required(document: Table, key: str) -> Table:
    table = document.table(key)
    if table is None:
        raise PolicyError(document.where, 1, key, "the table is missing")
    return table


def _cited(table: Table) -> str:
    if not table.texts("sources"):
        raise table.error("sources", "must name at least one")
    table.choice("checked", CHECKED)
    table.choice("confidence", CONFIDENCE)
    table.text("note", "")
    return table.text("citation")
