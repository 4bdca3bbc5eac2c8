from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import patience

ROOT = Path(__file__).parents[2]
PACKAGES = ("policies", "scheduler", "workers")

#: The only modules that may ask what time it is.
CLOCKS = {"scheduler/clock.py", "workers/sandbox/clock.py"}

#: Calls that read the time of day. Monotonic ones measure durations of machines and are free to use.
TIME_OF_DAY = {
    ("time", "time"), ("time", "time_ns"), ("time", "localtime"), ("time", "gmtime"), ("time", "ctime"),
    ("time", "strftime"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("pendulum", "now"), ("pendulum", "today"), ("pendulum", "yesterday"), ("pendulum", "tomorrow"),
}  # fmt: skip


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def test_imports_keep_to_the_layers() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [lint_imports, "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(100),
    )
    assert run.returncode == 0, run.stdout + run.stderr


def _reads_of_the_clock(tree: ast.AST) -> Iterator[tuple[int, str]]:
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "pendulum")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if (name, node.attr) in TIME_OF_DAY:
                yield node.lineno, f"{name}.{node.attr}"
        elif isinstance(node, ast.Name) and imported.get(node.id) in TIME_OF_DAY:
            yield node.lineno, node.id


def test_nobody_but_the_clocks_reads_the_time() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {call}"
        for path in _sources()
        if str(path.relative_to(ROOT)) not in CLOCKS
        for line, call in _reads_of_the_clock(ast.parse(path.read_text()))
    ]
    assert not found, "take `now` as a parameter:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "from time import time\ntime()",
        "from datetime import datetime\nf = datetime.now",
        "import datetime\ndatetime.datetime.now()",
        "import pendulum\npendulum.now('UTC')",
        "from pendulum import now as present\npresent()",
    ],
)
def test_a_read_of_the_clock_is_seen(code: str) -> None:
    assert list(_reads_of_the_clock(ast.parse(code)))


def test_sql_never_asks_for_the_time() -> None:
    asked = re.compile(r"\b(current_timestamp|clock_timestamp|statement_timestamp|localtimestamp|now\(\))")
    found = []
    # The one comparison of the machine's clock with the database's.
    clocks = ROOT / "scheduler" / "outbox" / "skews.py"
    for path in (path for path in _sources() if path != clocks):
        for node in ast.walk(ast.parse(path.read_text())):
            in_text = (
                isinstance(node, ast.Constant) and isinstance(node.value, str)
                and re.search(r"\b(select|update|insert|delete)\b", node.value, re.IGNORECASE)
                and asked.search(node.value.lower())
            )  # fmt: skip
            if in_text or (isinstance(node, ast.Attribute) and ast.unparse(node) in ("func.now", "sa.func.now")):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found, "business time is a parameter of the statement:\n" + "\n".join(found)


def test_postponed_annotations_everywhere_but_in_tables() -> None:
    found = []
    for path in _sources():
        text = path.read_text()
        has = "from __future__ import annotations" in text
        if path.name == "tables.py":
            if has:
                found.append(f"{path.relative_to(ROOT)}: breaks SQLModel's mapping")
        elif ast.parse(text).body[1:] and not has:
            found.append(f"{path.relative_to(ROOT)}: is without it")
    assert not found, "\n".join(found)


def test_no_module_is_a_bucket() -> None:
    buckets = {"utils", "util", "helpers", "common", "misc", "manager", "managers"}
    found = [str(path.relative_to(ROOT)) for path in _sources() if {path.stem, path.parent.name} & buckets]
    assert not found


def test_only_a_front_door_or_a_task_commits() -> None:
    allowed = (
        "scheduler/api/",
        "scheduler/cli/",
        "scheduler/store/",
        "scheduler/supervise/",
        "scheduler/demo/",
        "workers/",
    )
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _sources()
        if not str(path.relative_to(ROOT)).startswith(allowed)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]
    assert not found, "the caller owns the transaction:\n" + "\n".join(found)
