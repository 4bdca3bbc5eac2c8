"""How long the counts over all messages take, whole and as they are answered.

    .venv/bin/python -m benchmarks.summary [--messages 2000000]

Seeds messages at their ends, two rows of the log each, and times ``GET /messages/summary``'s counts: every message and
every row of the log looked at, and as the API counts them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from policies.policy import load_policy
from scheduler import clock, logs
from scheduler.content.templates import save_template
from scheduler.facts import counting, messages
from scheduler.governance.policies import activate_policy
from scheduler.pages.registry import add_page
from scheduler.settings import get_settings
from scheduler.store import database, migrate
from scheduler.store.embedded import Servers

_PEOPLE = text("""
    INSERT INTO contact (page_id, psid, created_at)
    SELECT :page, CAST(7000000000000000 + n AS text), 0 FROM generate_series(1, 100000) n
""")
_MESSAGES = text("""
    INSERT INTO message (page_id, contact_id, template_id, lane, category, state, reason, state_at, attempts, crashes,
        created_at, variables)
    SELECT :page, (SELECT min(id) FROM contact) + n % 100000, :template, 'promotional', 'promotional',
        CASE WHEN n % 20 < 13 THEN 'delivered' WHEN n % 20 < 17 THEN 'read' WHEN n % 20 < 19 THEN 'denied'
            ELSE 'expired' END,
        CASE WHEN n % 20 = 17 THEN 'opted_out' WHEN n % 20 = 18 THEN 'window_closed' WHEN n % 20 = 19 THEN
            'quiet_hours' END,
        :now, 1, 0, :now, '{}' FROM generate_series(1, :count) n
""")
_LOG = text("""
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor, verdict, facts)
    SELECT id, :now, NULL, 'scheduled', CASE WHEN id % 3 = 0 THEN 'quiet_hours' END, 'planner',
        CASE WHEN id % 3 = 0 THEN 'defer' ELSE 'send' END, jsonb_build_object('now', :now, 'x', repeat('y', 300))
    FROM message
    UNION ALL SELECT id, :now, 'scheduled', 'due', NULL, 'tick', NULL, NULL FROM message
""")


def main() -> None:
    """Seed, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2_000_000)
    many = parser.parse_args().messages
    logs.configure("warning")
    with tempfile.TemporaryDirectory() as folder, Servers(Path(folder), durable=False, throwaway=True) as servers:
        os.environ |= {"DULY_DATABASE_URL": servers.database_url, "DULY_REDIS_URL": servers.redis_url}
        os.environ["DULY_DATA_DIR"] = folder
        get_settings.cache_clear()
        migrate.upgrade(servers.database_url)
        _seed(many)
        _time("every row is looked at", _whole)
        _time("as it is answered", _answered)
        database.dispose()


def _seed(many: int) -> None:
    now = clock.now()
    with database.session() as session:
        page = add_page(
            session, app_external_id="1", app_secret="0123456789abcdef", verify_token="verify-8461", external_id="9",
            name="Shop", token="EAA-token-1", mode="live", rate=39, now=now,
        )  # fmt: skip
        assert page.id is not None
        activate_policy(session, page.id, load_policy("platform-only"), actor="bench", why="bench", now=now)
        template = save_template(
            session, page.id, name="promo", category="promotional", default_locale="en", bodies={"en": {"text": "Hi"}},
            actor="bench", now=now,
        )  # fmt: skip
        session.flush()
        session.execute(_PEOPLE, {"page": page.id})
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(_MESSAGES, {"page": page.id, "template": template.id, "now": now, "count": many})
        session.execute(_LOG, {"now": now})
    with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE message"))
        connection.execute(text("VACUUM ANALYZE message_log"))


def _whole() -> messages.Summary:
    # No table is too large to be counted whole.
    before = dict(counting.SMALL)
    counting.SMALL.update(dict.fromkeys(before, 1_000_000))
    try:
        return _answered()
    finally:
        counting.SMALL.update(before)


def _answered() -> messages.Summary:
    with database.session("command") as session:
        return messages.summarise(session, clock.now(), recent=10)


def _time(what: str, count: Callable[[], messages.Summary]) -> None:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        found = count()
        took.append(time.perf_counter() - began)
    print(f"{what}: {min(took):.2f} to {max(took):.2f} s, exact={found.exact}, {found.states}, {found.deferred}")


if __name__ == "__main__":
    main()
