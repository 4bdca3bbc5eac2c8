"""What lint has to say, and the document that it says it about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from policies.law import unions_of
from policies.policy import Policy
from policies.toml_source import Table

#: By weight.
LEVELS = ("error", "warning", "notice")
#: Every kind of remark, in the order of the documentation.
KINDS = (
    "unreadable", "unknown_zone", "contradictory_hours", "no_common_instant", "unlimited", "no_hours", "no_cap",
    "holds_orders", "short", "never_binds", "margin", "odd_zone", "retired_tag", "took_effect", "old_review",
    "takes_effect", "window_lost", "restated", "bad_directive", "idle_allow",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing to look at, and where."""

    where: str
    #: From 1; 0: the whole file.
    line: int
    key: str
    #: "error": it cannot be meant; "warning": it is hardly meant; "notice": to know.
    level: str
    #: What kind of remark it is, such as "never_binds": for programs.
    kind: str
    message: str
    #: Why the document accepts it; None: it does not.
    accepted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A document under lint: as it was written, and what it comes to with what it extends."""

    text: str
    where: str
    document: Table
    policy: Policy
    #: What it extends; None: nothing.
    base: Policy | None
    today: date
    #: How many days ahead of today a date is about to come.
    within: int
    #: The countries and regions in which the policy's people are; None: nobody said.
    places: frozenset[str] | None = None

    @property
    def now(self) -> int:
        """The beginning of today, epoch seconds UTC."""
        return int(datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC).timestamp())

    def concerns(self, code: str) -> bool:
        """Whether the law of this jurisdiction (a country, a region, a union) may bind some of the people."""
        if self.places is None:
            return True
        country = code.partition("-")[0]
        for place in self.places:
            home = place.partition("-")[0]
            # Who is only said to be in a country may be in any of its regions.
            if place == code or (country == home and code in (country, place)) or (place == home == country):
                return True
            if code in unions_of(home):
                return True
        return False

    def of_law(self, level: str) -> str:
        """The level of a remark about one place's law: where nobody said where the people are, it is to know."""
        return "notice" if self.places is None else level

    @property
    def hint(self) -> str:
        """What to add to such a remark."""
        if self.places is not None:
            return ""
        return " (if your people are elsewhere, say where: `# lint: people in DE, AT`, or --countries)"

    def own(self, section: str, id_: str) -> Table | None:
        """The document's own entry of this id, if it has one; else it inherits it."""
        for table in self.document.tables(section):
            if table.has("id") and table.text("id") == id_:
                return table
        return None

    def at_entry(self, kind: str, level: str, section: str, id_: str, message: str, key: str = "") -> Remark:
        """A remark on an entry, or a key of it; on the line that says ``extends`` where it is inherited."""
        table = self.own(section, id_)
        if table is None:
            return self.at_key(kind, level, "policy", "extends", message, named=f"{section}.{id_}")
        line = table.error(key if key and table.has(key) else "", "").line
        named = f"{section}.{id_}" + (f".{key}" if key and table.has(key) else "")
        return Remark(where=self.where, line=line, key=named, level=level, kind=kind, message=message)

    def at_key(self, kind: str, level: str, section: str, key: str, message: str, *, named: str = "") -> Remark:
        """A remark on a key of a table, or on ``extends``, or on the table [policy], whichever is there."""
        places = ((self.document.table(section), key), (self.document.table("policy"), "extends"))
        table, there = next(((table, key) for table, key in places if table and table.has(key)), (None, ""))
        line = (table or self.document).error(there or "policy", "").line
        return Remark(
            where=self.where, line=line, key=named or f"{section}.{key}", level=level, kind=kind, message=message
        )
