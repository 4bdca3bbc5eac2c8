"""Messages as lists, counts and single stories. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

_COLUMNS = """
    m.id, p.external_id AS page, c.psid, m.campaign_id, m.event_id, m.resend_of, m.confirms_record_id,
    t.name AS template, t.version AS template_version, m.lane, m.category, m.priority, m.topic, m.not_before,
    m.expires_at, m.may_wait, m.state,
    m.state_at, m.due_at, m.deadline, m.reason, m.wakes_on, m.ground, m.policy_version,
    m.attempts AS attempt_count, m.mid, m.created_at
"""
_FROM = """
    FROM message m JOIN page p ON p.id = m.page_id JOIN contact c ON c.id = m.contact_id
    JOIN template t ON t.id = m.template_id
"""
_FILTERS = {
    "page_id": "m.page_id = :page_id",
    "campaign_id": "m.campaign_id = :campaign_id",
    "psid": "m.contact_id = ANY(ARRAY(SELECT id FROM contact WHERE psid = :psid))",
    "state": "m.state = :state",
    "reason": "m.reason = :reason",
    "before": "m.id < :before",
}
_ONE = text(f"SELECT {_COLUMNS}, m.variables {_FROM} WHERE m.id = :id")
_PERSON = text("""
    SELECT c.psid, c.timezones, c.utc_offset, c.country, c.region, c.locale, c.last_inbound_at
    FROM contact c JOIN message m ON m.contact_id = c.id WHERE m.id = :id
""")
_LOG = text("""
    SELECT id, at, from_state, to_state, attempt_id, reason, actor, verdict, until, because, ground, policy_version,
        tzdata, holidays, guard, facts
    FROM message_log WHERE message_id = :id ORDER BY id
""")
_ATTEMPTS = text("""
    SELECT id, category, ground, begun_at, outcome, settled_at, http_status, code, subcode, mid, content
    FROM attempt WHERE message_id = :id ORDER BY id
""")
# Newest first and bounded: a minute of several pages at full rate fits many times over.
_SENT = text("""
    SELECT count(*) FILTER (WHERE begun_at > :minute) AS minute, count(*) FILTER (WHERE begun_at > :recent) AS recent
    FROM (SELECT begun_at, outcome FROM attempt ORDER BY id DESC LIMIT 20000) newest WHERE outcome = 'sent'
""")
_WAITING = text("SELECT count(*) FROM message WHERE page_id = :page AND state IN ('scheduled', 'due')")


@dataclass(slots=True)
class Summary:
    """Counts over messages, as they are now; the most frequent first."""

    states: dict[str, int] = field(default_factory=dict)
    #: State → reason → messages.
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Reason → distinct messages that were ever deferred for it.
    deferred: dict[str, int] = field(default_factory=dict)
    #: Messages accepted whose request began within the last 60 seconds.
    sent_last_minute: int = 0
    #: The same for the last ``recent`` seconds that the caller asked for.
    sent_recently: int = 0


def list_messages(session: Session, *, limit: int, **filters: object) -> list[dict[str, Any]]:
    """Messages, newest first. Filters: page_id, campaign_id, psid, state, reason, before (an id); None: any."""
    given = {name: value for name, value in filters.items() if value is not None}
    where = " AND ".join(_FILTERS[name] for name in given) or "true"
    statement = text(f"SELECT {_COLUMNS} {_FROM} WHERE {where} ORDER BY m.id DESC LIMIT :limit")
    rows = session.connection().execute(statement, {**given, "limit": limit})
    return [dict(row) for row in rows.mappings()]


def count_waiting(session: Session, page_id: int) -> int:
    """How many of the page's messages are still to be decided: they wait for their time, or are due."""
    session.flush()
    return int(session.connection().execute(_WAITING, {"page": page_id}).scalar_one())


def summarise(
    session: Session, now: int, *, recent: int, page_id: int | None = None, campaign_id: int | None = None
) -> Summary:
    """Messages by state and reason, those ever deferred, and over all pages the pace.

    ``recent`` is the number of seconds that ``sent_recently`` looks back.
    """
    values = {"page_id": page_id, "campaign_id": campaign_id}
    given = {name: value for name, value in values.items() if value is not None}
    where = " AND ".join(_FILTERS[name] for name in given) or "true"
    summary = Summary()
    counts = text(
        f"SELECT m.state, coalesce(m.reason, '') AS reason, count(*) AS messages FROM message m WHERE {where} "  # noqa: S608 - constants only
        "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
    )
    for row in session.connection().execute(counts, given):
        summary.states[row.state] = summary.states.get(row.state, 0) + row.messages
        if row.reason:
            summary.reasons.setdefault(row.state, {})[row.reason] = row.messages
    summary.states = dict(sorted(summary.states.items(), key=lambda item: (-item[1], item[0])))
    deferred = text(
        "SELECT coalesce(l.reason, '') AS reason, count(DISTINCT l.message_id) AS messages FROM message_log l "  # noqa: S608 - constants only
        + (f"JOIN message m ON m.id = l.message_id AND {where} " if given else "")
        + "WHERE l.verdict = 'defer' GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    for row in session.connection().execute(deferred, given):
        summary.deferred[row.reason] = row.messages
    pace = session.connection().execute(_SENT, {"minute": now - 60, "recent": now - recent}).one()
    summary.sent_last_minute, summary.sent_recently = pace.minute, pace.recent
    return summary


def read_message(session: Session, message_id: int) -> dict[str, Any] | None:
    """One message with its ``contact``, its ``log`` (each arrow, each decision's facts) and its ``attempts``.

    None: no message has that id.
    """
    row = session.connection().execute(_ONE, {"id": message_id}).mappings().first()
    if row is None:
        return None
    person = session.connection().execute(_PERSON, {"id": message_id}).mappings().one()
    log = session.connection().execute(_LOG, {"id": message_id}).mappings()
    attempts = session.connection().execute(_ATTEMPTS, {"id": message_id}).mappings()
    return {
        **row,
        "contact": dict(person),
        "log": [dict(each) for each in log],
        "attempts": [dict(each) for each in attempts],
    }
