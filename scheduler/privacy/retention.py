"""How long things are kept, and letting go of the rest: by id, in small chunks, never under a lock that anybody feels.

Ids rise with time, so each table is walked from its oldest row on, and a mark remembers how far. Once a day the walk
begins again, for what had to be left the last time: what proves a consent, what is not at its end, what a one-time
token was spent on. Nothing that decisions read is ever pruned: sends of the last 60 days stay whatever is set,
suppressions, consents, tokens and contacts stay until the person is erased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import TextClause, text
from sqlmodel import Session

from scheduler.access.answers import KEPT_DAYS
from scheduler.settings import Settings, get_settings

#: Rows looked at, and at most deleted, in one transaction.
LIMIT = 1_000
#: Further than this nobody counts what is left.
MANY = 100_000

_DAY = 86_400
#: Seconds for which it need not be noted again that there was nothing to do.
_NOTED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How long the rows of a table are kept."""

    name: str
    table: str
    #: Since when a row is counted, and which of the old ones may go (``t`` is the row).
    since: str
    may_go: str
    #: What letting go of rows with these ids (``:ids``) is: statements in order; the last counts.
    statements: tuple[str, ...]
    days: Callable[[Settings], int]
    why: str


RULES: tuple[Rule, ...] = (
    Rule(
        name="platform_events",
        table="platform_event",
        since="received_at",
        # What the ledger cites stays as long as the ledger does; what a person has to look at, until they did.
        may_go="""NOT EXISTS (
                SELECT 1 FROM contact c JOIN consent_record r
                    ON r.contact_id = ANY(ARRAY[c.id, c.merged_into]) AND r.event_id = t.id
                WHERE c.page_id = t.page_id AND c.psid = t.psid)
            AND NOT EXISTS (SELECT 1 FROM consent_review v WHERE v.event_id = t.id AND v.decided_at IS NULL)
            AND NOT (t.error IS NOT NULL AND EXISTS (
                SELECT 1 FROM contact c WHERE c.page_id = t.page_id AND c.psid = t.psid AND c.held_at IS NOT NULL))""",
        statements=("DELETE FROM platform_event WHERE id = ANY(:ids)",),
        days=lambda settings: settings.retention_events,
        why="raw webhooks hold what people wrote; what follows from them is kept elsewhere, and the platform delivers "
        "again for a day and a half at most",
    ),
    Rule(
        name="messages",
        table="message",
        since="created_at",
        # Whoever sends again is let go of before what it repeats.
        may_go="""t.state = ANY(ARRAY['sent', 'delivered', 'read', 'refused', 'unconfirmed', 'dead', 'denied',
                'expired', 'cancelled']) AND t.state_at < :before
            AND NOT EXISTS (SELECT 1 FROM message r WHERE r.resend_of = t.id)
            AND NOT EXISTS (
                SELECT 1 FROM attempt a WHERE a.message_id = t.id AND (
                    a.outcome IN ('sending', 'in_doubt') OR EXISTS (
                        SELECT 1 FROM permission_token p WHERE p.id = a.token_id AND p.kind = 'one_time')))""",
        statements=(
            "SELECT set_config('duly.pruning', 'on', true)",
            "DELETE FROM message_log WHERE message_id = ANY(:ids)",
            "DELETE FROM dead_letter_act WHERE message_id = ANY(:ids)",
            "UPDATE dead_letter_act SET resent_as = NULL WHERE resent_as = ANY(:ids)",
            "DELETE FROM attempt WHERE message_id = ANY(:ids)",
            "SELECT set_config('duly.pruning', 'off', true)",
            "DELETE FROM message WHERE id = ANY(:ids)",
        ),
        days=lambda settings: settings.retention_messages,
        why="a message with its attempts and decisions proves that it was permitted: a year's reports, and a month to "
        "object; longer where claims run longer (four years in the United States)",
    ),
    Rule(
        name="api_answers",
        table="api_answer",
        since="created_at",
        may_go="true",
        statements=("DELETE FROM api_answer WHERE id = ANY(:ids)",),
        days=lambda _settings: KEPT_DAYS,
        why="answers of the API for requests that are sent again: clients repeat within minutes",
    ),
    Rule(
        name="business_events",
        table="business_event",
        since="received_at",
        # Messages point to it and it is told once: the row stays, without what happened.
        # What waited for a person in vain has waited long enough.
        may_go="t.body <> '{}' AND (t.planned_at IS NOT NULL OR (t.contact_id IS NULL AND t.person_key IS NOT NULL))",
        statements=(
            "UPDATE business_event SET body = '{}', person_kind = NULL, person_key = NULL, "
            "planned_at = coalesce(planned_at, received_at) WHERE id = ANY(:ids)",
        ),
        days=lambda settings: settings.retention_shop,
        why="orders and products of a person; an order is shown to the team for 60 days",
    ),
    Rule(
        name="product_signals",
        table="product_signal",
        since="at",
        may_go="true",
        statements=("DELETE FROM product_signal WHERE id = ANY(:ids)",),
        days=lambda settings: settings.retention_shop,
        why="what somebody looked at has decayed to nothing long before",
    ),
    Rule(
        name="interests",
        table="interest",
        since="asked_at",
        may_go="t.served_at IS NOT NULL",
        statements=("DELETE FROM interest WHERE id = ANY(:ids)",),
        days=lambda settings: settings.retention_shop,
        why="what was asked for and served; what nobody served yet is waited for",
    ),
    Rule(
        name="reviews",
        table="consent_review",
        since="suggested_at",
        may_go="t.decided_at IS NOT NULL",
        statements=("DELETE FROM consent_review WHERE id = ANY(:ids)",),
        days=lambda settings: settings.retention_shop,
        why="words that somebody judged; what came of it is in the ledger",
    ),
    Rule(
        name="import_errors",
        table="contact_import_error",
        since="(SELECT i.created_at FROM contact_import i WHERE i.id = t.import_id)",
        may_go="true",
        statements=("DELETE FROM contact_import_error WHERE id = ANY(:ids)",),
        days=lambda settings: settings.retention_import_errors,
        why="masked, and of use only to whoever mends the file; staging itself goes after 7 days at the latest",
    ),
)

#: Tables that speak of a person and are not pruned by age, and why.
KEPT: dict[str, str] = {
    "contact": "as long as the person is a contact: until they are erased",
    "place_evidence": "one row a kind and source, renewed in place; goes with the contact",
    "contact_identity": "the name is theirs as long as they are a contact",
    "contact_activity": "weights that decay, 48 rows at most; goes with the contact",
    "contact_thread": "one row, read for every message; goes with the contact",
    "profile_read": "one row, renewed in place; goes with the contact",
    "consent_record": "the proof of every consent and opt-out: while the contact exists, whatever its age",
    "consent": "what decisions read",
    "suppression": "what decisions read: the durable 'do not message'",
    "permission_token": "what decisions read; a spent one-time token must stay known as spent",
    "audience_member": "the audience of a campaign, with it",
    "attempt": "goes with its message",
    "message_log": "goes with its message",
    "dead_letter_act": "goes with its message",
    "contact_import_person": "staging: deleted when the import ends, after 7 days at the latest",
    "contact_import_row": "staging: deleted when the import ends, after 7 days at the latest",
    "page_allowed": "a setting of the page's",
    "suppression_key": "outlasts the person's erasure: that is what it is for",
    "erasure": "that somebody was erased, under a number that stands for nobody",
    "audit_entry": "who did what is never pruned; it names people by number alone",
}

_MARK = text("""
    INSERT INTO retention_mark (name, cursor, began_at, ran_at, pruned) VALUES (:name, 0, :now, :now, 0)
    ON CONFLICT (name) DO NOTHING
""")
_TAKE = text("SELECT cursor, began_at, ran_at FROM retention_mark WHERE name = :name FOR UPDATE SKIP LOCKED")
_KEEP = text("""
    UPDATE retention_mark SET cursor = :cursor, began_at = :began_at, ran_at = :now, pruned = pruned + :pruned
    WHERE name = :name
""")


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What one call did."""

    #: Rows by rule: of messages, the messages; what goes with them is not counted.
    rows: dict[str, int]
    #: Rules that have more to look at now.
    more: list[str]


@dataclass(slots=True, kw_only=True)
class Left:
    """How a rule stands."""

    rule: Rule
    days: int
    #: Rows that may go now, counted up to MANY.
    rows: int
    #: Rows pruned ever, and when it last ran, epoch seconds.
    pruned: int
    ran_at: int | None


def prune(session: Session, now: int, limit: int = LIMIT, *, only: Sequence[str] = ()) -> Pruned:
    """Let go of what is older than its time: of each table (or of ``only`` these rules) at most ``limit`` rows.

    One transaction, the caller's: call it again while something is left in ``more``. Two at once do not meet: a table
    that somebody else is at is left to them.
    """
    done = Pruned(rows={}, more=[])
    for rule in RULES:
        if only and rule.name not in only:
            continue
        pruned, more = _walk(session, rule, now, limit)
        if pruned:
            done.rows[rule.name] = pruned
        if more:
            done.more.append(rule.name)
    return done


@dataclass(slots=True, kw_only=True)
class Mark:
    """Rows of a rule pruned ever, and when it last ran, epoch seconds."""

    pruned: int
    ran_at: int


def retention_marks(session: Session) -> dict[str, Mark]:
    """How far retention has come, by the names of rules that ever ran."""
    found = session.connection().execute(text("SELECT name, pruned, ran_at FROM retention_mark ORDER BY name"))
    return {row.name: Mark(pruned=row.pruned, ran_at=row.ran_at) for row in found}


def standing(session: Session, now: int) -> list[Left]:
    """What could go now, table by table. Writes nothing; reads whole tables, so it is for people, not for a beat."""
    marks = retention_marks(session)
    return [
        Left(
            rule=rule, days=rule.days(get_settings()), rows=_count(session, rule, now),
            pruned=marks[rule.name].pruned if rule.name in marks else 0,
            ran_at=marks[rule.name].ran_at if rule.name in marks else None,
        )
        for rule in RULES
    ]  # fmt: skip


def _walk(session: Session, rule: Rule, now: int, limit: int) -> tuple[int, bool]:
    connection = session.connection()
    connection.execute(_MARK, {"name": rule.name, "now": now})
    mark = connection.execute(_TAKE, {"name": rule.name}).first()
    if mark is None:
        return 0, False
    before = _before(rule, now)
    cursor, began_at = mark.cursor, mark.began_at
    looked = connection.execute(_look(rule), {"cursor": cursor, "limit": limit}).all()
    old: list[int] = []
    for row in looked:
        if row.since is not None and row.since >= before:
            break
        old.append(row.id)
    pruned = _let_go(session, rule, old, before) if old else 0
    more = len(old) == limit
    if old:
        cursor = old[-1]
    if not more and now - began_at >= _DAY:
        cursor, began_at = 0, now
    if not pruned and (cursor, began_at) == (mark.cursor, mark.began_at) and 0 <= now - mark.ran_at < _NOTED:
        # Nothing new, and noted a moment ago.
        return 0, False
    connection.execute(_KEEP, {"name": rule.name, "cursor": cursor, "began_at": began_at, "pruned": pruned, "now": now})
    return pruned, more


def _let_go(session: Session, rule: Rule, ids: Sequence[int], before: int) -> int:
    connection = session.connection()
    values = {"ids": list(ids), "before": before}
    may_go = text(
        f"SELECT t.id FROM {rule.table} t WHERE t.id = ANY(:ids) AND {rule.may_go} "  # noqa: S608 - our own words
        "ORDER BY t.id FOR UPDATE SKIP LOCKED"
    )
    going = list(connection.execute(may_go, values).scalars())
    if not going:
        return 0
    for statement in rule.statements:
        connection.execute(text(statement), {"ids": going})
    return len(going)


def _count(session: Session, rule: Rule, now: int) -> int:
    query = text(
        f"SELECT count(*) FROM (SELECT 1 FROM {rule.table} t WHERE {rule.since} < :before "  # noqa: S608
        f"AND {rule.may_go} LIMIT {MANY}) AS found"
    )
    return int(session.connection().execute(query, {"before": _before(rule, now)}).scalar_one())


def _look(rule: Rule) -> TextClause:
    return text(
        f"SELECT t.id, {rule.since} AS since FROM {rule.table} t WHERE t.id > :cursor ORDER BY t.id LIMIT :limit"  # noqa: S608
    )


def _before(rule: Rule, now: int) -> int:
    return now - rule.days(get_settings()) * _DAY
