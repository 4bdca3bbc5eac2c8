"""How long a pause, a kill switch and what an operator asks take over a million waiting messages.

    .venv/bin/python -m benchmarks.stops [--messages 1000000]

Seeds a database with one campaign whose messages all wait, and times each step as the API does it, in a transaction of
its own. A pause and a switch touch no message: each parks as it comes due.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from policies.policy import load_policy
from scheduler import clock, logs
from scheduler.api import governance, ops
from scheduler.campaigns import lifecycle
from scheduler.content.templates import save_template
from scheduler.facts import at_risk
from scheduler.governance.policies import activate_policy
from scheduler.governance.switches import Scope, engage, release
from scheduler.outbox.anew import work_off
from scheduler.outbox.begin import begin
from scheduler.pages.registry import add_page
from scheduler.pages.stops import restore_page, stop_page
from scheduler.settings import get_settings
from scheduler.store import database, migrate
from scheduler.store.embedded import Servers

_PEOPLE = """
    INSERT INTO contact (page_id, psid, timezones, last_inbound_at, created_at)
    SELECT :page, CAST(7000000000000000 + n AS text), '{Europe/Berlin}', :now - 60, 0 FROM generate_series(1, :count) n
"""
_MESSAGES = """
    INSERT INTO message (page_id, contact_id, template_id, campaign_id, lane, category, state, state_at, due_at,
        deadline, attempts, crashes, created_at, variables)
    SELECT :page, id, :template, :campaign, 'promotional', 'promotional', CASE WHEN id % 10 = 0 THEN 'due' ELSE
        'scheduled' END, :now, :now + id % 7200, :now + 7200 + id % 70000, 0, 0, :now, '{}' FROM contact
"""


def main() -> None:
    """Seed, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    many = parser.parse_args().messages
    logs.configure("warning")
    with tempfile.TemporaryDirectory() as folder, Servers(Path(folder), durable=False, throwaway=True) as servers:
        os.environ |= {"DULY_DATABASE_URL": servers.database_url, "DULY_REDIS_URL": servers.redis_url}
        os.environ["DULY_DATA_DIR"] = folder
        get_settings.cache_clear()
        migrate.upgrade(servers.database_url)
        page, campaign = _seed(many)
        print(f"{many:,} messages wait, a tenth of them due")
        _explain(campaign)
        _time("status", lambda s: ops.status(s, clock.now()))
        _time("at-risk, 24 hours", lambda s: at_risk.at_risk(s, {page: 27.0}, clock.now(), 24 * 3600))
        _time("at-risk, a tenth of the rate", lambda s: at_risk.at_risk(s, {page: 2.7}, clock.now(), 24 * 3600))
        _time("blast radius of everything", lambda s: governance.radius_view(s, Scope()))
        _time("blast radius of the campaign", lambda s: governance.radius_view(s, Scope(campaign_id=campaign)))
        now = clock.now()
        _time("pause the campaign", lambda s: lifecycle.pause(s, campaign, actor="bench", now=now))
        _time("resume the campaign", lambda s: lifecycle.resume(s, campaign, actor="bench", now=now))
        switch = _time("engage a switch", lambda s: engage(s, Scope(), actor="bench", why="bench", now=now))
        _time("begin under the switch", lambda s: begin(s, "promotional", {page: 10}, now))
        _time("release the switch", lambda s: release(s, switch.id or 0, actor="bench", now=now))
        _park("resume")
        switch = _time("engage, all parked", lambda s: engage(s, Scope(), actor="bench", why="parked", now=now))
        _time("release, all parked", lambda s: release(s, switch.id or 0, actor="bench", now=now))
        _time("a chunk of waking them", lambda s: work_off(s, now))
        _time("status, all parked", lambda s: ops.status(s, now))
        _park("page_restored")
        _time("stop the page", lambda s: stop_page(s, page, "bad_token", now))
        _time("restore the page, all parked", lambda s: restore_page(s, page, now=now))
        _time("a chunk of waking them", lambda s: work_off(s, now))
        _park(None)
        policy = load_policy("platform-only")
        _time(
            "activate a policy, all wait", lambda s: activate_policy(s, page, policy, actor="bench", why="b", now=now)
        )
        _time("a chunk of deciding them", lambda s: work_off(s, now))
        began, chunks = time.perf_counter(), 0
        while time.perf_counter() - began < 10:
            with database.session() as session:
                chunks += work_off(session, now).woken
        print(f"decided anew in bulk {chunks / (time.perf_counter() - began):21,.0f} a second")
        _time("engage meanwhile", lambda s: engage(s, Scope(), actor="bench", why="bench", now=now))
        database.dispose()


def _seed(many: int) -> tuple[int, int]:
    now = clock.now()
    with database.session() as session:
        page = add_page(
            session, app_external_id="1", app_secret="5ea1" * 4, verify_token="benchmark", external_id="1", name="Shop",
            token="EAAtoken", mode="live", rate=30, now=now,
        )  # fmt: skip
        assert page.id is not None
        template = save_template(
            session, page.id, name="t", category="promotional", default_locale="en", bodies={"en": {"text": "Hello"}},
            actor="bench", now=now,
        )  # fmt: skip
        campaign = session.execute(
            text(
                "INSERT INTO campaign (page_id, name, template_id, audience, status, plan_cursor, planned_at, "
                "launched_at, created_at) "
                "VALUES (:page, 'c', :template, 'everyone', 'running', 0, 0, 0, 0) RETURNING id"
            ),
            {"page": page.id, "template": template.id},
        ).scalar_one()
        session.execute(text(_PEOPLE), {"page": page.id, "now": now, "count": many})
        values = {"page": page.id, "template": template.id, "campaign": campaign, "now": now}
        session.execute(text(_MESSAGES), values)
    with database.session() as session:
        session.execute(text("ANALYZE message"))
        session.execute(text("ANALYZE contact"))
    return page.id, int(campaign)


def _park(wakes_on: str | None) -> None:
    """Let all wait: until this ends, or (None) for an instant tomorrow."""
    due = "NULL" if wakes_on else "deadline - 10"
    with database.session() as session:
        session.execute(text("DELETE FROM wake_order"))
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(
            text(f"UPDATE message SET state = 'scheduled', due_at = {due}, wakes_on = :on, reason = 'held'"),
            {"on": wakes_on},
        )
    with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE message"))


def _explain(campaign: int) -> None:
    with database.session() as session:
        plan = session.execute(
            text("EXPLAIN UPDATE campaign SET status = 'paused' WHERE id = :id"), {"id": campaign}
        ).scalars()
        print("pause: " + " / ".join(line.strip() for line in plan))


def _time(name: str, act: Callable[[Session], Any]) -> Any:
    began = time.perf_counter()
    with database.session() as session:
        found = act(session)
    print(f"{name:32} {(time.perf_counter() - began) * 1000:9.1f} ms")
    return found


if __name__ == "__main__":
    main()
