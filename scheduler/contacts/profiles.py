"""Wishes to read somebody's profile on the platform. Workers fulfil them: nothing here touches the network.

A profile tells a name, a locale and an offset from UTC. The offset is a snapshot without rules, so it is read again
when it is old and the person is heard of. What the platform does not permit stops the asking for the whole page for a
while.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from policies.facts import OFFSETS_IN_USE
from scheduler.clock import real_seconds
from scheduler.contacts.evidence import Evidence, record_evidence
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.places import check_locale
from scheduler.errors import Invalid
from scheduler.logs import get_logger
from scheduler.store.direct import Ask, run

_log = get_logger(__name__)

#: Real seconds until a claimed read is offered again, because whoever claimed it may have died, and the first
#: pause after a failure, doubled with each further one.
_LEASE = 60
_FIRST_PAUSE = 5
_LAST_PAUSE = 3600

#: A profile that could not be read this often is given up until it is wanted anew. One that the app may not read counts
#: too: some people's can never be.
_TRIES = 8
_FORBIDDEN_TRIES = 3

#: Reads of one page in a real second: a tenth of the calls that the platform takes (300 a second), so that messages
#: keep the rest. Each process that claims at the same moment may take as many.
A_SECOND = 30

#: Seconds after which what a profile told, or did not, is old.
FRESH = 30 * 86_400

#: Real seconds for which a page is not asked again when its app lacks the permission, or is throttled without a word
#: for how long.
FORBIDDEN_PAUSE = 3600
THROTTLED_PAUSE = 300

#: Whose zone nothing tells but a profile, if anything. Whoever wrote since the profile was read has moved, perhaps.
_WANT = text("""
    INSERT INTO profile_read (contact_id, page_id, due_at, attempts)
    SELECT id, page_id, :now, 0 FROM contact
    WHERE id = ANY(:ids) AND timezones IS NULL AND merged_into IS NULL
        AND NOT EXISTS (SELECT 1 FROM suppression s
            WHERE s.contact_id = contact.id AND s.reason = 'erased' AND s.lifted_at IS NULL)
        AND (utc_offset IS NULL OR utc_offset_read_at <= :old)
    ORDER BY id
    ON CONFLICT (contact_id) DO UPDATE SET due_at = excluded.due_at, attempts = 0, done_at = NULL, outcome = NULL
    WHERE profile_read.done_at <= :old
""")

_CLAIM = text("""
    WITH room AS (
        SELECT page.id, :a_second - (
            SELECT count(*) FROM profile_read taken WHERE taken.page_id = page.id AND taken.claimed_at > :second_ago
        ) AS room
        FROM page WHERE page.stopped_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM profile_pause p WHERE p.page_id = page.id AND p.until > :now)
    ), picked AS (
        SELECT due.contact_id FROM room CROSS JOIN LATERAL (
            SELECT contact_id, due_at FROM profile_read
            WHERE page_id = room.id AND done_at IS NULL AND due_at <= :now
            ORDER BY due_at, contact_id LIMIT greatest(least(room.room, :limit), 0)
            FOR UPDATE SKIP LOCKED
        ) due ORDER BY due.due_at, due.contact_id LIMIT :limit
    )
    UPDATE profile_read SET due_at = :lease_ends, attempts = profile_read.attempts + 1, claimed_at = :now
    FROM picked, contact
    WHERE profile_read.contact_id = picked.contact_id AND contact.id = picked.contact_id
    RETURNING contact.id, contact.page_id, contact.psid, profile_read.attempts
""")

_CLAIMED = text(
    "SELECT contact_id, page_id, attempts FROM profile_read WHERE contact_id = ANY(:ids) AND done_at IS NULL"
)

_SETTLE = text("""
    UPDATE profile_read SET done_at = given.done_at, due_at = coalesce(given.due_at, profile_read.due_at),
        attempts = given.attempts, outcome = given.outcome
    FROM json_to_recordset(CAST(:rows AS json)) AS given (
        contact_id bigint, done_at bigint, due_at bigint, attempts int, outcome text)
    WHERE profile_read.contact_id = given.contact_id AND profile_read.done_at IS NULL
""")

_NAMES = text("""
    UPDATE contact SET name = coalesce(contact.name, given.name),
        first_name = coalesce(contact.first_name, given.first_name)
    FROM json_to_recordset(CAST(:rows AS json)) AS given (contact_id bigint, name text, first_name text)
    WHERE contact.id = given.contact_id
""")

_PAUSE = text("""
    INSERT INTO profile_pause (page_id, since, until, reason)
    SELECT page_id, :now, until, reason
    FROM unnest(CAST(:pages AS int[]), CAST(:ends AS bigint[]), CAST(:reasons AS text[]))
        AS given (page_id, until, reason)
    ORDER BY page_id
    ON CONFLICT (page_id) DO UPDATE SET since = excluded.since, until = excluded.until, reason = excluded.reason
    WHERE profile_pause.until < excluded.until
""")


@dataclass(slots=True, kw_only=True)
class DueRead:
    """A profile to read now: ``GET /{psid}`` with the token of the page."""

    contact_id: int
    page_id: int
    psid: str
    #: How often it was tried, this time included.
    attempts: int


@dataclass(slots=True, kw_only=True)
class ReadAnswer:
    """What became of a claimed read."""

    contact_id: int
    #: The platform's answer; None: there was none.
    profile: Mapping[str, object] | None
    #: ``read``; ``retry``: to be asked again; ``throttled``, ``forbidden``: the page's app may not ask, now or at all;
    #: any other word (``unavailable``, ``refused``): there is no profile to read.
    outcome: str
    #: Real seconds that the platform asks to wait, where it says so.
    wait: float | None = None


@dataclass(slots=True)
class _Claimed:
    page_id: int
    attempts: int


def want_profile(session: Session, contact_ids: Collection[int], now: int) -> None:
    """Wish to read the profiles of those contacts whose zone nothing tells, or only a profile that was read long ago.

    Wished once a contact; what could not be read is wished anew after as long.
    """
    if contact_ids:
        run(session, *profile_wish(contact_ids, now))


def profile_wish(contact_ids: Collection[int], now: int) -> Ask:
    """What ``want_profile`` runs, for whoever runs it together with something else."""
    return _WANT, {"ids": sorted(set(contact_ids)), "now": now, "old": now - FRESH}


def due_profile_reads(session: Session, now: int, limit: int) -> list[DueRead]:
    """Claim up to ``limit`` reads that are due, oldest first, of no page more than ``A_SECOND`` in a real second.

    Each is leased for a real minute: commit, do the request outside any transaction, then call ``profile_reads_done``.
    Reads that another worker holds are skipped, and so are those of stopped and of pausing pages.
    """
    rows = session.connection().execute(
        _CLAIM,
        {
            "now": now, "limit": limit, "lease_ends": now + real_seconds(_LEASE), "a_second": A_SECOND,
            "second_ago": now - real_seconds(1),
        },
    )  # fmt: skip
    found = [DueRead(contact_id=row.id, page_id=row.page_id, psid=row.psid, attempts=row.attempts) for row in rows]
    return sorted(found, key=lambda read: read.contact_id)


def profile_read_done(
    session: Session, contact_id: int, profile: Mapping[str, object] | None, outcome: str, now: int
) -> None:
    """``profile_reads_done`` for one."""
    profile_reads_done(session, [ReadAnswer(contact_id=contact_id, profile=profile, outcome=outcome)], now)


def profile_reads_done(session: Session, answers: Sequence[ReadAnswer], now: int) -> None:
    """Settle claimed reads, in the same statements whatever their number.

    A profile's ``timezone`` (hours, maybe fractional) and ``locale`` become evidence, its names are kept where nothing
    was known. ``retry`` asks again later, with growing pauses and at most eight times. A throttled page pauses for as
    long as it was told to; so does, for an hour, one of which nothing could be read because the app may not.
    """
    if not answers:
        return
    session.flush()
    connection = session.connection()
    # Who was erased while their profile was read has none.
    erased = lock_contacts(session, {answer.contact_id for answer in answers})
    answers = [answer for answer in answers if answer.contact_id not in erased]
    ids = sorted(answer.contact_id for answer in answers)
    claimed = {
        row.contact_id: _Claimed(row.page_id, row.attempts) for row in connection.execute(_CLAIMED, {"ids": ids})
    }
    profiles = {answer.contact_id: answer.profile for answer in answers if answer.profile is not None}
    if profiles:
        names = [
            {"contact_id": id_, "name": _text(profile.get("name")), "first_name": _text(profile.get("first_name"))}
            for id_, profile in sorted(profiles.items())
        ]
        connection.execute(_NAMES, {"rows": json.dumps(names)})
        record_evidence(session, [each for id_, told in profiles.items() for each in _evidence(id_, told, now)], now)
    pauses = _pauses([answer for answer in answers if answer.contact_id in claimed], claimed, now)
    if pauses:
        _log.warning("profile_reads_paused", pages={page_id: reason for page_id, (_, reason) in pauses.items()})
        connection.execute(
            _PAUSE,
            {
                "pages": list(pauses), "ends": [until for until, _ in pauses.values()],
                "reasons": [reason for _, reason in pauses.values()], "now": now,
            },
        )  # fmt: skip
    settled = [
        _settled(answer, claimed[answer.contact_id], pauses, now) for answer in answers if answer.contact_id in claimed
    ]
    connection.execute(_SETTLE, {"rows": json.dumps(settled)})


def offset_minutes(hours: object) -> int | None:
    """Hours east of UTC, maybe fractional, in minutes; None when that is not an offset that clocks have anywhere."""
    if isinstance(hours, bool) or not isinstance(hours, (int, float, str)):
        return None
    try:
        number = float(hours)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    minutes = round(number * 60)
    return minutes if minutes in OFFSETS_IN_USE else None


def _evidence(contact_id: int, profile: Mapping[str, object], now: int) -> Iterable[Evidence]:
    minutes = offset_minutes(profile.get("timezone"))
    if minutes is not None:
        yield Evidence(contact_id=contact_id, kind="offset", value=minutes, source="profile", observed_at=now)
    locale = _locale(profile.get("locale"))
    if locale is not None:
        yield Evidence(contact_id=contact_id, kind="locale", value=locale, source="profile", observed_at=now)


def _pauses(answers: Sequence[ReadAnswer], claimed: Mapping[int, _Claimed], now: int) -> dict[int, tuple[int, str]]:
    """Page id → (until when it is not asked, why)."""
    # Where anybody's profile was read the app has its permission, and it is that person's profile that it may not read.
    readable = {claimed[answer.contact_id].page_id for answer in answers if answer.profile is not None}
    pauses: dict[int, tuple[int, str]] = {}
    for answer in answers:
        page_id = claimed[answer.contact_id].page_id
        if answer.outcome == "throttled":
            seconds = THROTTLED_PAUSE if answer.wait is None else max(1.0, min(answer.wait, 24 * 3600.0))
        elif answer.outcome == "forbidden" and page_id not in readable:
            seconds = FORBIDDEN_PAUSE
        else:
            continue
        until = now + real_seconds(seconds)
        if page_id not in pauses or pauses[page_id][0] < until:
            pauses[page_id] = until, answer.outcome
    return dict(sorted(pauses.items()))


def _settled(answer: ReadAnswer, read: _Claimed, pauses: Mapping[int, tuple[int, str]], now: int) -> dict[str, object]:
    """The row of the read as it is from now on."""
    row: dict[str, object] = {
        "contact_id": answer.contact_id, "done_at": None, "due_at": None, "attempts": read.attempts,
        "outcome": answer.outcome,
    }  # fmt: skip
    if answer.profile is None and answer.outcome == "throttled":
        # It is not the read's fault: it has its tries still.
        return row | {"due_at": pauses[read.page_id][0], "attempts": read.attempts - 1}
    tries = {"retry": _TRIES, "forbidden": _FORBIDDEN_TRIES}.get(answer.outcome, 0)
    if answer.profile is None and read.attempts < tries:
        pause = min(_LAST_PAUSE, _FIRST_PAUSE * 2 ** max(0, read.attempts - 1))
        return row | {"due_at": now + real_seconds(pause)}
    gone = {"retry": "given_up", "forbidden": "refused"}
    return row | {"done_at": now, "outcome": gone.get(answer.outcome, answer.outcome)}


def _locale(value: object) -> str | None:
    try:
        return check_locale(value) if isinstance(value, str) else None
    except Invalid:
        return None


def _text(value: object) -> str | None:
    # A NUL is legal JSON and illegal in PostgreSQL; a lone surrogate cannot be encoded at all.
    if not isinstance(value, str):
        return None
    cleaned = value.replace("\x00", "").encode("utf-8", "ignore").decode()[:200].strip()
    return cleaned or None
