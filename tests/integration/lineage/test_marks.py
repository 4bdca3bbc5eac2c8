"""Marks outside the database: who has them written, and into which files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from scheduler.lineage.guard import FOLDER
from scheduler.settings import get_settings
from scheduler.store import journal
from scheduler.store.journal import Head, Journal
from tests.patience import patience

pytestmark = pytest.mark.usefixtures("own_marks")

HEAD = Head(lineage="a", generation="b", home="c")
DAY = 20_000


def folder() -> Path:
    return get_settings().data_dir / FOLDER


def files() -> list[Path]:
    return sorted(folder().glob("*.jsonl"))


def marks(kind: str) -> list[list[object]]:
    return [row for _, found, rows, _ in journal.read(folder()) if found == kind for row in rows]


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def run(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program(text), capture_output=True, text=True, check=False, timeout=patience(60))


def entries(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM audit_entry").fetchone()
    assert row is not None
    return int(row[0])


ACT = """
from scheduler.audit.record import record
from scheduler.store import database
with database.session() as session:
    record(session, actor="somebody", action="page.rename", subject="page:1", detail={}, now=5)
"""


def test_a_process_that_registered_nobody_to_keep_marks_changes_nothing(database_url: str) -> None:
    ran = run(ACT)
    assert ran.returncode == 1
    assert "scheduler.lineage.start.keep_marks()" in ran.stderr.splitlines()[-1]
    assert entries(database_url) == 0


@pytest.mark.parametrize(
    "entry",
    [
        "from scheduler.cli.main import app\napp(['db', 'current'], standalone_mode=False)",
        "from scheduler.api.app import create_app\ncreate_app()",
        "import workers.app\nfrom celery.signals import worker_init\nworker_init.send(None)",
        "import benchmarks",
    ],
    ids=["command", "web", "worker", "benchmark"],
)
def test_every_process_entry_has_marks_kept(database_url: str, entry: str) -> None:
    ran = run(entry + ACT)
    assert ran.returncode == 0, ran.stderr
    assert entries(database_url) == 1
    assert marks("acts") == [["somebody", "page.rename", "page:1", 5]]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "scheduler.cli.main", *words]


def test_commands_one_after_another_leave_one_file(database_url: str) -> None:
    for number in range(6):
        words = ("stop", "--why", f"number {number}", "--yes") if number % 2 == 0 else ("resume",)
        subprocess.run(command("ops", *words), check=True, capture_output=True, timeout=patience(60))
    assert len(marks("acts")) == entries(database_url) == 6
    assert len(files()) == 1
    assert [mark.least["audit_entry"] for mark in journal.last_marks(folder())] == [6]


def test_fifty_processes_in_a_row_share_a_file_and_those_at_once_do_not(tmp_path: Path) -> None:
    def one(number: int) -> None:
        kept = Journal(tmp_path)
        kept.open(HEAD, DAY)
        kept.add("acts", [[number]], 1, safely=True)

    for number in range(50):
        _in_a_child(lambda number=number: one(number))
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    assert [row for _, _, rows, _ in journal.read(tmp_path) for row in rows] == [[number] for number in range(50)]


WRITE = """
import sys
from pathlib import Path
from scheduler.store.journal import Head, Journal
kept = Journal(Path(sys.argv[1]))
for number in range(300):
    kept.open(Head(lineage="a", generation="b", home="c"), 20_000)
    kept.add("acts", [[sys.argv[2], number]], 1, safely=False)
    if number % 10 == 9:
        # As a command that ends, and another that begins.
        kept.close()
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [subprocess.Popen([*program(WRITE), str(tmp_path), name]) for name in "abc"]
    assert [writer.wait(timeout=patience(60)) for writer in writers] == [0, 0, 0]
    found = [(row[0], row[1]) for _, _, rows, _ in journal.read(tmp_path) for row in rows]
    assert sorted(found) == [(name, number) for name in "abc" for number in range(300)]
    # As many as were open at once, however often each was opened.
    assert len(list(tmp_path.glob("*.jsonl"))) <= 3


def test_who_goes_on_with_a_torn_line_loses_nothing_of_its_own(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.open(HEAD, DAY)
    first.begun([[1, 2]], 5)
    first.close()
    [path] = tmp_path.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"at":6,"begun":[[3,')
    second = Journal(tmp_path)
    second.open(HEAD, DAY)
    second.begun([[5, 6]], 7)
    assert [(kind, rows, at) for _, kind, rows, at in journal.read(tmp_path)] == [
        ("begun", [[1, 2]], 5), ("begun", [[5, 6]], 7),
    ]  # fmt: skip
    assert journal.last_marks(tmp_path)[0].begun == {5: 6}


def test_files_of_another_day_of_another_database_or_full_ones_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(head: Head = HEAD, day: int = DAY) -> str:
        kept = Journal(tmp_path)
        kept.open(head, day)
        kept.add("acts", [["x" * 100]], 1, safely=False)
        kept.close()
        return kept.name

    first = opened()
    assert opened() == first
    assert opened(day=DAY + 1) != first
    assert opened(Head(lineage="a", generation="another", home="c")) != first
    monkeypatch.setattr(journal, "_LARGE", 50)
    assert opened() != first


def test_a_forked_child_has_a_file_of_its_own(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    kept.open(HEAD, DAY)
    kept.add("acts", [["parent"]], 1, safely=False)

    def child() -> None:
        with pytest.raises(OSError, match="not open"):
            kept.add("acts", [["too early"]], 1, safely=False)
        kept.open(HEAD, DAY)
        kept.add("acts", [["child"]], 1, safely=False)

    _in_a_child(child)
    kept.add("acts", [["parent again"]], 1, safely=False)
    written = sorted(path.read_text().count("parent") for path in tmp_path.glob("*.jsonl"))
    assert written == [0, 2]


def test_what_an_earlier_process_saw_is_not_hidden_by_one_that_sees_less(tmp_path: Path) -> None:
    for number in (9, 4):
        kept = Journal(tmp_path)
        kept.open(HEAD, DAY)
        kept.add("least", [["audit_entry", number]], 1, safely=True)
        kept.close()
    assert [mark.least for mark in journal.last_marks(tmp_path)] == [{"audit_entry": 9}]


def test_the_last_attempt_is_found_behind_any_number_of_other_marks(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    kept.open(HEAD, DAY)
    kept.begun([[1, 2]], 5)
    for number in range(300):
        kept.add("acts", [["x" * 1000, number]], 6, safely=False)
    kept.add("least", [["audit_entry", 300]], 7, safely=True)
    [mark] = journal.last_marks(tmp_path)
    assert (mark.begun, mark.least, mark.at) == ({1: 2}, {"audit_entry": 300}, 7)


def test_a_file_that_somebody_may_still_add_to_is_not_deleted_for_its_age(tmp_path: Path) -> None:
    living, ended = Journal(tmp_path), Journal(tmp_path)
    for kept in (living, ended):
        kept.open(HEAD, DAY)
        kept.begun([[1, 2]], 5)
    ended.close()
    for path in tmp_path.glob("*.jsonl"):
        os.utime(path, (100, 100))
    size = journal.size_of(tmp_path)
    assert journal.prune(tmp_path, 200) == 1
    assert journal.pruned_until(tmp_path) == 5
    assert [path.stem for path in tmp_path.glob("*.jsonl")] == [living.name]
    assert journal.size_of(tmp_path) == size // 2
    living.begun([[3, 4]], 6)
    assert journal.last_marks(tmp_path)[0].begun == {3: 4}


def _in_a_child(what: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            what()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
