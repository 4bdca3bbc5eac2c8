"""Due messages that nobody begins, for their page cannot be sent for: they are decided all the same when time is up.

A page whose token or app secret cannot be unsealed, that the platform pauses or that has no rate left, keeps its
messages ``due``. Their time runs out nevertheless, and somebody who waits for the campaign to finish is told.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from scheduler.clock import real_seconds
from scheduler.governance.active import active_policies
from scheduler.outbox.candidates import lock_chosen
from scheduler.outbox.states import LANES
from scheduler.outbox.verdicts import deadline_of, judge, put_aside
from scheduler.outbox.wake import hold_wakes

#: Real seconds that are left to begin, which decides on its own whatever it can send.
GRACE = 5.0
#: Messages decided by one call.
LIMIT = 2_000

_PAGES = text("SELECT id FROM page")
_CHOOSE = text("""
    SELECT m.id, m.contact_id
    FROM unnest(CAST(:pages AS integer[])) AS wanted (page_id) CROSS JOIN unnest(CAST(:lanes AS text[])) AS l (lane)
    CROSS JOIN LATERAL (
        SELECT id, contact_id FROM message due
        WHERE due.page_id = wanted.page_id AND due.lane = l.lane AND due.state = 'due' AND due.deadline <= :before
        ORDER BY due.deadline, due.id LIMIT :limit
    ) m
    LIMIT :limit
""")
_LATER = text("""
    UPDATE message m SET deadline = d.deadline
    FROM unnest(CAST(:ids AS bigint[]), CAST(:deadlines AS bigint[])) AS d (id, deadline)
    WHERE m.id = d.id AND m.state = 'due'
""")


def decide_overdue(session: Session, now: int) -> int:
    """Decide anew, and never begin, up to 2,000 messages that are still due after their deadline; returns how many.

    They become ``expired`` (or ``denied``, where a bar forbids them by now), go back to ``scheduled``, or stay due with
    a later deadline: the person may have written since. Those of a page whose policy cannot be read wait.
    """
    hold_wakes(session)
    pages = session.execute(_PAGES).scalars().all()
    policies = active_policies(session, pages)
    chosen = session.execute(
        _CHOOSE,
        {
            "pages": [page for page in pages if page not in policies.unreadable],
            "lanes": list(LANES),
            "before": now - real_seconds(GRACE),
            "limit": LIMIT,
        },
    ).all()
    candidates = lock_chosen(session, chosen)
    if not candidates:
        return 0
    verdicts = judge(session, candidates, policies, now)
    may_go = [verdict for verdict in verdicts if verdict.state == "sending"]
    if may_go:
        later = {"ids": [each.candidate.id for each in may_go], "deadlines": [deadline_of(each) for each in may_go]}
        session.execute(_LATER, later)
    put_aside(session, [verdict for verdict in verdicts if verdict.state != "sending"], now, actor="sweep")
    return len(verdicts)
