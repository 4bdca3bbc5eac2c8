"""What an activation would change, before anybody activates: clause by clause, and how many messages it concerns."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

from sqlmodel import Session

from policies.diff import diff
from policies.diff.edits import edits
from policies.policy import Policy
from scheduler.errors import Conflict
from scheduler.facts.messages import count_waiting
from scheduler.governance.active import policy_by_version
from scheduler.governance.history import Activation, activation_in_force
from scheduler.governance.policies import check_activation

#: Seconds of real time that the search for what changes do may take: somebody waits for the answer.
PATIENCE = 3.0
#: A cap of more messages than this is not searched: each trial needs a history as long.
_LONGEST_HISTORY = 100
#: Random trials for each clause, beside those made for it.
_TRIALS = 60


@dataclass(slots=True, frozen=True, kw_only=True)
class ClauseChange:
    """A clause that differs."""

    #: Such as "permitted_hours.house".
    clause: str
    kind: Literal["added", "removed", "changed"]
    before: str | None
    after: str | None
    #: "stricter", "looser", "both", "other reason" or "none found", by search; None: not searched, or not to the end.
    effect: str | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class Prospect:
    """What an activation would do."""

    #: The version in force; None: nothing was ever activated.
    active_version: str | None
    active_name: str | None
    #: None where the policy in force cannot be read, or where there is none.
    changes: tuple[ClauseChange, ...] | None
    #: The effect of all changes together; None: not searched, or not to the end.
    effect: str | None
    #: Messages that wait, or are due, and would be decided under the new policy.
    waiting: int


def prospect(
    session: Session, page_id: int, policy: Policy, *, now: int, expected_version: str | None = None
) -> Prospect:
    """What activating ``policy`` for the page at ``now`` would change. Reads only.

    Raises Conflict where activating it would: it is in force already, or ``expected_version`` is not.
    """
    active = activation_in_force(session, page_id)
    version = active.version if active else None
    check_activation(policy, version, expected_version)
    old = None
    if version is not None:
        try:
            old = policy_by_version(session, version)
        except Conflict:
            old = None
    changes, effect = searched(old, policy, now) if old else (None, None)
    return Prospect(
        active_version=version,
        active_name=active.name if active else None,
        changes=changes,
        effect=effect,
        waiting=count_waiting(session, page_id),
    )


def changed_clauses(old: Policy, new: Policy) -> tuple[ClauseChange, ...]:
    """The clauses in which two policies differ, as they are written; the name is one."""
    found = [ClauseChange(clause="policy.name", kind="changed", before=old.name, after=new.name)]
    for edit in edits(old, new):
        kind: Literal["added", "removed", "changed"] = "changed"
        if edit.before is None or edit.after is None:
            kind = "added" if edit.before is None else "removed"
        found.append(ClauseChange(clause=edit.clause, kind=kind, before=edit.before, after=edit.after))
    return tuple(each for each in found if each.before != each.after)


def activation_changes(found: Activation, known: dict[str, Policy]) -> tuple[ClauseChange, ...] | None:
    """What an activation changed; None where it was the first, or where one of the two cannot be read any more."""
    old, new = known.get(found.previous or ""), known.get(found.version)
    return changed_clauses(old, new) if old and new else None


def searched(
    old: Policy, new: Policy, now: int, patience: float = PATIENCE
) -> tuple[tuple[ClauseChange, ...], str | None]:
    """The clauses that differ with what each does, and what all do together: a search around ``now``, epoch seconds.

    ``patience``: after so many real seconds it ends. What it had not come to has no effect yet: None.
    """
    changes = changed_clauses(old, new)
    if any(cap.limit > _LONGEST_HISTORY for cap in (*old.caps, *new.caps)):
        return changes, None
    begun = time.monotonic()

    def tired() -> bool:
        return time.monotonic() - begun > patience

    difference = diff(old, new, at=now, budget=_TRIALS, tired=tired)
    cut_short = tired()
    effects = {
        found.clause: found.direction
        for found in difference.changes
        # What was not found may only not have been looked for.
        if found.direction != "none found" or not cut_short
    }
    return (
        tuple(replace(each, effect=effects.get(each.clause)) for each in changes),
        None if cut_short and difference.overall.direction != "both" else difference.overall.direction,
    )
