"""What lint has to say, and the document that it says it about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from policies.policy import Policy
from policies.toml_source import Table

#: By weight.
LEVELS = ("error", "warning", "notice")


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

    @property
    def now(self) -> int:
        """The beginning of today, epoch seconds UTC."""
        return int(datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC).timestamp())

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
