"""Makes good what a restored database does not know: attempts that marks outside it tell of.

INVARIANT: no message whose attempt may have reached the platform is left to be sent. What the marks say was accepted
becomes ``sent``; what they do not say is ``unconfirmed``, a dead letter; what was refused, or proven not sent, waits as
it did. A message that was made after the dump is made again, so that its campaign is not planned anew for that person.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.tokens import recount_tokens
from scheduler.contacts.lock import lock_contacts
from scheduler.facts.event_kinds import is_requested, variables_of
from scheduler.outbox.evidence import Accepted, accept
from scheduler.outbox.priorities import priority_of
from scheduler.outbox.states import ACCEPTED

#: Messages that one call assumes to be sent.
LIMIT = 20_000

_CLEAR = text("DROP TABLE IF EXISTS restoring")
#: An attempt begins only where the one before is known not to have been sent, so the last is the one that may have.
_LOAD = text("""
    CREATE TEMP TABLE restoring ON COMMIT DROP AS
    SELECT g.*, CAST(NULL AS bigint) AS target, CASE
        WHEN g.result = 'sent' THEN 'sent'
        WHEN g.result IN ('refused', 'not_sent') THEN 'nothing'
        WHEN g.attempt = max(g.attempt) OVER (PARTITION BY g.message) THEN 'unconfirmed'
        ELSE 'nothing' END AS became
    FROM json_to_recordset(CAST(:rows AS json)) AS g (attempt bigint, message bigint, contact bigint, page int,
        template bigint, campaign bigint, event bigint, category text, lane text, topic text, ground text, token bigint,
        begun_at bigint, result text, mid text)
""")
#: A number alone proves nothing: what is younger than the attempt is something else.
_TARGETS = (
    text("""
        UPDATE restoring r SET target = m.id FROM message m
        WHERE m.id = r.message AND m.contact_id = r.contact AND m.page_id = r.page AND m.created_at <= r.begun_at
    """),
    text("""
        UPDATE restoring r SET target = m.id FROM message m JOIN campaign c ON c.id = m.campaign_id
        WHERE r.target IS NULL AND m.campaign_id = r.campaign AND m.contact_id = r.contact AND m.resend_of IS NULL
        AND c.created_at <= r.begun_at
    """),
    text("""
        UPDATE restoring r SET target = m.id FROM message m JOIN business_event e ON e.id = m.event_id
        WHERE r.target IS NULL AND m.event_id = r.event AND m.contact_id = r.contact AND m.resend_of IS NULL
        AND e.received_at <= r.begun_at
    """),
)
_MAKE = text("""
    WITH lost AS (
        SELECT DISTINCT ON (r.message) r.*,
            bool_or(r.became = 'sent') OVER (PARTITION BY r.message) AS sent
        FROM restoring r JOIN contact c ON c.id = r.contact AND c.page_id = r.page AND c.created_at <= r.begun_at
        JOIN template t ON t.id = r.template AND t.page_id = r.page
        WHERE r.target IS NULL AND r.became <> 'nothing'
        AND (r.campaign IS NULL OR EXISTS (
            SELECT 1 FROM campaign WHERE campaign.id = r.campaign AND campaign.created_at <= r.begun_at))
        AND (r.event IS NULL OR EXISTS (
            SELECT 1 FROM business_event e WHERE e.id = r.event AND e.received_at <= r.begun_at))
        ORDER BY r.message, (r.became = 'sent') DESC, r.attempt DESC
    ), made AS (
        INSERT INTO message (id, page_id, contact_id, template_id, campaign_id, event_id, lane, category, topic, state,
            state_at, reason, ground, attempts, crashes, mid, created_at)
        SELECT message, page, contact, template, campaign, event, lane, category, topic,
            CASE WHEN sent THEN 'sent' ELSE 'unconfirmed' END, :now, CASE WHEN sent THEN NULL ELSE 'restored' END,
            ground, 1, 0, mid, begun_at
        FROM lost ON CONFLICT DO NOTHING RETURNING id, state, reason
    ), logged AS (
        INSERT INTO message_log (message_id, at, to_state, attempt_id, reason, actor)
        SELECT made.id, :now, made.state, lost.attempt, 'restored', 'restore'
        FROM made JOIN lost ON lost.message = made.id ORDER BY made.id
    )
    UPDATE restoring r SET target = made.id FROM made WHERE r.message = made.id
""")
#: What marks do not tell of those that were made again, and whoever sends one again needs.
_MADE = text("""
    SELECT m.id, m.category, e.kind, nullif(e.body, '{}') AS body, coalesce(c.priority, 0) AS own, c.not_before,
        coalesce(c.expires_at, e.occurred_at + r.expires_after) AS expires_at,
        CASE WHEN c.id IS NULL THEN r.kind IS NOT NULL ELSE c.may_wait AND c.expires_at IS NOT NULL END AS may_wait
    FROM message m
    LEFT JOIN campaign c ON c.id = m.campaign_id
    LEFT JOIN business_event e ON e.id = m.event_id
    LEFT JOIN recipe r ON r.page_id = e.page_id AND r.kind = e.kind
    WHERE m.id IN (SELECT target FROM restoring WHERE target = message) AND NOT m.id = ANY(:standing)
""")
_COMPLETE = text("""
    UPDATE message m SET priority = g.priority, variables = g.variables, not_before = g.not_before,
        expires_at = g.expires_at, may_wait = g.may_wait
    FROM json_to_recordset(CAST(:rows AS json)) AS g (id bigint, priority smallint, variables jsonb, not_before bigint,
        expires_at bigint, may_wait boolean)
    WHERE m.id = g.id
""")
_OUTDATED = text("""
    UPDATE attempt a SET outcome = 'not_sent', settled_at = :now
    FROM (SELECT target, max(attempt) AS newest FROM restoring WHERE target IS NOT NULL GROUP BY target) AS n
    WHERE a.message_id = n.target AND a.id < n.newest AND a.outcome IN ('sending', 'in_doubt', 'unconfirmed')
""")
_COLUMNS = "message_id, contact_id, page_id, category, ground, token_id, begun_at, outcome, settled_at, mid"
_VALUES = "target, contact, page, category, ground, token, begun_at, became, CAST(:now AS bigint), mid"
_ATTEMPTS = (
    text(f"""
        INSERT INTO attempt (id, {_COLUMNS}) SELECT attempt, {_VALUES} FROM restoring
        WHERE target IS NOT NULL AND became <> 'nothing' ORDER BY attempt ON CONFLICT DO NOTHING
    """),  # noqa: S608 - our own column names
    # Where its number was given to another meanwhile.
    text(f"""
        INSERT INTO attempt ({_COLUMNS}) SELECT {_VALUES} FROM restoring r
        WHERE target IS NOT NULL AND became <> 'nothing'
        AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.id = r.attempt AND a.message_id = r.target)
        ORDER BY attempt ON CONFLICT DO NOTHING
    """),  # noqa: S608 - our own column names
)
_STANDING = text("""
    SELECT m.id, m.state, r.became, r.attempt, r.mid
    FROM (
        SELECT DISTINCT ON (target) target, became, attempt, mid FROM restoring
        WHERE target IS NOT NULL AND became <> 'nothing' ORDER BY target, (became = 'sent') DESC, attempt DESC
    ) AS r JOIN message m ON m.id = r.target ORDER BY m.id FOR NO KEY UPDATE OF m
""")
_UNCONFIRMED = text("""
    WITH moved AS (
        UPDATE message m SET state = 'unconfirmed', state_at = :now, reason = 'restored', wakes_on = NULL
        FROM unnest(CAST(:ids AS bigint[]), CAST(:wases AS text[]), CAST(:attempts AS bigint[]))
            AS d (id, was, attempt)
        WHERE m.id = d.id AND m.state = d.was RETURNING m.id, d.was, d.attempt
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, attempt_id, reason, actor)
    SELECT id, :now, was, 'unconfirmed', attempt, 'restored', 'restore' FROM moved ORDER BY id
""")
_BECAME = text("SELECT attempt, message, target, became FROM restoring")
_TOKENS = text("SELECT DISTINCT token FROM restoring WHERE token IS NOT NULL AND target IS NOT NULL")
_ASSUME = text("""
    WITH perhaps AS (
        SELECT id, state FROM message
        WHERE state = 'due' OR (state = 'scheduled' AND due_at <= :until)
        ORDER BY id LIMIT :limit FOR NO KEY UPDATE
    ), moved AS (
        UPDATE message m SET state = 'unconfirmed', state_at = :now, reason = 'restored_assumed', wakes_on = NULL
        FROM perhaps p WHERE m.id = p.id AND m.state = p.state RETURNING m.id, p.state AS was
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, was, 'unconfirmed', 'restored_assumed', 'restore' FROM moved ORDER BY id
""")
_MAY_GO = ("scheduled", "due", "sending", "in_doubt")


@dataclass(slots=True, kw_only=True)
class Restored:
    """An attempt that the database does not know, as the marks tell of it."""

    attempt: int
    message: int
    contact: int | None
    page: int | None
    template: int | None
    campaign: int | None
    event: int | None
    category: str | None
    lane: str | None
    topic: str | None
    ground: str | None
    token: int | None
    begun_at: int | None
    result: str | None
    mid: str | None


def record_restored(
    session: Session, attempts: Sequence[Restored], now: int
) -> dict[tuple[int, int], tuple[str, int | None]]:
    """Put what these attempts may have sent where it is not sent again. All attempts of a message must come together.

    Returns (attempt, message) → (``sent``, ``unconfirmed``, ``nothing``: it did not go, or ``unknown``: nothing here is
    about it; the message here).
    """
    if not attempts:
        return {}
    lock_contacts(session, {each.contact for each in attempts if each.contact is not None})
    connection = session.connection()
    connection.execute(_CLEAR)
    connection.execute(_LOAD, {"rows": json.dumps([asdict(each) for each in attempts])})
    for statement in _TARGETS:
        connection.execute(statement)
    standing = {row.id for row in connection.execute(_STANDING)}
    connection.execute(_MAKE, {"now": now})
    _complete(session, standing)
    connection.execute(_OUTDATED, {"now": now})
    for statement in _ATTEMPTS:
        connection.execute(statement, {"now": now})
    rows = [row for row in connection.execute(_STANDING) if row.id in standing]
    sent = [row for row in rows if row.became == "sent" and row.state not in ACCEPTED]
    accepted = [Accepted(message_id=row.id, attempt_id=row.attempt, mid=row.mid, was=row.state) for row in sent]
    accept(session, accepted, reason="restored", actor="restore", now=now)
    doubtful = [row for row in rows if row.became == "unconfirmed" and row.state in _MAY_GO]
    connection.execute(
        _UNCONFIRMED,
        {
            "now": now, "ids": [row.id for row in doubtful], "wases": [row.state for row in doubtful],
            "attempts": [row.attempt for row in doubtful],
        },
    )  # fmt: skip
    recount_tokens(session, list(connection.execute(_TOKENS).scalars()))
    return {
        (row.attempt, row.message): (
            "unknown" if row.target is None and row.became != "nothing" else row.became, row.target,
        )
        for row in connection.execute(_BECAME)
    }  # fmt: skip


def _complete(session: Session, standing: set[int]) -> None:
    """Give the messages that were made again what their campaigns and events say of them."""
    made = session.connection().execute(_MADE, {"standing": sorted(standing)})
    rows = [
        {
            "id": row.id, "not_before": row.not_before, "expires_at": row.expires_at, "may_wait": row.may_wait,
            "priority": priority_of(
                row.category, requested=row.kind is not None and is_requested(row.kind), own=row.own
            ),
            "variables": variables_of(row.kind, row.body) if row.body else {},
        }
        for row in made
    ]  # fmt: skip
    if rows:
        session.connection().execute(_COMPLETE, {"rows": json.dumps(rows)})


def assume_sent(session: Session, until: int, now: int) -> int:
    """Where no marks are left: whatever would have gone by ``until`` counts as ``unconfirmed``. How many, of 20,000.

    Call it again while it returns 20,000.
    """
    return int(session.connection().execute(_ASSUME, {"until": until, "now": now, "limit": LIMIT}).rowcount)
