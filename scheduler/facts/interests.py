"""How interested somebody is in what, computed when it is asked for. Reads only.

Each signal has a weight, which halves with its kind's half-life: a score falls by itself, and nothing is rewritten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

DAY = 86_400

#: Kind → (weight, half-life in days). ``asked``: to be told when it is back.
SIGNALS: dict[str, tuple[float, int]] = {
    "viewed": (1.0, 7),
    "asked": (3.0, 30),
    "carted": (4.0, 14),
    "bought": (6.0, 90),
}
#: What is older counts for less than a thousandth of anything, and is not read. Seconds.
HORIZON = 900 * DAY

_SCORES = text("""
    WITH signal AS (
        SELECT contact_id, sku, name, kind, at FROM product_signal
        WHERE contact_id = ANY(:ids) AND at > :since
        UNION ALL SELECT contact_id, sku, NULL, 'asked', asked_at FROM interest
        WHERE contact_id = ANY(:ids) AND asked_at > :since
    ), scored AS (
        SELECT contact_id, sku, (array_agg(name ORDER BY at DESC) FILTER (WHERE name IS NOT NULL))[1] AS name,
            array_agg(DISTINCT s.kind ORDER BY s.kind) AS kinds, max(at) AS last_at,
            sum(weight * power(0.5, greatest(:now - at, 0) / (half_life * 86400.0))) AS score
        FROM signal s
        JOIN unnest(CAST(:kinds AS text[]), CAST(:weights AS float8[]), CAST(:half_lives AS int[]))
            AS terms (kind, weight, half_life) ON terms.kind = s.kind
        GROUP BY contact_id, sku
    )
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY contact_id ORDER BY score DESC, sku) AS place FROM scored
    ) ranked WHERE place <= :limit ORDER BY contact_id, place
""")


@dataclass(slots=True, kw_only=True)
class Interest:
    """What somebody is interested in, and how much."""

    sku: str
    #: As the shop last called it; None: it never did.
    name: str | None
    #: What told it: ``viewed``, ``carted``, ``asked``, ``bought``.
    kinds: list[str]
    last_at: int
    #: 1 is one look just now.
    score: float


def interests(
    session: Session, contact_ids: Collection[int], now: int, *, limit: int = 10
) -> dict[int, list[Interest]]:
    """What these contacts are interested in at ``now``, the most first, at most ``limit`` each. One query.

    Contact id → interests; those without any are left out.
    """
    if not contact_ids:
        return {}
    session.flush()
    rows = session.connection().execute(
        _SCORES,
        {
            "ids": sorted(set(contact_ids)), "since": now - HORIZON, "now": now, "limit": limit,
            "kinds": list(SIGNALS), "weights": [weight for weight, _ in SIGNALS.values()],
            "half_lives": [days for _, days in SIGNALS.values()],
        },
    )  # fmt: skip
    found: dict[int, list[Interest]] = defaultdict(list)
    for row in rows:
        found[row.contact_id].append(
            Interest(sku=row.sku, name=row.name, kinds=list(row.kinds), last_at=row.last_at, score=round(row.score, 4))
        )
    return dict(found)
