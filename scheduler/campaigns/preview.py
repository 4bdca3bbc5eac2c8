"""What a campaign would do if it were launched now: the planner's own decisions, counted and thrown away."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from policies.decision import Decision
from policies.facts import Planned
from scheduler.campaigns.coming import coming, wishes_to_plan
from scheduler.campaigns.planning import CHUNK
from scheduler.campaigns.registry import audience_chunk, last_contact, wish_of
from scheduler.campaigns.tables import Campaign
from scheduler.errors import Conflict
from scheduler.outbox.plan import Decided, decide_wish

_HOUR = 3600
#: A ``defer`` to no instant.
_WAIT = "wait"
#: People shown for each (verdict, reason).
_SAMPLES = 3
_PSIDS = text("SELECT id, psid FROM contact WHERE id = ANY(:ids)")


@dataclass(slots=True)
class Sample:
    """Somebody, as an example of what happens to many."""

    psid: str
    verdict: str
    reason: str | None
    #: When it would go, epoch seconds; None: never, or nobody knows yet.
    at: int | None
    #: Whose messages it comes after, such as "campaign 3"; empty: nobody's.
    after: list[str]


@dataclass(slots=True)
class Preview:
    """What a launch at this instant would plan."""

    at: int
    #: False: the audience was too large to be looked at whole in time, and the figures are of those known first.
    complete: bool = True
    now: int = 0
    later: int = 0
    #: Nobody knows when: people who are to write first, whose zone is to be known, …: see ``waits_for``.
    waiting: int = 0
    never: int = 0
    #: When whoever waits is waited for no longer, epoch seconds; None: until something ends their wait.
    waits_until: int | None = None
    #: Reason → people, for ``later``, ``waiting`` and ``never``.
    later_reasons: dict[str, int] = field(default_factory=dict)
    waiting_reasons: dict[str, int] = field(default_factory=dict)
    never_reasons: dict[str, int] = field(default_factory=dict)
    #: Whose messages stand before this campaign's → people for whom they do, so that it goes later or never. "campaign
    #: 3", or "follow-ups" for those of all events.
    after: dict[str, int] = field(default_factory=dict)
    #: Start of the hour (epoch seconds) → messages that policy permits first in that hour.
    by_hour: dict[int, int] = field(default_factory=dict)
    #: What they wait for → people: ``inbound``, ``zone_evidence``, ``handback``, …
    waits_for: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)


def preview(
    session: Session, campaign: Campaign, now: int, *, limit: int = CHUNK, patience: float = math.inf
) -> Preview:
    """Decide the whole audience as it is at ``now`` and count; writes nothing.

    After ``patience`` real seconds what was counted so far is all: ``complete`` is False then.

    The figures are those that a launch at ``now`` comes to: the same query, the same evaluator, the same parameters.
    Messages that are scheduled for these people, and those that launched campaigns are still to plan, count against
    gaps and caps where they are of no lower priority.
    Raises Conflict when it is not a draft any more, or when the page's policy cannot be read.
    """
    if campaign.status != "draft":
        # What it sent itself would count against its caps here.
        raise Conflict(
            f"campaign {campaign.id} is {campaign.status}: there is no launch to look ahead to",
            field="campaign",
            way_out=f"`duly campaign show {campaign.id}` tells where it is",
        )
    wish = wish_of(session, campaign, now)
    until = last_contact(session, campaign.page_id)
    before = wishes_to_plan(session, campaign.page_id, wish.priority, now)
    after: Counter[str] = Counter()
    counts: Counter[tuple[str, str | None]] = Counter()
    hours: Counter[int] = Counter()
    waits_for: Counter[str] = Counter()
    shown: list[Decided] = []
    cursor, complete, begun = 0, True, time.monotonic()
    while True:
        contacts = audience_chunk(session, campaign, after=cursor, until=until, limit=limit)
        for each in decide_wish(session, wish, contacts, now, coming=coming(session, before, contacts, now)):
            kind = _when(each.expected), each.expected.reason
            counts[kind] += 1
            if counts[kind] <= _SAMPLES:
                shown.append(each)
            if kind[0] == _WAIT:
                waits_for[each.expected.wakes_on or ""] += 1
            if each.expected.at is not None:
                hours[each.expected.at - each.expected.at % _HOUR] += 1
            after.update({_owner(ahead) for ahead in each.after})
        if len(contacts) < limit:
            break
        cursor = contacts[-1]
        if time.monotonic() - begun > patience:
            complete = False
            break
    return Preview(
        at=now,
        complete=complete,
        now=_total(counts, "send"),
        later=_total(counts, "defer"),
        waiting=_total(counts, _WAIT),
        never=_total(counts, "deny"),
        waits_until=wish.expires_at,
        later_reasons=_reasons(counts, "defer"),
        waiting_reasons=_reasons(counts, _WAIT),
        waits_for=dict(waits_for.most_common()),
        never_reasons=_reasons(counts, "deny"),
        after=dict(after.most_common()),
        by_hour=dict(sorted(hours.items())),
        samples=_samples(session, shown),
    )


def _when(decision: Decision) -> str:
    """The verdict; that nobody knows the instant of a ``defer`` is one of its own."""
    return _WAIT if decision.verdict == "defer" and decision.at is None else decision.verdict


def _total(counts: Counter[tuple[str, str | None]], verdict: str) -> int:
    return sum(count for (found, _), count in counts.items() if found == verdict)


def _reasons(counts: Counter[tuple[str, str | None]], verdict: str) -> dict[str, int]:
    """Reason → people, the most frequent first."""
    return {reason or "": count for (found, reason), count in counts.most_common() if found == verdict}


def _samples(session: Session, shown: list[Decided]) -> list[Sample]:
    rows = session.connection().execute(_PSIDS, {"ids": [each.contact_id for each in shown]})
    psids = {row.id: row.psid for row in rows}
    return [
        Sample(
            psids[each.contact_id], each.expected.verdict, each.expected.reason, each.expected.at,
            list(dict.fromkeys(ahead.owner for ahead in each.after)),
        )
        for each in shown
    ]  # fmt: skip


def _owner(ahead: Planned) -> str:
    # Each person may have an event of their own.
    return ahead.owner if ahead.owner.startswith("campaign ") else "follow-ups"
