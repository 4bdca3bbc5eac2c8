"""Where a campaign's messages are."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

_COUNTS = text("""
    SELECT campaign_id, state, coalesce(reason, '') AS reason, count(*) AS messages
    FROM message WHERE campaign_id = ANY(:ids) GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 3
""")


@dataclass(slots=True)
class Status:
    """Messages of a campaign by state, and by reason within a state; the most frequent first."""

    states: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)


def status(session: Session, campaign_ids: list[int]) -> dict[int, Status]:
    """Counts for each of these campaigns, in one grouped query."""
    found = {campaign_id: Status() for campaign_id in campaign_ids}
    for row in session.connection().execute(_COUNTS, {"ids": campaign_ids}):
        one = found[row.campaign_id]
        one.states[row.state] = one.states.get(row.state, 0) + row.messages
        if row.reason:
            one.reasons.setdefault(row.state, {})[row.reason] = row.messages
    for one in found.values():
        one.states = dict(sorted(one.states.items(), key=lambda item: (-item[1], item[0])))
    return found
