"""Which databases are held: copies, and those whose marks are elsewhere or lost; and which are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.lineage.guard import FOLDER
from scheduler.settings import get_settings
from scheduler.store import database, migrate
from tests.integration.lineage.steps import (
    NOW,
    Dump,
    begin_all,
    duly,
    forget,
    may_send,
    no_faults,
    opt_out,
    plan,
    refused,
    release,
    rows,
    send,
    staged,
    states,
)

pytestmark = pytest.mark.usefixtures("own_marks", "clock_stands")


@pytest.fixture
def elsewhere(
    new_database: Callable[[], str], set_environment: Callable[..., None], tmp_path: Path
) -> Callable[..., None]:
    """``elsewhere(dump)``: on another machine, without the marks of the first, what was dumped or a new database."""

    def go(dump: Dump | None = None) -> None:
        database.dispose()
        url = new_database()
        if dump is not None:
            dump.load_into(url)
        forget()
        set_environment(DULY_DATABASE_URL=url, DULY_DATA_DIR=str(tmp_path / "elsewhere"))

    yield go
    database.dispose()


def test_a_new_database_in_an_old_folder_is_not_held(
    database_url: str, new_database: Callable[[], str], set_environment: Callable[..., None]
) -> None:
    plan(2)
    send(2)
    database.dispose()
    set_environment(DULY_DATABASE_URL=new_database())
    forget()
    plan(2)
    assert may_send()
    database.dispose()


def test_a_database_that_was_emptied_and_filled_anew_is_not_held(database_url: str) -> None:
    plan(2)
    send(2)
    database.dispose()
    migrate.downgrade(database_url, "base")
    migrate.upgrade(database_url)
    forget()
    # Later than what the marks tell of.
    with staged() as stage:
        stage.messages(1, created_at=NOW)
    assert may_send()


def test_a_copy_of_a_database_is_held_until_somebody_says_which_one_sends(
    dumped: Callable[[], Dump], elsewhere: Callable[..., None]
) -> None:
    plan(2)
    send(1)
    elsewhere(dumped())
    assert not may_send()
    assert "another place" in duly("restore", "status", code=1)["why"]
    assert "were not handed in" in refused("restore", "release", "--why", "moved", "--yes")
    release("--assume", "unsent")
    assert may_send()


def test_where_all_marks_are_lost_somebody_says_what_counts_as_sent(
    dumped: Callable[[], Dump], elsewhere: Callable[..., None]
) -> None:
    plan(3)
    dump = dumped()
    send(3)
    elsewhere(dump)
    assert not may_send()
    duly("restore", "settle")
    assert release("--assume", "sent")["settled"] == {"assumed": 3}
    assert states() == {"unconfirmed": 3}
    no_faults()


def test_redis_alone_knows_that_the_database_is_behind_where_the_folder_was_lost(
    dumped: Callable[[], Dump], set_environment: Callable[..., None], tmp_path: Path
) -> None:
    plan(2)
    dump = dumped()
    send(2)
    dump.load()
    set_environment(DULY_DATA_DIR=str(tmp_path / "another"))
    assert not may_send()
    assert "Redis knows of 1 attempts that no marks here tell of" in duly("restore", "status", code=1)["gaps"]


def test_workers_on_other_machines_hand_in_their_own_marks(
    dumped: Callable[[], Dump], set_environment: Callable[..., None], tmp_path: Path
) -> None:
    def on_machine(name: str) -> None:
        set_environment(DULY_DATA_DIR=str(tmp_path / name))

    plan(4)
    for host in ("one", "two"):
        on_machine(host)
        assert may_send()
    dump = dumped()
    for host in ("one", "two"):
        on_machine(host)
        send(2)
    dump.load()
    on_machine("one")
    assert not may_send()
    assert duly("restore", "status", code=1)["to_settle"] == {"sent": 2}
    duly("restore", "settle")
    assert "were not handed in" in refused("restore", "release", "--why", "too early", "--yes")
    on_machine("two")
    assert not may_send()
    on_machine("one")
    assert duly("restore", "settle")["settled"] == {"sent": 4}
    release()
    assert may_send()
    assert begin_all() == []


def test_marks_name_nobody(database_url: str) -> None:
    plan(2)
    send(2)
    opt_out()
    files = list((get_settings().data_dir / FOLDER).glob("*.jsonl"))
    kept = "".join(path.read_text() for path in files)
    assert '"begun"' in kept
    assert '"chosen"' in kept
    for (psid,) in rows("SELECT psid FROM contact"):
        assert psid not in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_where_marks_cannot_be_kept_nothing_is_sent(
    database_url: str, set_environment: Callable[..., None], tmp_path: Path
) -> None:
    plan(1)
    (tmp_path / "file").write_text("in the way")
    set_environment(DULY_DATA_DIR=str(tmp_path / "file"))
    assert not may_send()
