"""What a kill switch would stop, before it is engaged. Reads only, in bounded time."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from scheduler.facts.counting import PATIENCE, count_messages

#: Campaigns that are named; the others are counted.
NAMED = 20

_STATES = ("scheduled", "due", "sending", "in_doubt")
_LANES = ("utility", "promotional")
_SCOPE = """
    (CAST(:page AS integer) IS NULL OR {page} = :page)
    AND (CAST(:campaign AS bigint) IS NULL OR {campaign} = :campaign)
    AND (CAST(:category AS text) IS NULL OR {category} = :category)
"""
_CAMPAIGNS = text(f"""
    SELECT c.id, c.name, c.status, count(*) OVER () AS many
    FROM campaign c JOIN template t ON t.id = c.template_id
    WHERE c.status IN ('planning', 'running', 'paused')
    AND {_SCOPE.format(page="c.page_id", campaign="c.id", category="t.category")}
    ORDER BY c.id DESC LIMIT {NAMED}
""")  # noqa: S608 - constants only


@dataclass(slots=True, kw_only=True)
class Touched:
    """A campaign that has something left to do."""

    id: int
    name: str
    status: str


@dataclass(slots=True, kw_only=True)
class Radius:
    """What would wait, and what can no longer be stopped."""

    #: False: PostgreSQL's estimates, for there are too many to count while somebody waits.
    exact: bool
    #: ``scheduled`` | ``due`` → lane → messages.
    waiting: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Messages whose request has begun: they stay on the wire.
    on_the_wire: int = 0
    #: Campaigns that are planned, running or paused, the newest first; ``NAMED`` at most.
    campaigns: list[Touched] = field(default_factory=list)
    campaign_count: int = 0

    @property
    def messages(self) -> int:
        """All that would wait."""
        return sum(sum(lanes.values()) for lanes in self.waiting.values())


def radius(
    session: Session,
    *,
    page_id: int | None = None,
    campaign_id: int | None = None,
    category: str | None = None,
    patience: float = PATIENCE,
) -> Radius:
    """What a switch over this scope would stop; None does not narrow it."""
    values = {"page": page_id, "campaign": campaign_id, "category": category}
    columns = {"page": "page_id", "campaign": "campaign_id", "category": "category"}
    given = {name: value for name, value in values.items() if value is not None}
    where = " AND ".join(f"m.{columns[name]} = :{name}" for name in given) or "true"
    counted = count_messages(session, {"state": _STATES, "lane": _LANES}, where, given, patience=patience)
    found = Radius(exact=counted.exact)
    for (state, lane), number in counted.of.items():
        if state in ("sending", "in_doubt"):
            found.on_the_wire += number
        else:
            found.waiting.setdefault(state, {})[lane] = number
    for row in session.connection().execute(_CAMPAIGNS, values):
        found.campaigns.append(Touched(id=row.id, name=row.name, status=row.status))
        found.campaign_count = int(row.many)
    return found
