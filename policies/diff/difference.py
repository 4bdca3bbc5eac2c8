"""What a comparison of two policies comes to. Values."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.decision import Decision
from policies.facts import Facts
from policies.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """One person, one message and one instant at which the policies disagree."""

    facts: Facts
    #: Epoch seconds UTC: ``decide`` gives the two decisions at this instant.
    at: int
    old: Decision
    new: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How one clause, or the whole, changes what may be sent. Found by search: what was not found may still be."""

    #: Such as "permitted_hours.house"; "" for the whole.
    clause: str
    #: What the clause said and says; None where it is not there.
    before: str | None
    after: str | None
    #: Something that may no longer be sent.
    stricter: Counterexample | None
    #: Something that may now be sent.
    looser: Counterexample | None
    #: The same permission for another reason; looked for only where the permission is the same.
    reason: Counterexample | None
    #: How many people, messages and instants were compared.
    trials: int
    #: The search was stopped before it had made all of its trials: there may be more than was found.
    cut_short: bool
    #: What decided as the new one: the old policy with this clause changed, or the new policy.
    against: Policy = field(repr=False)

    @property
    def direction(self) -> str:
        """ "stricter", "looser", "both", "other reason" or "none found"."""
        if self.stricter and self.looser:
            return "both"
        if self.stricter or self.looser:
            return "stricter" if self.stricter else "looser"
        return "other reason" if self.reason else "none found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How the new policy differs from the old one."""

    #: The documents say the same, whatever their names: nothing needed to be searched.
    same: bool
    #: Each clause that differs, taken alone into the old policy.
    changes: tuple[Change, ...]
    overall: Change
