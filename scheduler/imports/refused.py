"""Who is not to be imported again: people whose data was erased at their wish. They stay as they are."""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

from scheduler.privacy.suppressed import suppressed

_ERASED = text("""
    SELECT c.psid FROM contact c JOIN suppression s ON s.contact_id = c.id
    WHERE c.page_id = :page_id AND c.psid = ANY(ARRAY(SELECT json_array_elements_text(CAST(:psids AS json))))
        AND s.reason = 'erased' AND s.lifted_at IS NULL
""")


def refused(session: Session, page_id: int, psids: Collection[str]) -> set[str]:
    """Those of ``psids`` whom no file brings back."""
    rows = session.connection().execute(_ERASED, {"page_id": page_id, "psids": json.dumps(list(set(psids)))})
    return {*rows.scalars(), *suppressed(session, page_id, psids)}
