"""What an activation would change, before anybody activates: clause by clause, and how many messages it concerns."""

from __future__ import annotations

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

#: More clauses than these are not searched for what they do: somebody waits for the answer.
_SEARCHED = 40
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
    #: "stricter", "looser", "both", "other reason" or "none found", by search; None: not searched.
    effect: str | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class Prospect:
    """What an activation would do."""

    #: The version in force; None: nothing was ever activated.
    active_version: str | None
    active_name: str | None
    #: None where the policy in force cannot be read, or where there is none.
    changes: tuple[ClauseChange, ...] | None
    #: The effect of all changes together; None: not searched.
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
    changes, effect = _searched(old, policy, now) if old else (None, None)
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


def _searched(old: Policy, new: Policy, now: int) -> tuple[tuple[ClauseChange, ...], str | None]:
    changes = changed_clauses(old, new)
    if len(changes) > _SEARCHED:
        return changes, None
    difference = diff(old, new, at=now, budget=_TRIALS)
    effects = {change.clause: change.direction for change in difference.changes}
    return (
        tuple(replace(each, effect=effects.get(each.clause)) for each in changes),
        "none found" if difference.same else difference.overall.direction,
    )
