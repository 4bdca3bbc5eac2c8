"""What it costs to read the facts of many contacts at once, among a million: ``python -m benchmarks.facts``.

Seeds contacts, what was sent to them, suppressions, consents and tokens, and reads facts, the objects made: pages of
1,000 in the order of ids, as the planner does, the same number of people picked at random, and batches as delivery
takes them, picked at random. In turns with each, the floor: the bare rows of the same contacts by their key, nothing
made of them. ``--explain`` shows how PostgreSQL comes by a page.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psycopg import Connection
from sqlalchemy import text
from sqlmodel import Session

from policies.local_time import tzdata_version
from scheduler import logs
from scheduler.content.templates import save_template
from scheduler.facts import decisions
from scheduler.pages.registry import add_page
from scheduler.settings import get_settings
from scheduler.store import database, migrate
from scheduler.store.embedded import Servers

NOW = 1_795_000_000
#: The goal: a page of so many contacts in so many milliseconds.
GOAL, WITHIN = 1_000, 10.0
#: Contacts, and whether they are neighbours.
SHAPES = ((10, False), (64, False), (GOAL, False), (GOAL, True))
_FLOOR = "SELECT * FROM contact WHERE id = ANY(CAST(%(ids)s AS bigint[]))"

# Two campaigns went through everyone, one of them in the last 30 days, and consents came with an import: in the order
# of contacts. Who opted out or granted a token came by chance; numbers that have no divisor in common with the number
# of people spread them.
_SEED = (
    """
    INSERT INTO contact (id, page_id, psid, timezones, country, region, locale, last_inbound_at, created_at)
    SELECT n, :page, CAST(7000000000000000 + n AS text), CASE WHEN n % 3 > 0 THEN ARRAY['Europe/Berlin'] END,
        CASE WHEN n % 2 = 0 THEN 'DE' END, NULL, 'de_DE', CASE WHEN n % 5 > 0 THEN :now - n % 200000 END, 0
    FROM generate_series(CAST(1 AS bigint), :people) n
    """,
    """
    INSERT INTO message (id, page_id, contact_id, template_id, lane, category, state, state_at, attempts, crashes,
        created_at, variables)
    SELECT n, :page, 1 + n % :people, :template, 'promotional', 'promotional', 'sent', :now, 1, 0, :now, '{}'
    FROM generate_series(CAST(1 AS bigint), :sends) n
    """,
    """
    INSERT INTO attempt (message_id, contact_id, page_id, category, ground, begun_at, outcome)
    SELECT n, 1 + n % :people, :page, 'promotional', 'standard_window',
        :now - CASE WHEN n > :people THEN 1000000 ELSE 4000000 END + n % :people / 10, 'sent'
    FROM generate_series(CAST(1 AS bigint), :sends) n
    """,
    """
    INSERT INTO suppression (contact_id, reason, topic, since, lifted_at)
    SELECT 1 + (n * 7907) % :people, CASE n % 3 WHEN 0 THEN 'blocked' ELSE 'opted_out' END,
        CASE WHEN n % 3 = 2 THEN 'prices' END, :now - n, CASE WHEN n % 4 = 0 THEN :now END
    FROM generate_series(CAST(1 AS bigint), :people / 10) n
    """,
    """
    INSERT INTO consent (contact_id, topic, kind, granted_at, expires_at)
    SELECT 2 * n, NULL, CASE n % 5 WHEN 0 THEN 'implied' ELSE 'express' END, :now - n,
        CASE WHEN n % 5 = 0 THEN :now + 1000000 END
    FROM generate_series(CAST(1 AS bigint), :people / 2) n
    """,
    """
    INSERT INTO permission_token (contact_id, kind, topic, sealed, digest, granted_at, last_used_at)
    SELECT 1 + (n * 7901) % :people, CASE n % 2 WHEN 0 THEN 'recurring' ELSE 'marketing' END, NULL,
        decode(repeat('61', 180), 'hex'), '', :now - n % 1000000, CASE WHEN n % 2 = 0 THEN :now - 200000 END
    FROM generate_series(CAST(1 AS bigint), :people / 5) n
    """,
)  # fmt: skip


def seed(people: int) -> None:
    """Fill the database: twice as many sends as people, half with a consent, a fifth a token, a tenth suppressed."""
    with database.session() as session:
        page = add_page(
            session, app_external_id="1", app_secret="5ea1" * 4, verify_token="benchmark", external_id="1", name="Shop",
            token="EAAtoken", mode="live", rate=30, now=NOW,
        )  # fmt: skip
        assert page.id is not None
        template = save_template(
            session, page.id, name="t", category="promotional", default_locale="en", bodies={"en": {"text": "Hello"}},
            actor="bench", now=NOW,
        )  # fmt: skip
        page.ad_account_id, page.message_campaign_id = "1", "2"
        session.flush()
        values = {"page": page.id, "template": template.id, "now": NOW, "people": people, "sends": 2 * people}
        # Without a look at each foreign key: they are right by construction.
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in _SEED:
            begun = time.monotonic()
            session.execute(text(statement), values)
            print(f"{statement.split()[2]}: {time.monotonic() - begun:.1f} s", file=sys.stderr)
    with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What autovacuum would have done by the next day.
        connection.execute(text("VACUUM ANALYZE"))


def measure(people: int, shapes: Sequence[tuple[int, bool]], seconds: float) -> list[dict[str, Any]]:
    """For each shape the median and percentiles of reads, the floor's median, and this process's CPU; milliseconds."""
    dice = random.Random(4)
    found = []
    for size, neighbours in shapes:
        ours: list[float] = []
        spent: list[float] = []
        floor: list[float] = []
        ends = time.monotonic() + seconds
        while time.monotonic() < ends or len(ours) < 20:
            ids = _some(dice, people, size, neighbours)
            # In turns, so that neither finds only what the other left in the caches.
            for what in (ours, floor) if len(ours) % 2 else (floor, ours):
                with database.session() as session:
                    connection = _connection(session)
                    begun = time.perf_counter()
                    if what is ours:
                        busy = time.thread_time()
                        read = len(decisions.contact_facts(session, ids, NOW))
                        spent.append((time.thread_time() - busy) * 1000)
                    else:
                        with connection.cursor(binary=True) as cursor:
                            read = len(cursor.execute(_FLOOR, {"ids": sorted(ids)}).fetchall())
                    what.append((time.perf_counter() - begun) * 1000)
                    assert read == size
        ours.sort()
        median = statistics.median(ours)
        found.append(
            {
                "contacts": size, "neighbours": neighbours, "reads": len(ours), "median_ms": round(median, 2),
                "p5_ms": round(ours[len(ours) // 20], 2), "p95_ms": round(ours[len(ours) * 19 // 20], 2),
                "us_a_contact": round(median * 1000 / size, 1), "floor_ms": round(statistics.median(floor), 2),
                "client_cpu_ms": round(statistics.median(spent), 2),
            }
        )  # fmt: skip
    return found


def explain(people: int, size: int) -> str:
    """How PostgreSQL reads ``size`` neighbours."""
    ids = _some(random.Random(5), people, size, neighbours=True)
    with database.session() as session:
        rows = _connection(session).execute(
            f"EXPLAIN (ANALYZE, BUFFERS) {decisions.STATEMENT}", decisions.parameters(ids, NOW)
        )
        # Without the list of ids, which is long.
        return "\n".join(re.sub(r"'{[\d,]+}'", "ids", str(row[0])) for row in rows)


def _some(dice: random.Random, people: int, size: int, neighbours: bool) -> list[int]:
    if neighbours:
        first = dice.randint(1, people - size)
        return list(range(first, first + size))
    return dice.sample(range(1, people + 1), size)


def _connection(session: Session) -> Connection[Any]:
    connection: Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]  # the engine's driver is psycopg
    return connection


def main(arguments: list[str]) -> int:
    """Seed, read, print JSON; 1 when the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.facts", description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of reading, for each size")
    parser.add_argument("--explain", action="store_true", help="show the plan for 1,000 contacts too, on stderr")
    given = parser.parse_args(arguments)
    logs.configure("warning")
    with tempfile.TemporaryDirectory() as folder, Servers(Path(folder), durable=False, throwaway=True) as servers:
        os.environ |= {"DULY_DATABASE_URL": servers.database_url, "DULY_REDIS_URL": servers.redis_url}
        os.environ["DULY_DATA_DIR"] = folder
        get_settings.cache_clear()
        migrate.upgrade(servers.database_url)
        seed(given.people)
        measure(given.people, SHAPES, 1.0)
        # As a worker does when it has started.
        gc.freeze()
        found = measure(given.people, SHAPES, given.seconds)
        if given.explain:
            print(explain(given.people, GOAL), file=sys.stderr)
        database.dispose()
    print(
        json.dumps(
            {"people": given.people, "python": platform.python_version(), "tzdata": tzdata_version(), "facts": found},
            indent=2,
        )
    )
    return int(any(each["neighbours"] and each["median_ms"] > WITHIN for each in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
