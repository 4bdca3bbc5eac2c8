"""Finds attempts that nobody will settle any more: of a worker that died, or that no evidence ever came for.

An attempt left ``sending`` may or may not have reached the platform, so it is in doubt, and nothing in doubt is sent
again by itself. Evidence that comes later still counts.

A message whose sending broke off three times is ``dead``. Nobody can tell from outside whether the worker that died had
posted, so a crash alone never sends again; three come together where a hung worker comes back and proves that it had
not posted, or where a person sends again what broke off: a re-send inherits the count.
"""

from __future__ import annotations

from sqlalchemy import TextClause, text
from sqlmodel import Session

from scheduler.clock import real_seconds
from scheduler.settings import get_settings

#: Real seconds after which a request has long been answered or given up by its own limits (see ``workers/send_api``).
REQUEST_LIMIT = 20.0
#: Crashes while sending, over a message and all that it sends again, after which it is taken out: it kills workers.
CRASHES = 3
LIMIT = 2_000

_ORPHANS = text("""
    WITH orphan AS (
        SELECT a.id AS attempt_id, m.id, m.state, m.crashes FROM attempt a JOIN message m ON m.id = a.message_id
        WHERE a.outcome = 'sending' AND a.begun_at < :before
        ORDER BY m.id LIMIT :limit FOR NO KEY UPDATE OF m SKIP LOCKED
    ), doubted AS (
        UPDATE attempt a SET outcome = 'in_doubt', settled_at = :now FROM orphan
        WHERE a.id = orphan.attempt_id AND a.outcome = 'sending' RETURNING a.id
    ), moved AS (
        UPDATE message m SET crashes = m.crashes + 1, state_at = :now, reason = 'crashed',
            state = CASE WHEN m.crashes + 1 >= :crashes THEN 'dead' ELSE 'in_doubt' END
        FROM orphan JOIN doubted ON doubted.id = orphan.attempt_id
        WHERE m.id = orphan.id AND m.state = 'sending'
        RETURNING m.id, m.state, orphan.attempt_id
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, attempt_id, reason, actor)
    SELECT id, :now, 'sending', state, attempt_id, 'crashed', 'sweep' FROM moved
""")
_UNCONFIRMED = text("""
    WITH waited AS (
        SELECT a.id AS attempt_id, m.id FROM attempt a JOIN message m ON m.id = a.message_id
        WHERE a.outcome = 'in_doubt' AND coalesce(a.settled_at, a.begun_at) < :before
        ORDER BY m.id LIMIT :limit FOR NO KEY UPDATE OF m SKIP LOCKED
    ), given_up AS (
        UPDATE attempt a SET outcome = 'unconfirmed', settled_at = :now FROM waited
        WHERE a.id = waited.attempt_id AND a.outcome = 'in_doubt' RETURNING a.id, a.message_id
    ), moved AS (
        UPDATE message m SET state = 'unconfirmed', state_at = :now, reason = 'no_evidence'
        FROM given_up WHERE m.id = given_up.message_id AND m.state = 'in_doubt'
        RETURNING m.id, given_up.id AS attempt_id
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, attempt_id, reason, actor)
    SELECT id, :now, 'in_doubt', 'unconfirmed', attempt_id, 'no_evidence', 'sweep' FROM moved
""")


def sweep(session: Session, now: int) -> dict[str, int]:
    """``sending`` beyond a request's limits → ``in_doubt`` (the third time: ``dead``); ``in_doubt`` beyond
    DULY_DOUBT_WAIT → ``unconfirmed``. Returns how many of each, at most 2,000 a call.
    """
    return {
        "in_doubt": _moved(session, _ORPHANS, now, before=now - real_seconds(REQUEST_LIMIT), crashes=CRASHES),
        "unconfirmed": _moved(session, _UNCONFIRMED, now, before=now - real_seconds(get_settings().doubt_wait)),
    }


def _moved(session: Session, statement: TextClause, now: int, **values: int) -> int:
    result = session.connection().execute(statement, {"now": now, "limit": LIMIT, **values})
    return int(result.rowcount)
