"""Whom no file, webhook or shop brings back: people who were erased, known by a keyed hash of their psid alone."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.returning import suppress_again, unsuppress_erased
from scheduler.errors import Conflict
from scheduler.store.direct import Ask
from scheduler.store.stable_keys import ensure_stable_key, found_stable_key, stable_key, stable_key_ask

PURPOSE = "suppression"

#: What stands in place of the psid of somebody who was erased; no platform gives such ids.
ERASED_PSID = "erased:"

_FIND = text("""
    SELECT page_id, key_hash, reason, topic, category, said_by, since FROM suppression_key
    WHERE key_hash = ANY(CAST(:hashes AS bytea[])) AND page_id = ANY(CAST(:pages AS int[])) ORDER BY id
""")
_FORGET = text("DELETE FROM suppression_key WHERE page_id = :page_id AND key_hash = ANY(CAST(:hashes AS bytea[]))")
_BACK = text("""
    SELECT c.id, c.page_id, c.psid FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    JOIN contact c ON c.id = given.id JOIN suppression s ON s.contact_id = c.id AND s.since < given.at
    WHERE c.erased_at IS NULL AND s.reason = 'erased' AND s.lifted_at IS NULL
""")


@dataclass(slots=True, kw_only=True)
class Bar:
    """Something that stood against messages to somebody when they were erased."""

    reason: str
    topic: str | None
    category: str | None
    said_by: str
    since: int


@dataclass(slots=True, kw_only=True)
class Suppressed:
    """Somebody who was erased."""

    #: When, epoch seconds.
    erased_at: int
    #: ``erased`` among them.
    bars: list[Bar] = field(default_factory=list)


def suppressed(session: Session, page_id: int, psids: Iterable[str]) -> dict[str, Suppressed]:
    """Those of ``psids`` whom the page erased: psid → when, and what stands. One statement for many."""
    found = suppressed_people(session, [(page_id, psid) for psid in set(psids)])
    return {psid: each for (_, psid), each in found.items()}


def suppression_key_ask(session: Session) -> Ask | None:
    """What ``suppressed_people`` asks first, for whoever asks it together with something else; None: nothing."""
    return stable_key_ask(session, PURPOSE)


def suppressed_people(
    session: Session, people: Collection[tuple[int, str]], *, keys: Sequence[Any] | None = None
) -> dict[tuple[int, str], Suppressed]:
    """``suppressed`` over several pages: those of (page, psid) who were erased.

    ``keys`` is what ``suppression_key_ask`` brought, where it was asked already.
    """
    if not people:
        return {}
    found = {person: Suppressed(erased_at=0) for person in people if person[1].startswith(ERASED_PSID)}
    key = stable_key(session, PURPOSE) if keys is None else found_stable_key(session, PURPOSE, keys)
    if key is None:
        # Nobody was ever erased.
        return found
    hashes = {(page_id, key_hash(key, page_id, psid)): (page_id, psid) for page_id, psid in people}
    values = {"hashes": [each for _, each in hashes], "pages": sorted({page_id for page_id, _ in hashes})}
    for row in session.connection().execute(_FIND, values):
        person = hashes.get((row.page_id, bytes(row.key_hash)))
        if person is None:
            continue
        one = found.setdefault(person, Suppressed(erased_at=row.since))
        if row.reason == "erased":
            one.erased_at = row.since
        one.bars.append(
            Bar(reason=row.reason, topic=row.topic, category=row.category, said_by=row.said_by, since=row.since)
        )
    return found


def refuse_suppressed(session: Session, page_id: int, psids: Iterable[str]) -> None:
    """Raise Conflict when one of these was erased: what a shop knows of them is not to be kept again."""
    if suppressed(session, page_id, psids):
        raise Conflict(
            "this person's data was erased at their wish; it is not kept again",
            field="psid",
            way_out="if they want messages, they write so themselves: that brings them back",
        )


def refuse_erased_name(session: Session, page_id: int, kind: str, keys: Collection[str]) -> None:
    """Raise Conflict when somebody who was erased went by this name, whichever of ``keys`` it is stored as.

    For names that nobody has now: whoever has one is who is meant.
    """
    if suppressed(session, page_id, [erased_name(kind, key) for key in keys]):
        raise Conflict(
            "somebody whose data was erased at their wish went by this name; what happens to them is not kept again",
            field=kind,
            way_out="if it is somebody else's now, or they came back themselves, link it to their contact first",
        )


def erased_name(kind: str, key: str) -> str:
    """What stands in place of a psid for a name of somebody who was erased; no psid has a NUL in it."""
    return f"{kind}\0{key}"


def suppress_returned(session: Session, returned: Mapping[int, Suppressed], now: int) -> None:
    """Put in force against new contacts (id → what stood) what stood against them when they were erased.

    They wrote again: a person may answer them, nothing is sent by itself. The caller holds their rows.
    """
    suppress_again(
        session,
        {
            contact_id: [(bar.reason, bar.topic, bar.category, bar.said_by, bar.since) for bar in each.bars]
            for contact_id, each in returned.items()
        },
        now,
    )


def bring_back(session: Session, moments: Mapping[int, int], now: int) -> set[int]:
    """These people (contact id → epoch seconds) said themselves that they want messages: the erasure of their past
    stands in the way no longer, where it was before that.

    What they had opted out of is lifted by what lifts opt-outs, not by this. Returns whom it brought back. The caller
    holds their rows.
    """
    values = {"ids": list(moments), "moments": list(moments.values())}
    rows = session.connection().execute(_BACK, values).all() if moments else []
    if not rows:
        return set()
    key = ensure_stable_key(session, PURPOSE)
    by_page: dict[int, list[bytes]] = {}
    for row in rows:
        by_page.setdefault(row.page_id, []).append(key_hash(key, row.page_id, row.psid))
    for page_id, hashes in sorted(by_page.items()):
        session.connection().execute(_FORGET, {"page_id": page_id, "hashes": hashes})
    back = {row.id for row in rows}
    unsuppress_erased(session, back, now)
    return back


def key_hash(key: bytes, page_id: int, psid: str) -> bytes:
    """What somebody is known by once they are erased; other pages have other hashes."""
    return hmac.digest(key, f"{page_id}\0{psid}".encode("utf-8", "surrogatepass"), "sha256")


def hashes_of(session: Session, page_id: int, psids: Sequence[str]) -> list[bytes]:
    """``key_hash`` of each; the key is made where there is none."""
    key = ensure_stable_key(session, PURPOSE)
    return [key_hash(key, page_id, psid) for psid in psids]
