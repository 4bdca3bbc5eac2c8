"""Opt-outs whose reach follows where somebody is, when that becomes known, or is another place, after they were said.

Only ever wider: a law that asks for less takes nothing back. The ledger keeps the word as it was said and gets another
row for what it covers, said at the same instant, which stands for it from then on (``fold.py``): so a place that is
heard of before or after leaves the same.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

from policies.opt_out_law import floor_of, opt_out_laws
from scheduler.consent.ledger import Entry, append
from scheduler.consent.projection import project
from scheduler.store.direct import fetch

#: Answered or not: an answer to the topic is none to all of it.
_NARROW = text("""
    SELECT r.id, r.contact_id, r.source, r.occurred_at, r.topic, r.category, r.scope, r.event_id, r.actor,
        c.timezones, c.country, c.region
    FROM consent_record r JOIN contact c ON c.id = r.contact_id
    WHERE r.contact_id = ANY(:ids) AND r.action = 'opt_out'
    AND coalesce(r.scope, CASE WHEN r.topic IS NULL THEN 'everything' ELSE 'topic' END) <> 'everything'
    AND NOT EXISTS (
        SELECT 1 FROM consent_record w WHERE w.contact_id = r.contact_id AND w.action = 'opt_out'
        AND w.scope = 'everything' AND (w.source, w.occurred_at) = (r.source, r.occurred_at)
        AND (w.topic, w.category) IS NOT DISTINCT FROM (r.topic, r.category))
    ORDER BY r.contact_id, r.id
""")

#: Who writes names no category: a row of theirs that has one was a STOP, and the law of then left it there.
_NAME_NO_CATEGORY = ("message", "postback")


def widen_where_they_are(session: Session, contact_ids: Collection[int], now: int) -> set[int]:
    """Let what these people stopped cover all that the law of where they are now asks for; returns of whom more is.

    For whoever changed where they are, and holds their rows. One query where nobody's is widened.
    """
    if not contact_ids:
        return set()
    session.flush()
    wider = []
    for row in fetch(session, _NARROW, {"ids": sorted(set(contact_ids))}):
        floor = floor_of(opt_out_laws(row.timezones, row.country, row.region), row.occurred_at)
        was_stop = row.scope == "category" and row.source in _NAME_NO_CATEGORY
        if floor == "everything" or (floor is None and was_stop):
            wider.append(
                Entry(
                    contact_id=row.contact_id, action="opt_out", source=row.source, occurred_at=row.occurred_at,
                    topic=row.topic, category=row.category, scope="everything", event_id=row.event_id, actor=row.actor,
                    evidence=f"record {row.id}, as far as the law of where they are takes it",
                    by_arrival=False,
                )
            )  # fmt: skip
    widened = {entry.contact_id for entry in wider}
    if wider:
        append(session, wider, now)
        project(session, widened, now)
    return widened
