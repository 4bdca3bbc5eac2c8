"""A new encryption key: everything sealed anew, keyed hashes as before, the old key gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import LargeBinary, event, text
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.consent.tokens import grant_token
from scheduler.contacts.identities import Link, find_by_identity, link
from scheduler.contacts.registry import ensure_contacts
from scheduler.pages.registry import app_secret, get_page, page_token
from scheduler.privacy.erasure import erase
from scheduler.privacy.suppressed import suppressed
from scheduler.store import database, stable_keys
from scheduler.store.metadata import metadata
from scheduler.store.resealing import SEALED, Resealed, reseal_chunk


def _rotate(*more: str) -> Any:
    found = CliRunner().invoke(app, ["secrets", "rotate", "--json", *more])
    return found.exit_code, json.loads(found.stdout)


@pytest.fixture
def keys(set_environment: Any, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Two keys, the first of which is in force; nothing is remembered of other tests' keys."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    set_environment(DULY_ENCRYPTION_KEY=old)
    return old, new


def test_every_sealed_column_is_rotated() -> None:
    found = {
        (table.name, column.name)
        for table in metadata().tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and "sealed" in column.name
    }
    assert found == {(table, column) for table, _, column in SEALED}


def test_everything_comes_back_with_the_new_key_alone(
    keys: tuple[str, str], session: Session, page: Any, set_environment: Any, noon: int
) -> None:
    old, new = keys
    ids = ensure_contacts(session, page.id, ["a", "gone"], noon)
    link(session, page.id, [Link(contact_id=ids["a"], kind="phone", value="+4930901820")], noon)
    for number in range(7):
        grant_token(
            session, ids["a"], kind="one_time", token=f"t{number}", topic=f"x{number}", expires_at=None, event_id=None,
            at=noon, now=noon,
        )  # fmt: skip
    erase(session, page.id, "gone", actor="mia", reason="asked", now=noon)
    session.commit()
    assert _rotate()[1]["older_keys_may_go"] is False

    set_environment(DULY_ENCRYPTION_KEY=f"{new},{old}")
    code, told = _rotate("--dry-run")
    assert (code, told["older_keys_may_go"]) == (0, False)
    assert sum(each["resealed"] for each in told["columns"]) == 12
    code, told = _rotate()
    assert (code, told["older_keys_may_go"]) == (0, True)
    assert sum(each["resealed"] for each in told["columns"]) == 12
    assert {each["fresh"] for each in _rotate()[1]["columns"]} == {0, 1, 2, 7}

    set_environment(DULY_ENCRYPTION_KEY=new)
    stable_keys._known.clear()
    session.expire_all()
    assert page_token(get_page(session, "555")) == "EAAtoken"
    assert app_secret(session, get_page(session, "555")) == b"0123456789abcdef"
    assert set(suppressed(session, page.id, ["a", "gone"])) == {"gone"}
    assert find_by_identity(session, page.id, "phone", ["+49 30 901820"]) == {"+49 30 901820": ids["a"]}
    assert session.execute(text("SELECT count(*) FROM audit_entry WHERE action = 'secrets.rotate'")).scalar() == 1


def test_it_goes_on_where_it_was_and_overwrites_no_change(
    keys: tuple[str, str], session: Session, page: Any, set_environment: Any, noon: int
) -> None:
    old, new = keys
    (one,) = ensure_contacts(session, page.id, ["a"], noon).values()
    for number in range(5):
        grant_token(
            session, one, kind="one_time", token=f"t{number}", topic=f"x{number}", expires_at=None, event_id=None,
            at=noon, now=noon,
        )  # fmt: skip
    session.commit()
    set_environment(DULY_ENCRYPTION_KEY=f"{new},{old}")
    first = Resealed(table="permission_token", column="sealed")
    assert reseal_chunk(session, first, "id", None, limit=2) is not None
    session.commit()
    again, after = Resealed(table="permission_token", column="sealed"), None
    while True:
        after = reseal_chunk(session, again, "id", after, limit=2)
        session.commit()
        if after is None:
            break
    assert (first.resealed, again.fresh, again.resealed) == (2, 2, 3)


def test_a_process_that_has_the_old_key_in_front_still_is_told_of(
    keys: tuple[str, str], session: Session, page: Any, set_environment: Any
) -> None:
    old, new = keys
    set_environment(DULY_ENCRYPTION_KEY=f"{new},{old}")
    stale: list[bytes] = [Fernet(old).encrypt(b"EAAlater")]

    # When the page's token was sealed anew already, somebody writes another.
    def write_in_between(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "FROM permission_token" in statement and stale:
            with database.engine().begin() as other:
                other.execute(text("UPDATE page SET token_sealed = :sealed"), {"sealed": stale.pop()})

    session.commit()
    engine = database.engine()
    event.listen(engine, "before_cursor_execute", write_in_between)
    try:
        code, told = _rotate()
    finally:
        event.remove(engine, "before_cursor_execute", write_in_between)
    assert (code, told["older_keys_may_go"], stale) == (1, False, [])
    assert _rotate()[1]["older_keys_may_go"] is True
    session.expire_all()
    assert page_token(get_page(session, "555")) == "EAAlater"


def test_a_key_that_is_not_here_is_told_and_nothing_is_lost(
    keys: tuple[str, str], session: Session, page: Any, set_environment: Any
) -> None:
    _, new = keys
    before = session.execute(text("SELECT token_sealed FROM page")).scalar()
    session.commit()
    set_environment(DULY_ENCRYPTION_KEY=new)
    code, told = _rotate()
    assert (code, told["older_keys_may_go"]) == (1, False)
    assert sum(each["unreadable"] for each in told["columns"]) == 3
    assert session.execute(text("SELECT token_sealed FROM page")).scalar() == before


def test_an_app_gets_a_second_secret(page: Any, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SECRET", "fedcba9876543210")
    found = CliRunner().invoke(app, ["secrets", "rotate", "--app", "900"])
    assert found.exit_code == 0, found.output
    assert "fedcba" not in found.output
    assert session.execute(text("SELECT previous_secret_sealed IS NOT NULL FROM app")).scalar() is True
