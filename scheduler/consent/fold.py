"""What follows from the ledger: who may not be messaged, and which grants stand. Pure, and the meaning of the ledger.

The database does the same in one statement for many (``projection.py``); tests hold the two together. Rows count by
when things were *said*, so that any order of arrival leaves the same; only where nobody who can be trusted says when,
an opt-out that arrived after an opt-in counts. The table of who lifts what is in ``docs/consent.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Whose word brings messages back, by whose word stopped them. An import brings nothing back, and no word lifts what a
#: person of the team barred.
LIFTED_BY = {
    "person": frozenset({"message", "postback", "optin", "api", "operator"}),
    "platform": frozenset({"optin", "api", "operator"}),
    "operator": frozenset({"operator"}),
}
#: Of one second's words the one that sends less counts, unless the team said both: they know which came last.
_IN_ORDER = frozenset({"api", "operator"})
#: Sources whose instants are the platform's own.
_PLATFORM = frozenset({"message", "postback", "optin"})


@dataclass(slots=True, frozen=True, kw_only=True)
class Said:
    """A row of the ledger."""

    id: int
    action: str
    source: str
    occurred_at: int
    recorded_at: int
    topic: str | None = None
    category: str | None = None
    scope: str | None = None
    kind: str | None = None
    expires_at: int | None = None
    #: Nobody who can be trusted said when it was said.
    by_arrival: bool = False


@dataclass(slots=True, frozen=True, kw_only=True)
class Bar:
    """Somebody is not to be messaged: about anything, in one category, or about one topic."""

    #: ``opted_out`` | ``blocked`` | ``unreachable`` | ``erased``.
    reason: str
    topic: str | None
    category: str | None
    #: ``person`` | ``platform`` | ``operator``.
    said_by: str
    since: int
    #: The row of the ledger that put it in force.
    record_id: int


@dataclass(slots=True, frozen=True, kw_only=True)
class Standing:
    """A grant that nobody took back. It may have expired."""

    #: None: any topic.
    topic: str | None
    kind: str
    granted_at: int
    expires_at: int | None
    record_id: int


def reach_of(row: Said) -> str:
    """How far an opt-out or opt-in goes: ``everything``, ``category`` or ``topic``."""
    return row.scope or ("everything" if row.topic is None else "topic")


def whose(row: Said) -> str:
    """Whose word an opt-out is. The platform's own control counts as such where it names the topic."""
    if row.source == "operator":
        return "operator"
    return "platform" if row.source == "optin" and reach_of(row) == "topic" else "person"


def bars(rows: Iterable[Said]) -> list[Bar]:
    """What these rows of one contact bar, by reason, reach and whose word; in a fixed order."""
    rows = list(rows)
    opt_ins = [row for row in rows if row.action == "opt_in"]
    unblocks = [row for row in rows if row.action == "unblock"]
    widened = {_word(row) for row in rows if row.action == "opt_out" and row.scope == "everything"}
    found: dict[tuple[str, str | None, str | None, str], Said] = {}
    for row in rows:
        if row.action == "opt_out" and reach_of(row) != "everything" and _word(row) in widened:
            # The same word once more, for what a law made of it when it was known where they are.
            continue
        if row.action == "opt_out" and not any(_answers(each, row) for each in opt_ins):
            reach = reach_of(row)
            topic = row.topic if reach == "topic" else None
            category = (row.category or "promotional") if reach == "category" else None
            key = ("opted_out", topic, category, whose(row))
        elif row.action == "block" and not any(_lifts(each, row) for each in unblocks):
            key = (row.kind or "blocked", None, None, "platform")
        else:
            continue
        if key not in found or _newest(row) > _newest(found[key]):
            found[key] = row
    return [
        Bar(reason=reason, topic=topic, category=category, said_by=by, since=row.occurred_at, record_id=row.id)
        for (reason, topic, category, by), row in sorted(
            found.items(), key=lambda item: tuple(part or "" for part in item[0])
        )
    ]


def standing(rows: Iterable[Said]) -> list[Standing]:
    """The grants of one contact that nobody took back, the newest of each topic, kind and end; in a fixed order.

    An opt-out ends the grants that it covers, and no opt-in brings them back; save that what the platform's own control
    stops, it resumes.
    """
    rows = list(rows)
    ends = [row for row in rows if row.action in ("withdrawn", "opt_out")]
    found: dict[tuple[str | None, str, int | None], Said] = {}
    for row in rows:
        if row.action != "granted" or any(_takes_back(each, row) for each in ends):
            continue
        key = (row.topic, row.kind or "express", row.expires_at)
        if key not in found or _newest(row) > _newest(found[key]):
            found[key] = row
    return [
        Standing(topic=topic, kind=kind, granted_at=row.occurred_at, expires_at=end, record_id=row.id)
        for (topic, kind, end), row in sorted(
            found.items(), key=lambda item: (item[0][0] or "", item[0][1], -1 if item[0][2] is None else item[0][2])
        )
    ]


def barred(found: Sequence[Bar], *, topic: str | None, category: str) -> Bar | None:
    """The bar that a message of this topic and category meets, the widest first; None: none."""
    covering = [
        bar
        for bar in found
        if (bar.topic is None or bar.topic == topic) and (bar.category is None or bar.category == category)
    ]
    return min(covering, key=lambda bar: (bar.topic is not None, bar.category is not None), default=None)


def _answers(opt_in: Said, opt_out: Said) -> bool:
    if opt_in.source not in LIFTED_BY[whose(opt_out)] or not _covers(opt_in, opt_out):
        return False
    if _came_after(opt_out, opt_in):
        return False
    if opt_in.occurred_at != opt_out.occurred_at:
        return opt_in.occurred_at > opt_out.occurred_at
    return {opt_in.source, opt_out.source} <= _IN_ORDER and opt_in.id > opt_out.id


def _covers(opt_in: Said, opt_out: Said) -> bool:
    reach = reach_of(opt_in)
    if reach == "everything":
        return True
    if reach != reach_of(opt_out):
        return False
    if reach == "topic":
        return opt_in.topic == opt_out.topic
    return (opt_in.category or "promotional") == (opt_out.category or "promotional")


def _lifts(unblock: Said, block: Said) -> bool:
    # Something the person did before we knew of the block proves nothing; ids tell what we knew.
    if unblock.kind not in (None, block.kind or "blocked"):
        return False
    # Writing alone brings nobody back who was erased.
    if block.kind == "erased" and unblock.kind is None:
        return False
    return unblock.occurred_at >= block.occurred_at and unblock.id > block.id


def _came_after(end: Said, before: Said) -> bool:
    """Whether what ends something arrived after it and the instants of the two cannot say otherwise.

    It never goes the other way: what permits more has to be proven later.
    """
    return end.id > before.id and (end.by_arrival or (before.by_arrival and end.source in _PLATFORM))


def _takes_back(end: Said, grant: Said) -> bool:
    if end.occurred_at < grant.occurred_at and not _came_after(end, grant):
        return False
    if end.action == "withdrawn":
        same_kind = end.kind is None or end.kind == (grant.kind or "express")
        # A grant for anything would go on covering the topic: it ends too.
        return same_kind and (end.topic is None or grant.topic is None or end.topic == grant.topic)
    reach = reach_of(end)
    if reach == "topic":
        # The platform's own control stops and resumes one topic: what was agreed to about it rests meanwhile.
        return end.topic == grant.topic and whose(end) != "platform"
    return reach == "everything" or (end.category or "promotional") == "promotional"


def _word(row: Said) -> tuple[str, int, str | None, str | None]:
    return row.source, row.occurred_at, row.topic, row.category


def _newest(row: Said) -> tuple[int, int]:
    return row.occurred_at, row.id
