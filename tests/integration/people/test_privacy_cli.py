"""``duly privacy``: told, erased, kept."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.contacts.registry import ensure_contacts


def _duly(*words: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, ["privacy", *words], input=given)


@pytest.fixture
def ada(session: Session, page: Any, noon: int) -> int:
    made = ensure_contacts(session, page.id, ["ada"], noon)["ada"]
    session.commit()
    return made


def test_everything_goes_into_a_file_for_its_owner_alone(ada: int, tmp_path: Path, session: Session) -> None:
    out = tmp_path / "ada.json"
    found = _duly("export", "ada", "--page", "555", "--out", str(out))
    assert found.exit_code == 0, found.output
    assert json.loads(out.read_text())["psids"] == ["ada"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert json.loads(_duly("export", "ada", "--page", "555").stdout)["contacts"][0]["psid"] == "ada"
    acts = session.execute(text("SELECT action, subject FROM audit_entry ORDER BY id DESC LIMIT 1")).one()
    assert tuple(acts) == ("contact.everything", f"contact:{ada}")
    assert _duly("export", "bob", "--page", "555").exit_code == 4


def test_a_file_that_others_might_read_is_their_owners_alone_afterwards(ada: int, tmp_path: Path) -> None:
    out = tmp_path / "ada.json"
    out.write_text("x" * 100_000)
    out.chmod(0o644)
    assert _duly("export", "ada", "--page", "555", "--out", str(out)).exit_code == 0
    assert json.loads(out.read_text())["psids"] == ["ada"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    refused = _duly("export", "ada", "--page", "555", "--out", str(tmp_path / "nowhere" / "ada.json"))
    assert refused.exit_code == 2
    assert "--out" in refused.stderr


def test_whoever_asks_about_somebody_who_was_erased_is_told_so(ada: int) -> None:
    assert _duly("erase", "ada", "--page", "555", "--reason", "asked", "--yes").exit_code == 0
    told = _duly("export", "ada", "--page", "555")
    assert (told.exit_code, "was erased at their wish" in told.stderr) == (4, True)


def test_erasing_shows_what_goes_and_asks(ada: int, session: Session) -> None:
    asked = _duly("erase", "ada", "--page", "555", "--reason", "asked", given="n\n")
    assert asked.exit_code == 5
    assert "contacts" in asked.stdout
    assert session.execute(text("SELECT count(*) FROM contact WHERE psid = 'ada'")).scalar() == 1
    session.commit()
    done = _duly("erase", "ada", "--page", "555", "--reason", "asked", "--yes", "--json")
    assert json.loads(done.stdout)["changes"] is True
    again = _duly("erase", "ada", "--page", "555", "--reason", "asked")
    assert (again.exit_code, "erased before" in again.stdout) == (0, True)
    assert session.execute(text("SELECT count(*) FROM contact WHERE psid = 'ada'")).scalar() == 0


def test_retention_tells_lets_go_and_tells_again(session: Session, page: Any, noon: int) -> None:
    session.execute(
        text(
            "INSERT INTO platform_event (page_id, kind, psid, dedupe_key, received_at, body) "
            "SELECT :page, 'message', 'x', n::text, 0, '{}' FROM generate_series(1, 2500) AS n"
        ),
        {"page": page.id},
    )
    session.commit()
    for words, pruned, left in ((("--dry-run",), 0, 2500), ((), 2500, 0), ((), 0, 0)):
        found = _duly("retention", "--json", *words)
        assert found.exit_code == 0, found.output
        tables = {each["name"]: each for each in json.loads(found.stdout)["tables"]}
        assert (tables["platform_events"]["pruned"], tables["platform_events"]["left"]) == (pruned, left)
    assert "platform_events" in _duly("retention", "--dry-run").stdout
