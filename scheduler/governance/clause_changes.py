"""The clauses in which two policies differ, and what each difference does: a search that takes seconds.

Nothing here reads the database: it runs in a process apart too (``scheduler/api/apart.py``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

from policies.diff import Change, diff
from policies.diff.edits import edits
from policies.policy import Policy

#: A cap of more messages than this is not searched: each trial needs a history as long.
_LONGEST_HISTORY = 100
#: Random trials for each clause, beside those made for it.
_TRIALS = 60


#: How far the search for what a change does went. What is not ``complete`` may do more than was found.
Search = Literal["complete", "cut_short", "not_searched"]


@dataclass(slots=True, frozen=True, kw_only=True)
class ClauseChange:
    """A clause that differs."""

    #: Such as "permitted_hours.house".
    clause: str
    kind: Literal["added", "removed", "changed"]
    before: str | None
    after: str | None
    #: What the search found: "stricter", "looser", "both", "other reason"; "none found" where it was complete.
    #: None: nothing is known.
    effect: str | None = None
    #: The policy's name decides nothing and is never searched.
    search: Search = "not_searched"


@dataclass(slots=True, frozen=True, kw_only=True)
class Searched:
    """What a search for the effect of changes came to; the fields are those of ``Prospect``."""

    changes: tuple[ClauseChange, ...] | None
    effect: str | None
    search: Search
    note: str | None


def changed_clauses(old: Policy, new: Policy) -> tuple[ClauseChange, ...]:
    """The clauses in which two policies differ, as they are written; the name is one."""
    found = [ClauseChange(clause="policy.name", kind="changed", before=old.name, after=new.name)]
    for edit in edits(old, new):
        kind: Literal["added", "removed", "changed"] = "changed"
        if edit.before is None or edit.after is None:
            kind = "added" if edit.before is None else "removed"
        found.append(ClauseChange(clause=edit.clause, kind=kind, before=edit.before, after=edit.after))
    return tuple(each for each in found if each.before != each.after)


def searched(old: Policy, new: Policy, now: int, patience: float) -> Searched:
    """The clauses that differ, with what each does and what all do together: a search around ``now``, epoch seconds.

    It ends after ``patience`` real seconds, and says so.
    """
    changes = changed_clauses(old, new)
    if any(cap.limit > _LONGEST_HISTORY for cap in (*old.caps, *new.caps)):
        too_long = f"a cap of more than {_LONGEST_HISTORY} messages takes too long to search"
        return Searched(changes=changes, effect=None, search="not_searched", note=too_long)
    begun = time.monotonic()
    difference = diff(old, new, at=now, budget=_TRIALS, tired=lambda: time.monotonic() - begun > patience)
    found = {change.clause: _outcome(change) for change in difference.changes}
    changes = tuple(
        replace(each, effect=found[each.clause][0], search=found[each.clause][1]) if each.clause in found else each
        for each in changes
    )
    effect, search = _outcome(difference.overall)
    note: str | None = None
    if search == "cut_short" or any(each.search == "cut_short" for each in changes):
        search, note = (
            "cut_short",
            f"the search was stopped after {patience:g} seconds: there may be more than it found",
        )
    return Searched(changes=changes, effect=effect, search=search, note=note)


def _outcome(change: Change) -> tuple[str | None, Search]:
    if not change.cut_short:
        return change.direction, "complete"
    # What was not found may only not have been looked for.
    return None if change.direction == "none found" else change.direction, "cut_short"
