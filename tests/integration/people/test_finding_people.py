"""People are found one by one, also by a plan that was kept from when there was nobody."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.registry import find_people

_PLANS = text("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%AS given (page_id int, psid text)%'")


def test_a_plan_of_an_empty_table_goes_through_nobody_else(session: Session, page: Any, people: Any) -> None:
    connection = session.connection()
    # What the server does from the sixth time on.
    connection.execute(text("SET plan_cache_mode = force_generic_plan"))
    try:
        assert find_people(session, {(page.id, "p0")}) == {}
        (kept,) = connection.execute(_PLANS).scalars()
        # Not known to be many: nobody has analysed the table.
        connection.execute(
            text(
                "INSERT INTO contact (page_id, psid, created_at) "
                "SELECT :page, 'p' || n, 0 FROM generate_series(0, 999) AS n"
            ),
            {"page": page.id},
        )
        asked = [{"page_id": page.id, "psid": f"p{number}"} for number in range(0, 999, 100)]
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) EXECUTE \"{kept}\" ('{json.dumps(asked)}')")
        told = "\n".join(plan.scalars())
        assert "contact_page_id_psid_key" in told
        assert "Rows Removed by Filter" not in told
        assert len(find_people(session, {(page.id, each["psid"]) for each in asked})) == len(asked)
    finally:
        connection.execute(text("RESET plan_cache_mode"))
