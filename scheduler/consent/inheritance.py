"""What one contact said of being messaged, when another stands for them from then on: the stricter of the two holds.

Bars come along with their own time, so that what the survivor said since answers them as if one contact had said it
all. Grants and tokens do not come along: nobody agreed to be written to at the other address. What *ended* grants does,
and so do words that nobody has judged yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.blocks import CAME_FROM
from scheduler.consent.choices import Choice, record_choices
from scheduler.consent.fold import Bar, Said, bars, reach_of, standing, whose
from scheduler.consent.ledger import Entry, append
from scheduler.consent.projection import project
from scheduler.consent.review import move_reviews, open_reviews

_ROWS = text("""
    SELECT contact_id, id, action, source, occurred_at, recorded_at, topic, category, scope, kind, expires_at, evidence,
        by_arrival
    FROM consent_record WHERE contact_id = ANY(:ids) ORDER BY id
""")

#: Whose word an opt-out is → the source by which the ledger tells that word's kind, and which sends no confirmation.
_SOURCE_OF = {"person": "api", "platform": "optin", "operator": "operator"}

#: What says something of the person. That an address cannot be reached says nothing of another.
_OF_THE_PERSON = ("opted_out", "blocked", "erased")


@dataclass(slots=True, kw_only=True)
class Inheritance:
    """What comes from one contact's ledger to another's."""

    bars: list[Bar] = field(default_factory=list)
    #: What ended consents that the survivor has and that nothing above ends.
    ends: list[Said] = field(default_factory=list)
    #: Row of the ledger → its evidence, of the bars.
    origins: dict[int, str] = field(default_factory=dict)
    #: Words that may have been an opt-out and wait to be judged.
    under_review: bool = False
    #: What stands against the survivor then and did not before: ``opted_out``, ``opted_out:sales``, ``blocked``,
    #: ``erased``, ``consent_ended``, ``under_review``.
    stricter: list[str] = field(default_factory=list)


def look(session: Session, from_id: int, into_id: int, *, wrote_at: int | None) -> Inheritance:
    """What ``inherit`` would do now. ``wrote_at``: when the survivor last wrote, which ends older blocks."""
    session.flush()
    said: dict[int, list[Said]] = {from_id: [], into_id: []}
    evidence: dict[int, str] = {}
    for row in session.connection().execute(_ROWS, {"ids": [from_id, into_id]}).mappings():
        said[row["contact_id"]].append(Said(**{name: row[name] for name in Said.__slots__}))
        evidence[row["id"]] = row["evidence"] or ""
    there = {_key(bar): bar.since for bar in bars(said[into_id])}
    coming = [
        bar
        for bar in bars(said[from_id])
        if bar.reason in _OF_THE_PERSON and there.get(_key(bar), -1) < bar.since
        and (bar.reason != "blocked" or bar.since > (-1 if wrote_at is None else wrote_at))
    ]  # fmt: skip
    last = max((row.id for row in said[into_id]), default=0)
    after = said[into_id] + [_said(bar, last + place) for place, bar in enumerate(coming, 1)]
    found = Inheritance(bars=coming, ends=_ends(said[from_id], after))
    # What came along before is still of the address that it was seen at: what is done there ends it.
    found.origins = {bar.record_id: evidence[bar.record_id] for bar in coming}
    found.under_review = bool(open_reviews(session, from_id))
    # Of one reach one name, whoever's word it is.
    names = [_name(bar) for bar in bars(after) if _key(bar) not in there]
    if found.ends or standing(after) != standing(said[into_id]):
        names.append("consent_ended")
    if found.under_review and not open_reviews(session, into_id):
        names.append("under_review")
    found.stricter = list(dict.fromkeys(names))
    return found


def inherit(session: Session, from_id: int, into_id: int, *, wrote_at: int | None, actor: str, now: int) -> Inheritance:
    """Let bars, ends of consents and unjudged words come from one contact to another, who stands for them.

    The caller holds both rows, and has the survivor's messages decided anew.
    """
    found = look(session, from_id, into_id, wrote_at=wrote_at)
    evidence = f"{CAME_FROM}{from_id}"
    opt_outs = [
        Choice(
            contact_id=into_id, action="opt_out", topic=bar.topic, category=bar.category,
            source=_SOURCE_OF[bar.said_by], evidence=evidence, actor=actor, at=bar.since, by_arrival=False,
        )
        for bar in found.bars
        if bar.reason == "opted_out"
    ]  # fmt: skip
    record_choices(session, opt_outs, now)
    others = [
        Entry(
            contact_id=into_id, action="block", kind=bar.reason, source="operator", actor=actor, occurred_at=bar.since,
            evidence=before if (before := found.origins[bar.record_id]).startswith(CAME_FROM) else evidence,
            by_arrival=False,
        )
        for bar in found.bars
        if bar.reason != "opted_out"
    ] + [
        Entry(
            contact_id=into_id, action="withdrawn", topic=end.topic, kind=end.kind, source=end.source,
            evidence=evidence, actor=actor, occurred_at=end.occurred_at, by_arrival=False,
        )
        for end in found.ends
    ]  # fmt: skip
    append(session, others, now)
    project(session, [into_id], now)
    move_reviews(session, from_id, into_id)
    return found


def _ends(gone: Sequence[Said], survivor: Sequence[Said]) -> list[Said]:
    """What one contact said that ends consents of the other, as withdrawals; the newest of each topic and kind."""
    before = standing(survivor)
    found: dict[tuple[str | None, str | None], Said] = {}
    for row in sorted(gone, key=lambda each: (each.occurred_at, each.id)):
        if row.action not in ("withdrawn", "opt_out") or standing([*survivor, row]) == before:
            continue
        # An opt-out that stands comes along as what it is; of one that was answered only what it ended remains.
        topic = row.topic if row.action == "withdrawn" or reach_of(row) == "topic" else None
        kind = row.kind if row.action == "withdrawn" else None
        found[topic, kind] = Said(
            id=row.id, action="withdrawn", source=row.source, occurred_at=row.occurred_at, recorded_at=row.recorded_at,
            topic=topic, kind=kind,
        )  # fmt: skip
    return list(found.values())


def _said(bar: Bar, id_: int) -> Said:
    """The bar as the row that will put it in force."""
    if bar.reason != "opted_out":
        return Said(
            id=id_, action="block", kind=bar.reason, source="operator", occurred_at=bar.since, recorded_at=bar.since
        )
    scope = "topic" if bar.topic is not None else "category" if bar.category is not None else "everything"
    made = Said(
        id=id_, action="opt_out", source=_SOURCE_OF[bar.said_by], occurred_at=bar.since, recorded_at=bar.since,
        topic=bar.topic, category=bar.category, scope=scope,
    )  # fmt: skip
    assert whose(made) == bar.said_by  # or it would be lifted by others than before
    return made


def _key(bar: Bar) -> tuple[str, str | None, str | None, str]:
    return bar.reason, bar.topic, bar.category, bar.said_by


def _name(bar: Bar) -> str:
    return ":".join(part for part in (bar.reason, bar.topic or bar.category) if part)
