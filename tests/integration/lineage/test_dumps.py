"""``duly db dump`` and ``duly db load``: a dump that cannot be loaded changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.store import database, dumps
from tests.integration.lineage.steps import plan, rows, run, states

pytestmark = pytest.mark.usefixtures("own_marks", "clock_stands")


def test_a_dump_that_is_no_dump_changes_nothing(database_url: str, tmp_path: Path) -> None:
    plan(2)
    database.dispose()
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    dumps.dump(database_url, whole)
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    for file in (broken, tmp_path / "none"):
        result = run("db", "load", str(file), "--yes")
        assert result.exit_code in (2, 6), result.output
        assert result.stderr.count("\n") == 1
    assert states() == {"due": 2}


def test_a_dump_is_loaded_only_while_nobody_works_with_the_database(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "dump"
    assert run("db", "dump", str(file)).exit_code == 0
    assert file.stat().st_mode & 0o077 == 0
    plan(1)
    with database.session() as session:
        session.connection()
        assert run("db", "load", str(file), "--yes").exit_code == 5
    database.dispose()
    assert run("db", "load", str(file), "--yes").exit_code == 0
    assert rows("SELECT count(*) FROM page") == [(0,)]
