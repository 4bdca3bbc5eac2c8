"""How far an opt-out goes: what the person said, and what the laws of their place make of it.

Who names a topic or a category means that; where a law says that one revocation covers everything, everything it is.
A STOP that names nothing covers everything, unless the page chose to go by the law: then at least what the widest of
the person's jurisdictions says, and everything where nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import text

from policies.opt_out_law import floor_of, opt_out_laws
from scheduler.consent.ledger import Entry
from scheduler.store.direct import Ask

_PLACES = text("""
    SELECT c.id, c.timezones, c.country, c.region, coalesce(s.opt_out_scope, 'everything') AS rule
    FROM contact c LEFT JOIN consent_setting s ON s.page_id = c.page_id WHERE c.id = ANY(:ids)
""")


def reach_ask(contact_ids: Collection[int]) -> Ask:
    """What ``widen`` has to know of these contacts."""
    return _PLACES, {"ids": sorted(set(contact_ids))}


def widen(opt_outs: Sequence[Entry], rows: Iterable[Any]) -> None:
    """Give each opt-out the scope that counts, in place, by the answer to ``reach_ask``."""
    places = {row.id: row for row in rows}
    for entry in opt_outs:
        row = places.get(entry.contact_id)
        if row is None:
            continue
        laws = opt_out_laws(row.timezones, row.country, row.region)
        entry.scope = _scope(entry.scope or "everything", floor_of(laws, entry.occurred_at), row.rule)
        if entry.scope == "category" and entry.category is None:
            entry.category = "promotional"


def _scope(said: str, floor: str | None, rule: str) -> str:
    if floor == "everything" or (said == "everything" and (rule != "law" or floor is None)):
        return "everything"
    # A law that speaks of topics leaves a STOP without one with the category.
    return "category" if said == "everything" else said
