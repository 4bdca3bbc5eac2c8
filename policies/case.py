"""One question put to the rules: may this message go to this contact, now or later?"""

from __future__ import annotations

from dataclasses import dataclass, field

from policies import confirmation
from policies.binding import Binding, binding_of
from policies.facts import Facts
from policies.intervals import Intervals
from policies.local_time import DAY, wall_clock
from policies.policy import Policy

#: No decision looks further ahead, seconds.
HORIZON = 30 * DAY


@dataclass(slots=True)
class Case:
    """What every rule gets. Made for each decision, so it is small."""

    policy: Policy
    facts: Facts
    binding: Binding
    #: The instant of the question, epoch seconds UTC.
    now: int
    #: For how many seconds from its instant on a send must stay permitted.
    remaining: int
    #: What ``messaging_window`` found out: each ground that holds at some time, with its times, the preferred first.
    grounds: tuple[tuple[str, Intervals], ...] | None = field(default=None, init=False, compare=False)
    #: What ``frequency_cap`` found out: when some cap is full.
    full: Intervals | None = field(default=None, init=False, compare=False)

    @property
    def whole(self) -> Intervals:
        """All the time there is to look at, whatever the message's own schedule."""
        return ((self.now, self.now + HORIZON),)

    @property
    def expires_at(self) -> int | None:
        """When the message expires; one that confirms an opt-out does so with the time for that, at the latest."""
        ends = confirmation.ends_at(self.facts)
        if ends is None or (self.facts.expires_at is not None and self.facts.expires_at < ends):
            return self.facts.expires_at
        return ends

    @property
    def horizon(self) -> int:
        """Where looking ends: when the message expires, at most 30 days from now."""
        expires_at = self.expires_at
        limit = self.now + HORIZON
        return limit if expires_at is None else max(self.now, min(limit, expires_at))

    def shown(self, instant: int) -> str:
        """An instant for people to read: in the contact's zone if it is known, else in UTC."""
        return wall_clock(self.binding.zones[0] if len(self.binding.zones) == 1 else "UTC", instant)


def case_of(policy: Policy, facts: Facts, now: int, min_remaining: int) -> Case:
    """The case."""
    return Case(policy, facts, binding_of(policy, facts), now, min_remaining)
