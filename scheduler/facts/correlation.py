"""Which request a message goes back to: kept with its campaign or event, so no message carries it."""

from __future__ import annotations

from collections.abc import Collection
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, text
from sqlmodel import Session

#: (campaign, event) of a message.
Origin = tuple[int | None, int | None]

_FIND = text("""
    SELECT id AS campaign, NULL AS event, request_id FROM campaign WHERE id = ANY(:campaigns)
    UNION ALL SELECT NULL, id, request_id FROM business_event WHERE id = ANY(:events)
""")
#: What this process has looked up in a database: nothing changes once a message exists.
_known: WeakKeyDictionary[Engine | Connection, dict[Origin, str | None]] = WeakKeyDictionary()
_MOST = 10_000


def request_ids(session: Session, origins: Collection[Origin]) -> dict[Origin, str | None]:
    """The id of the request behind each origin. One query for those not seen before, none when all were."""
    known = _known.setdefault(session.get_bind(), {})
    missing = {origin for origin in origins if origin not in known}
    if missing:
        if len(known) > _MOST:
            known.clear()
            missing = set(origins)
        campaigns = [campaign for campaign, _ in missing if campaign is not None]
        events = [event for _, event in missing if event is not None]
        rows = session.connection().execute(_FIND, {"campaigns": campaigns, "events": events})
        known.update(dict.fromkeys(missing))
        known.update({(row.campaign, row.event): row.request_id for row in rows})
    return {origin: known[origin] for origin in origins}
