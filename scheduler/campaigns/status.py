"""Where a campaign's messages are."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from scheduler.facts.counting import in_time, sample_share

_COUNTS = """
    SELECT campaign_id, state, coalesce(reason, '') AS reason,
        CASE WHEN state = 'scheduled' AND due_at IS NULL THEN wakes_on END AS wakes_on, count(*) AS messages
    FROM message {sample} WHERE campaign_id = ANY(:ids) GROUP BY 1, 2, 3, 4
"""
#: Blocks of 8 kB that are looked at where all messages are too many: some twenty thousand messages.
_SAMPLE = 1_000


@dataclass(slots=True)
class Status:
    """Messages of a campaign by state, and by reason within a state; the most frequent first."""

    #: False: estimated from a sample, for there are many messages.
    exact: bool = True
    states: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    #: What parked messages wait for → messages: ``inbound`` (the person writes), ``zone_evidence``, ``resume``, …
    waits_for: dict[str, int] = field(default_factory=dict)


def status(session: Session, campaign_ids: list[int]) -> dict[int, Status]:
    """Counts for each of these campaigns, in one grouped query; estimates where there are too many messages."""
    rows, times = in_time(session, "message", text(_COUNTS.format(sample="")), {"ids": campaign_ids}), 1.0
    found = {campaign_id: Status(exact=rows is not None) for campaign_id in campaign_ids}
    if rows is None:
        share = sample_share(session, _SAMPLE)
        sampled = text(_COUNTS.format(sample=f"TABLESAMPLE SYSTEM ({share:.6f})"))
        rows, times = session.connection().execute(sampled, {"ids": campaign_ids}).all(), 100.0 / share
    for row in rows:
        one, many = found[row.campaign_id], round(row.messages * times)
        one.states[row.state] = one.states.get(row.state, 0) + many
        if row.reason:
            reasons = one.reasons.setdefault(row.state, {})
            reasons[row.reason] = reasons.get(row.reason, 0) + many
        if row.wakes_on:
            one.waits_for[row.wakes_on] = one.waits_for.get(row.wakes_on, 0) + many
    for one in found.values():
        one.states = _most_frequent_first(one.states)
        one.reasons = {state: _most_frequent_first(reasons) for state, reasons in one.reasons.items()}
        one.waits_for = _most_frequent_first(one.waits_for)
    return found


def _most_frequent_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
