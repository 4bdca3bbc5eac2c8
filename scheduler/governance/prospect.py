"""What an activation would change, before anybody activates: clause by clause, and how many messages it concerns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session

from policies.policy import Policy
from scheduler.errors import Conflict
from scheduler.facts.messages import count_waiting
from scheduler.governance.active import policy_by_version
from scheduler.governance.clause_changes import ClauseChange, Search, Searched, changed_clauses, searched
from scheduler.governance.history import Activation, activation_in_force
from scheduler.governance.policies import check_activation

#: What ``searched`` does: of two policies, the instant around which to look, and the real seconds that it may take.
Look = Callable[[Policy, Policy, int, float], Searched]


@dataclass(slots=True, frozen=True, kw_only=True)
class Prospect:
    """What an activation would do."""

    #: The version in force; None: nothing was ever activated.
    active_version: str | None
    active_name: str | None
    #: None where the policy in force cannot be read, or where there is none.
    changes: tuple[ClauseChange, ...] | None
    #: The effect of all changes together, and how far the search for it went.
    effect: str | None
    search: Search
    #: Why it is not complete, in words; None: it is.
    search_note: str | None
    #: Messages that wait, or are due, and would be decided under the new policy.
    waiting: int


_FIRST = Searched(changes=None, effect=None, search="not_searched", note="there is no policy in force to compare with")
_UNKNOWN = Searched(changes=None, effect=None, search="not_searched", note="the policy in force cannot be read")


def prospect(
    session: Session,
    page_id: int,
    policy: Policy,
    *,
    now: int,
    patience: float,
    expected_version: str | None = None,
    look: Look = searched,
) -> Prospect:
    """What activating ``policy`` for the page at ``now`` would change. Reads only.

    The search for what the changes do ends after ``patience`` real seconds: somebody waits for the answer.
    ``look`` is what searches: somewhere else, perhaps.
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
    found = look(old, policy, now, patience) if old else _UNKNOWN if version else _FIRST
    return Prospect(
        active_version=version,
        active_name=active.name if active else None,
        changes=found.changes,
        effect=found.effect,
        search=found.search,
        search_note=found.note,
        waiting=count_waiting(session, page_id),
    )


def activation_changes(found: Activation, known: dict[str, Policy]) -> tuple[ClauseChange, ...] | None:
    """What an activation changed; None where it was the first, or where one of the two cannot be read any more."""
    old, new = known.get(found.previous or ""), known.get(found.version)
    return changed_clauses(old, new) if old and new else None
