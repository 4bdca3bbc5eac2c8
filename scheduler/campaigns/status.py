"""Where a campaign's messages are."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

_COUNTS = text("""
    SELECT campaign_id, state, coalesce(reason, '') AS reason,
        CASE WHEN state = 'scheduled' AND due_at IS NULL THEN wakes_on END AS wakes_on, count(*) AS messages
    FROM message WHERE campaign_id = ANY(:ids) GROUP BY 1, 2, 3, 4
""")


@dataclass(slots=True)
class Status:
    """Messages of a campaign by state, and by reason within a state; the most frequent first."""

    states: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    #: What parked messages wait for → messages: ``inbound`` (the person writes), ``zone_evidence``, ``resume``, …
    waits_for: dict[str, int] = field(default_factory=dict)


def status(session: Session, campaign_ids: list[int]) -> dict[int, Status]:
    """Counts for each of these campaigns, in one grouped query."""
    found = {campaign_id: Status() for campaign_id in campaign_ids}
    for row in session.connection().execute(_COUNTS, {"ids": campaign_ids}):
        one = found[row.campaign_id]
        one.states[row.state] = one.states.get(row.state, 0) + row.messages
        if row.reason:
            reasons = one.reasons.setdefault(row.state, {})
            reasons[row.reason] = reasons.get(row.reason, 0) + row.messages
        if row.wakes_on:
            one.waits_for[row.wakes_on] = one.waits_for.get(row.wakes_on, 0) + row.messages
    for one in found.values():
        one.states = _most_frequent_first(one.states)
        one.reasons = {state: _most_frequent_first(reasons) for state, reasons in one.reasons.items()}
        one.waits_for = _most_frequent_first(one.waits_for)
    return found


def _most_frequent_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
