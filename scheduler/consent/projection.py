"""What decisions read, made from the ledger: one statement for many contacts. ``fold.py`` says the same in words.

Always from the whole ledger of a contact, never from the change alone: so any order of events leaves the same, and
rebuilding is nothing special.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.lock import lock_contacts
from scheduler.store.direct import Ask, run, together

#: Contacts of one transaction of a rebuild.
CHUNK = 2_000

# Looked up by contact wherever it is named, and never made whole: a thousand people's rows against each other would be
# a million comparisons.
_ROWS = """
    SELECT id, contact_id, action, source, topic, kind, expires_at, occurred_at AS at, category AS named, by_arrival,
        coalesce(category, 'promotional') AS category,
        coalesce(scope, CASE WHEN topic IS NULL THEN 'everything' ELSE 'topic' END) AS scope
    FROM consent_record
"""
#: As ``fold._came_after`` has it: {end} arrived after {before}, and their instants cannot say otherwise.
_CAME_AFTER = """({end}.id > {before}.id AND ({end}.by_arrival
        OR {before}.by_arrival AND {end}.source IN ('message', 'postback', 'optin')))"""
_SAID = f"said AS NOT MATERIALIZED ({_ROWS} WHERE contact_id = ANY(:ids))"
_SUPPRESSIONS = text(f"""
    WITH {_SAID}, opt_out AS (
        SELECT *, CASE WHEN source = 'operator' THEN 'operator'
            WHEN source = 'optin' AND scope = 'topic' THEN 'platform' ELSE 'person' END AS said_by
        FROM said s WHERE action = 'opt_out' AND (s.scope = 'everything' OR NOT EXISTS (
            SELECT 1 FROM consent_record w WHERE w.contact_id = s.contact_id AND w.action = 'opt_out'
            AND w.scope = 'everything' AND (w.source, w.occurred_at) = (s.source, s.at)
            AND (w.topic, w.category) IS NOT DISTINCT FROM (s.topic, s.named)))
    ), wanted AS (
        SELECT o.contact_id, 'opted_out' AS reason, CASE WHEN o.scope = 'topic' THEN o.topic END AS topic,
            CASE WHEN o.scope = 'category' THEN o.category END AS category, o.said_by, max(o.at) AS since
        FROM opt_out o WHERE NOT EXISTS (
            SELECT 1 FROM ({_ROWS}) i WHERE i.contact_id = o.contact_id AND i.action = 'opt_in'
            AND i.source = ANY(CASE o.said_by WHEN 'operator' THEN ARRAY['operator']
                WHEN 'platform' THEN ARRAY['optin', 'api', 'operator']
                ELSE ARRAY['message', 'postback', 'optin', 'api', 'operator'] END)
            AND (i.scope = 'everything' OR (i.scope = o.scope AND CASE i.scope WHEN 'topic'
                THEN i.topic = o.topic ELSE i.category = o.category END))
            AND (i.at > o.at OR (i.at = o.at AND i.source IN ('api', 'operator')
                AND o.source IN ('api', 'operator') AND i.id > o.id))
            AND NOT {_CAME_AFTER.format(end="o", before="i")})
        GROUP BY 1, 2, 3, 4, 5
        UNION ALL
        SELECT b.contact_id, coalesce(b.kind, 'blocked'), NULL, NULL, 'platform', max(b.at)
        FROM said b WHERE b.action = 'block' AND NOT EXISTS (
            SELECT 1 FROM ({_ROWS}) u WHERE u.contact_id = b.contact_id AND u.action = 'unblock'
            AND (coalesce(b.kind, 'blocked') <> 'erased' OR u.kind IS NOT NULL)
            AND coalesce(u.kind, b.kind, 'blocked') = coalesce(b.kind, 'blocked')
            AND u.at >= b.at AND u.id > b.id)
        GROUP BY 1, 2
    ), gone AS (
        UPDATE suppression s SET lifted_at = :now
        WHERE s.contact_id = ANY(:ids) AND s.lifted_at IS NULL
        AND (s.contact_id, s.reason, s.said_by, coalesce(s.topic, ''), coalesce(s.category, '')) NOT IN (
            SELECT contact_id, reason, said_by, coalesce(topic, ''), coalesce(category, '') FROM wanted)
        RETURNING s.contact_id
    ), put AS (
        INSERT INTO suppression (contact_id, reason, topic, category, said_by, since)
        SELECT contact_id, reason, topic, category, said_by, since FROM wanted ORDER BY contact_id, reason
        ON CONFLICT (contact_id, reason, coalesce(topic, ''), coalesce(category, ''), said_by) WHERE lifted_at IS NULL
        DO UPDATE SET since = excluded.since WHERE suppression.since <> excluded.since
    )
    SELECT DISTINCT contact_id FROM gone
""")  # noqa: S608 - our own SQL
_CONSENTS = text(f"""
    WITH {_SAID}, wanted AS (
        SELECT g.contact_id, g.topic, coalesce(g.kind, 'express') AS kind, g.expires_at, max(g.at) AS granted_at
        FROM said g WHERE g.action = 'granted' AND NOT EXISTS (
            SELECT 1 FROM ({_ROWS}) e WHERE e.contact_id = g.contact_id
                AND (e.at >= g.at OR {_CAME_AFTER.format(end="e", before="g")}) AND (
                (e.action = 'withdrawn' AND (e.kind IS NULL OR e.kind = coalesce(g.kind, 'express'))
                    AND (e.topic IS NULL OR g.topic IS NULL OR e.topic = g.topic))
                OR (e.action = 'opt_out' AND CASE e.scope WHEN 'everything' THEN true
                    WHEN 'topic' THEN e.topic = g.topic AND e.source <> 'optin' ELSE e.category = 'promotional' END)))
        GROUP BY 1, 2, 3, 4
    ), gone AS (
        DELETE FROM consent c WHERE c.contact_id = ANY(:ids)
        AND (c.contact_id, c.kind, coalesce(c.topic, ''), coalesce(c.expires_at, -1)) NOT IN (
            SELECT contact_id, kind, coalesce(topic, ''), coalesce(expires_at, -1) FROM wanted)
    )
    INSERT INTO consent (contact_id, topic, kind, granted_at, expires_at)
    SELECT contact_id, topic, kind, granted_at, expires_at FROM wanted ORDER BY contact_id
    ON CONFLICT (contact_id, coalesce(topic, ''), kind, coalesce(expires_at, -1))
    DO UPDATE SET granted_at = excluded.granted_at WHERE consent.granted_at <> excluded.granted_at
""")  # noqa: S608 - our own SQL
_NEXT = text("""
    SELECT id FROM contact WHERE id > :after AND (
        EXISTS (SELECT 1 FROM consent_record r WHERE r.contact_id = contact.id)
        OR EXISTS (SELECT 1 FROM suppression s WHERE s.contact_id = contact.id AND s.lifted_at IS NULL)
        OR EXISTS (SELECT 1 FROM consent c WHERE c.contact_id = contact.id))
    ORDER BY id LIMIT :limit
""")


def project(session: Session, contact_ids: Collection[int], now: int) -> set[int]:
    """Make what decisions read of these contacts from their ledger; returns those for whom a bar ended.

    The caller holds the contacts' rows and, where a bar ended, has their messages decided anew.
    """
    if not contact_ids:
        return set()
    _, freed = together(session, *project_asks(contact_ids, now))
    return projected(freed)


def project_asks(contact_ids: Collection[int], now: int) -> tuple[Ask, Ask]:
    """What ``project`` runs, for whoever runs it together with something else; the second answer is ``projected``."""
    ids = sorted(set(contact_ids))
    return (_CONSENTS, {"ids": ids}), (_SUPPRESSIONS, {"ids": ids, "now": now})


def projected(rows: Iterable[Any]) -> set[int]:
    """What ``project`` makes of the answer."""
    return {row.contact_id for row in rows}


def project_grants(session: Session, contact_ids: Collection[int]) -> None:
    """``project`` where nothing was added to the ledger but grants: those bar and lift nothing."""
    run(session, _CONSENTS, {"ids": sorted(set(contact_ids))})


def rebuild(session: Session, now: int, *, after: int = 0, limit: int = CHUNK) -> tuple[int, int] | None:
    """Make the next contacts' projection from the ledger, by id from ``after`` on: (the last id, how many of them).

    None at the end.
    Nothing changes where the ledger and the projection agree, as they do. One chunk a transaction, the caller's.
    """
    session.flush()
    ids = list(session.connection().execute(_NEXT, {"after": after, "limit": limit}).scalars())
    if not ids:
        return None
    lock_contacts(session, ids)
    project(session, ids, now)
    return int(ids[-1]), len(ids)
