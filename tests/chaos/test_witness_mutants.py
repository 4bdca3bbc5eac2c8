"""The witness names what is wrong: the product is broken on purpose, one way at a time, and played before it.

Each mutant is a copy of the packages with one piece of text replaced, run as a whole stack of processes through the
evening in ``evening.py``. A witness that stays silent on any of them would be worth nothing on the real product.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.evening import TOO_LATE
from tests.patience import patience, slowness

ROOT = Path(__file__).resolve().parents[2]
EVENING = Path(__file__).with_name("evening.py")

pytestmark = pytest.mark.chaos


@dataclass(frozen=True)
class Mutant:
    name: str
    path: str
    old: str
    new: str
    #: What the witness must call it: one of these.
    kinds: tuple[str, ...]


MUTANTS = (
    Mutant(
        "hours read as UTC",
        "policies/local_time.py",
        "    return offset.days * DAY + offset.seconds\n",
        "    return 0\n",
        ("quiet_hours",),
    ),
    Mutant(
        "STOP ignored",
        "scheduler/inbox/meaning.py",
        '{"opt_out": "opt_out", "opt_in": "opt_in"}',
        '{"opt_in": "opt_in"}',
        ("opted_out",),
    ),
    Mutant(
        "a 25 h window",
        "policies/packs/platform/messenger.toml",
        'length = "24h"',
        'length = "25h"',
        ("outside_window",),
    ),
    Mutant(
        "a double post",
        "workers/posting.py",
        "            answer = client.post_message(\n",
        "            client.post_message(errand.sender, payload)\n            answer = client.post_message(\n",
        ("doubled",),
    ),
    Mutant(
        "the guard left out",
        "scheduler/clock.py",
        "    return real_seconds(get_settings().send_guard)\n",
        "    return 0\n",
        ("quiet_hours", "outside_window"),
    ),
)


class _Evenings:
    """Plays evenings, each on an empty database. How slowly on this machine is measured and learnt, never assumed."""

    #: At this a request takes 7.5 seconds, and Duly waits for ten.
    _SLOWEST = 5.0
    #: How many times slower than on a quick machine; for all of this process.
    slower = min(_SLOWEST, slowness())

    def __init__(self, redis_url: str, new_database: Callable[[], str], folder: Path) -> None:
        self._redis_url, self._new_database, self._folder = redis_url, new_database, folder

    def play(self, tree: Path, kinds: tuple[str, ...] = ()) -> dict[str, Any]:
        """On the packages in ``tree``, until the witness names a violation of ``kinds`` or everything rests."""
        for number in range(6):
            run = self._run(tree, self._folder / f"evening-{number}", kinds)
            if run.returncode != TOO_LATE:
                assert run.returncode == 0, run.stdout + run.stderr
                told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
                return told
            _Evenings.slower = min(self._SLOWEST, 2 * self.slower)
        pytest.fail(f"no campaign was planned in time, {self.slower} times slower than usual")

    def _run(self, tree: Path, data_dir: Path, kinds: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DULY_")}
        environment |= {
            "PYTHONPATH": str(tree),
            "DULY_DATA_DIR": str(data_dir),
            "DULY_DATABASE_URL": self._new_database(),
            "DULY_REDIS_URL": self._redis_url,
        }
        argv = [sys.executable, str(EVENING), str(data_dir), str(self.slower), *kinds]
        return subprocess.run(
            argv, cwd=tree, env=environment, capture_output=True, text=True, timeout=patience(200), check=False
        )  # fmt: skip


@pytest.fixture
def evenings(redis_url: str, new_database: Callable[[], str], tmp_path: Path) -> _Evenings:
    return _Evenings(redis_url, new_database, tmp_path)


@pytest.mark.timeout(300)
def test_the_product_as_it_is_gets_through_the_evening(evenings: _Evenings) -> None:
    told = evenings.play(ROOT)
    assert told["verdict"]["violations"] == []
    # Every message moved along the arrows of the table, and every arrow left its row.
    assert told["faults"] == []
    # London may be told at once, and whoever's evening is not about to end; the others wait: for the morning, or until
    # they write.
    assert told["verdict"]["requests"] >= 1
    assert told["summary"]["reasons"]["denied"] == {"opted_out": 1}
    assert told["summary"]["reasons"]["scheduled"]["window_closed"] == 1
    assert told["summary"]["states"]["scheduled"] >= 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_the_witness_names(mutant: Mutant, evenings: _Evenings, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for package in ("policies", "scheduler", "workers"):
        # With their bytecode, but for what another process is writing just now.
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("*.pyc.*"))
    place = tree / mutant.path
    before = place.read_text()
    assert before.count(mutant.old) == 1, f"{mutant.path} no longer says what this mutant replaces"
    place.write_text(before.replace(mutant.old, mutant.new))
    told = evenings.play(tree, mutant.kinds)
    assert {violation["kind"] for violation in told["verdict"]["violations"]} & set(mutant.kinds), told
