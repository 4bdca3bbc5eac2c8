"""Messages as lists, counts and single stories. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from scheduler.facts.counting import in_time, sample_share

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
#: Blocks of 8 kB that are looked at instead: some ten thousand messages, and a few thousand for what is in the log.
_SAMPLE, _SAMPLE_OF_LOGS = 600, 100
_COUNTS = """
    SELECT m.state, coalesce(m.reason, '') AS reason, count(*) AS messages FROM message m {sample} WHERE {where}
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""
_DEFERRED = """
    SELECT coalesce(l.reason, '') AS reason, count(DISTINCT l.message_id) AS messages FROM {messages} message_log l
    WHERE {where} AND l.verdict = 'defer' GROUP BY 1 ORDER BY 2 DESC, 1
"""
_WAITING = text("SELECT count(*) FROM message WHERE page_id = :page AND state IN ('scheduled', 'due')")


@dataclass(slots=True)
class Summary:
    """Counts over messages, as they are now; the most frequent first."""

    #: False: of a sample, where to count all of them would take too long.
    exact: bool = True
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
    """Messages by state and reason, those ever deferred, and over all pages the pace; estimates where there are many.

    ``recent`` is the number of seconds that ``sent_recently`` looks back.
    """
    values = {"page_id": page_id, "campaign_id": campaign_id}
    given = {name: value for name, value in values.items() if value is not None}
    where = " AND ".join(_FILTERS[name] for name in given) or "true"
    summary = Summary()
    for row, times in _counted(session, summary, where, given):
        summary.states[row.state] = summary.states.get(row.state, 0) + round(row.messages * times)
        if row.reason:
            summary.reasons.setdefault(row.state, {})[row.reason] = round(row.messages * times)
    summary.states = dict(sorted(summary.states.items(), key=lambda item: (-item[1], item[0])))
    for row, times in _deferred(session, summary, where, given):
        summary.deferred[row.reason] = round(row.messages * times)
    pace = session.connection().execute(_SENT, {"minute": now - 60, "recent": now - recent}).one()
    summary.sent_last_minute, summary.sent_recently = pace.minute, pace.recent
    return summary


def _counted(
    session: Session, summary: Summary, where: str, given: Mapping[str, object]
) -> Iterator[tuple[Row[Any], float]]:
    """Messages by state and reason, and by what each count is to be multiplied."""
    whole = text(_COUNTS.format(sample="", where=where))
    if (rows := in_time(session, "message", whole, given)) is not None:
        yield from ((row, 1.0) for row in rows)
        return
    summary.exact = False
    share = sample_share(session, _SAMPLE)
    sampled = text(_COUNTS.format(sample=f"TABLESAMPLE SYSTEM ({share:.6f})", where=where))
    yield from ((row, 100.0 / share) for row in session.connection().execute(sampled, given))


def _deferred(
    session: Session, summary: Summary, where: str, given: Mapping[str, object]
) -> Iterator[tuple[Row[Any], float]]:
    """Messages ever deferred by reason, and by what each count is to be multiplied."""
    whole = text(
        _DEFERRED.format(messages="", where="true")
        if where == "true"
        else _DEFERRED.format(messages="message m,", where=f"m.id = l.message_id AND {where}")
    )
    if (rows := in_time(session, "message_log", whole, given)) is not None:
        yield from ((row, 1.0) for row in rows)
        return
    summary.exact = False
    # A sample of messages with all of their log: of a sample of the log nobody could tell which are the same message.
    share = sample_share(session, _SAMPLE_OF_LOGS)
    sample = f"(SELECT id FROM message m TABLESAMPLE SYSTEM ({share:.6f}) WHERE {where} OFFSET 0) m,"  # noqa: S608 - constants only
    sampled = text(_DEFERRED.format(messages=sample, where="m.id = l.message_id"))
    yield from ((row, 100.0 / share) for row in session.connection().execute(sampled, given))


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
