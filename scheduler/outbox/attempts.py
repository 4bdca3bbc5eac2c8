"""Writes down that a batch is about to be posted: attempts, messages and the log, before anything leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlmodel import Session

from policies.calendars import holidays_version
from policies.facts import facts_to_json
from policies.local_time import tzdata_version
from scheduler.outbox.content_record import ContentSeal
from scheduler.outbox.verdicts import Verdict, deadline_of
from scheduler.store.driver import rows

#: The attempts, what becomes of their messages, and the log with the decisions, for those that win: in one statement
#: and one document, because a batch costs by the statement and by the parameter.
#: INVARIANT: the partial unique indexes fence the way into ``sending``. Losing to another attempt of the message or of
#: the contact is not an error: that message simply stays due.
_BEGIN = """
    WITH wanted AS (
        SELECT * FROM json_to_recordset(%(rows)s::json) AS r (
            message_id bigint, contact_id bigint, page_id integer, category text, token_id bigint, confirms boolean,
            deadline bigint, reason text, verdict text, because text[], ground text, policy_version text, tzdata text,
            guard integer, facts jsonb, content text)
    ), made AS (
        INSERT INTO attempt (message_id, contact_id, page_id, category, ground, token_id, confirms_opt_out, begun_at,
            outcome, content)
        SELECT message_id, contact_id, page_id, category, ground, token_id, confirms, %(now)s, 'sending',
            decode(content, 'base64')
        FROM wanted ORDER BY message_id
        ON CONFLICT DO NOTHING RETURNING id, message_id
    ), moved AS (
        UPDATE message m SET state = 'sending', state_at = %(now)s, attempts = m.attempts + 1, ground = w.ground,
            deadline = w.deadline, reason = NULL, wakes_on = NULL, policy_version = w.policy_version
        FROM made JOIN wanted w ON w.message_id = made.message_id WHERE m.id = made.message_id AND m.state = 'due'
    ), logged AS (
        INSERT INTO message_log (message_id, at, from_state, to_state, actor, attempt_id, reason, verdict, because,
            ground, policy_version, tzdata, holidays, guard, facts)
        SELECT w.message_id, %(now)s, 'due', 'sending', 'deliver', made.id, w.reason, w.verdict, w.because, w.ground,
            w.policy_version, w.tzdata, %(holidays)s, w.guard, w.facts
        FROM made JOIN wanted w ON w.message_id = made.message_id ORDER BY w.message_id
    )
    SELECT message_id, id FROM made
"""


def write_attempts(
    session: Session, sending: Sequence[Verdict], token_ids: Mapping[int, int], now: int
) -> dict[int, int]:
    """Move these to ``sending`` with an attempt each; ``token_ids``: message id → the token that it goes on.

    Returns message id → attempt id of those that won the way in.
    """
    if not sending:
        return {}
    sealing = ContentSeal.of(session)
    document = json.dumps([_row(verdict, token_ids.get(verdict.candidate.id), sealing) for verdict in sending])
    return _write(session, document, now)


def rehearse_attempts(session: Session, now: int) -> None:
    """Write nothing, as ``write_attempts`` does it."""
    _write(session, "[]", now)


def _write(session: Session, document: str, now: int) -> dict[int, int]:
    made: list[tuple[int, int]] = rows(session, _BEGIN, {"now": now, "rows": document, "holidays": holidays_version()})
    return dict(made)


def _row(verdict: Verdict, token_id: int | None, sealing: ContentSeal) -> dict[str, object]:
    candidate, decision = verdict.candidate, verdict.decision
    assert decision is not None  # nothing goes that nobody decided
    return {
        "message_id": candidate.id,
        "contact_id": candidate.contact_id,
        "page_id": candidate.page_id,
        "category": candidate.category,
        "token_id": token_id,
        "confirms": verdict.facts.confirms_opt_out,
        "deadline": deadline_of(verdict),
        "reason": verdict.reason,
        "verdict": decision.verdict,
        "because": list(decision.because),
        "ground": decision.ground,
        "policy_version": verdict.version,
        "tzdata": tzdata_version(),
        "guard": verdict.guard,
        "facts": facts_to_json(verdict.facts),
        "content": sealing.seal(candidate.id, verdict.content) if verdict.content is not None else None,
    }
