"""What it costs to import people from a file: ``python -m benchmarks.imports``.

Makes a CSV file of people with a zone, a country, a locale, attributes and a consent, and takes it the whole way: into
staging, validation of every row, application a thousand rows a transaction. Then again, when everything is known.
Beside it, in the same run, a bare COPY of the same file into a table of text columns without a key: less cannot be
done with a file. Each phase tells real seconds and the processor's, ours and the server's.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from psycopg import Connection
from sqlalchemy import text

from scheduler import logs
from scheduler.imports import registry
from scheduler.imports.ahead import Ahead
from scheduler.imports.applying import apply_next
from scheduler.imports.exporting import export_part, start_export
from scheduler.imports.staging import stage_file
from scheduler.imports.validating import validate_next
from scheduler.pages.registry import add_page
from scheduler.settings import get_settings
from scheduler.store import database, migrate
from scheduler.store.embedded import Servers

NOW = 1_795_000_000
#: The goal: so many rows in so many seconds.
GOAL, WITHIN = 100_000, 15.0

HEADER = (
    "psid", "first_name", "name", "locale", "country", "timezone", "attributes.tier", "attributes.points:number",
    "crm_id", "consent.topic", "consent.kind", "consent.source", "consent.wording", "consent.granted_at",
)  # fmt: skip
_ZONES = (("US", "America/New_York", "en_US"), ("DE", "Europe/Berlin", "de_DE"), ("BR", "America/Sao_Paulo", "pt_BR"))


def write_file(path: Path, rows: int) -> None:
    """A shop's people; a third of them agreed to something."""
    with path.open("w", encoding="utf-8", newline="") as written:
        out = csv.writer(written)
        out.writerow(HEADER)
        for n in range(rows):
            country, zone, locale = _ZONES[n % 3]
            consent = (
                ("offers", "express", "checkout form", "Send me offers on Messenger.", "2026-03-28T08:00:00Z")
                if n % 3 == 0
                else ("",) * 5
            )
            out.writerow(
                (
                    *(7_000_000_000_000_000 + n, f"Ana {n}", f"Ana {n} Müller", locale, country, zone),
                    *("gold" if n % 7 == 0 else "plain", n % 1000, f"C-{n}", *consent),
                )
            )


class Clock:
    """Real seconds and those of processors, ours and the server's, phase by phase."""

    def __init__(self, server: int) -> None:
        self._server = server
        self.phases: dict[str, dict[str, float]] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure one."""
        began, ours, theirs = time.perf_counter(), time.process_time(), self._servers()
        yield
        self.phases[name] = {
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - ours,
            "server_cpu": self._servers() - theirs,
        }
        print(f"{name}: {self.phases[name]['seconds']:.1f} s", file=sys.stderr)

    def _servers(self) -> float:
        # The server's own processes; those of finished connections are counted by their parent.
        ticks = 0
        for process in Path("/proc").iterdir():
            if not process.name.isdecimal():
                continue
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if process.name == str(self._server):
                ticks += sum(map(int, fields[11:15]))
            elif fields[1] == str(self._server):
                ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


def bare_copy(path: Path) -> int:
    """The same file into a table of text columns, by one COPY; how many rows it has."""
    columns = ", ".join(f"c{place} text" for place in range(len(HEADER)))
    with database.session() as session:
        session.execute(text(f"CREATE TABLE bare ({columns})"))
        driver = cast("Connection[Any]", session.connection().connection.driver_connection)
        statement = b"COPY bare FROM STDIN (FORMAT csv, HEADER true)"
        with path.open("rb") as source, driver.cursor() as cursor, cursor.copy(statement) as copy:
            while part := source.read(1 << 16):
                copy.write(part)
    with database.session() as session:
        return int(session.execute(text("SELECT count(*) FROM bare")).scalar_one())


def whole_import(path: Path, page_id: int, clock: Clock, name: str) -> dict[str, Any]:
    """Upload, check, apply: as the command does."""
    with clock.phase(f"{name}: upload"), path.open("rb") as source, database.session() as session:
        made = stage_file(session, page_id, source, name=path.name, actor="benchmark", now=NOW)
        assert made.id is not None
        import_id = made.id
        registry.start_validation(session, import_id)
    with clock.phase(f"{name}: check"):
        _to_the_end("validating", lambda session: validate_next(session, NOW, import_id=import_id))
    with database.session() as session:
        registry.start_applying(session, import_id, actor="benchmark", now=NOW)
    with clock.phase(f"{name}: apply"), Ahead() as ahead:
        _to_the_end("applying", lambda session: apply_next(session, NOW, import_id=import_id, ahead=ahead))
    with database.session() as session:
        found = registry.get_import(session, import_id)
        assert found.status == "applied", (found.status, registry.error_kinds(session, import_id))
        return dict(found.counts)


def _to_the_end(status: str, step: Callable[[Any], Any]) -> None:
    while True:
        with database.session() as session:
            if step(session).status != status:
                return


def whole_export(page_id: int) -> int:
    """Everybody out again; how many bytes."""
    with database.session() as session:
        columns = start_export(session, page_id, form="csv", actor="benchmark", now=NOW)
    after: int | None = 0
    size = 0
    while after is not None:
        with database.session() as session:
            part = export_part(session, page_id, columns, form="csv", after=after)
        size += len(part.text)
        after = part.last
    return size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=GOAL)
    parser.add_argument("--once", action="store_true", help="neither the second import nor the export")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    logs.configure("warning", "console")
    with tempfile.TemporaryDirectory(prefix="duly-bench-") as folder:
        os.environ["DULY_DATA_DIR"] = folder
        with Servers(Path(folder) / "data", durable=True, throwaway=True) as servers:
            os.environ["DULY_DATABASE_URL"] = servers.database_url
            get_settings.cache_clear()
            migrate.upgrade(servers.database_url)
            try:
                report = _measure(Path(folder), chosen.rows, once=chosen.once)
            finally:
                database.dispose()
    if chosen.json:
        print(json.dumps(report, indent=2))
    else:
        _print(report)
    return 0


def _measure(folder: Path, rows: int, *, once: bool) -> dict[str, Any]:
    with database.session() as session:
        server = int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
        page = add_page(
            session, app_external_id="1", app_secret="f1ce" * 8, verify_token="benchmark", external_id="100",
            name="Benchmark", token="EAAtoken", mode="live", rate=30, now=NOW,
        )  # fmt: skip
        page_id = page.id or 0
    postmaster = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
    clock = Clock(postmaster)
    path = folder / "people.csv"
    write_file(path, rows)
    with clock.phase("bare COPY"):
        bare_copy(path)
    counts = {"first": whole_import(path, page_id, clock, "first import")}
    size = 0
    if not once:
        counts["second"] = whole_import(path, page_id, clock, "second import")
        with clock.phase("export"):
            size = whole_export(page_id)
    return {
        "rows": rows,
        "columns": len(HEADER),
        "bytes": path.stat().st_size,
        "exported": size,
        "counts": counts,
        "phases": clock.phases,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]},
    }


def _print(report: dict[str, Any]) -> None:
    print(f"{report['rows']} rows of {report['columns']} columns, {report['bytes'] / 1e6:.1f} MB")
    print(f"{'':24}{'s':>8}{'CPU s':>8}{'server':>8}")
    for name, took in report["phases"].items():
        print(f"{name:24}{took['seconds']:8.2f}{took['cpu']:8.2f}{took['server_cpu']:8.2f}")
    for which in report["counts"]:
        phases = [took for name, took in report["phases"].items() if name.startswith(which)]
        total = {key: sum(took[key] for took in phases) for key in ("seconds", "cpu", "server_cpu")}
        print(
            f"{which + ' import: whole':24}{total['seconds']:8.2f}{total['cpu']:8.2f}{total['server_cpu']:8.2f}"
            f"   {report['counts'][which]}"
        )
    print(
        f"goal: {GOAL} rows in {WITHIN:.0f} s; load {report['machine']['load']:.1f} on {report['machine']['cpus']} CPUs"
    )


if __name__ == "__main__":
    sys.exit(main())
