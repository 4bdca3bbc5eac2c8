"""The witness names what is wrong: the product is broken on purpose, one way at a time, and played before it.

Each mutant is a copy of the packages with one piece of text replaced, run by ``duly demo`` as a whole stack of
processes. A witness that stays silent on any of them would be worth nothing on the real product.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.sandbox.witness import judge

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    name: str
    path: str
    old: str
    new: str
    #: What the witness must call it.
    kind: str
    #: The run that shows it: more options of ``duly demo``.
    run: tuple[str, ...] = ("--hours", "12", "--seconds", "9")


MUTANTS = (
    Mutant(
        "hours read as UTC",
        "policies/local_time.py",
        "    return offset.days * DAY + offset.seconds\n",
        "    return 0\n",
        "quiet_hours",
    ),
    Mutant(
        "STOP ignored",
        "scheduler/inbox/meaning.py",
        '    if keyword in ("opt_out", "opt_in"):',
        '    if keyword == "opt_in":',
        "opted_out",
    ),
    Mutant(
        "a 25 h window",
        "policies/packs/platform/messenger.toml",
        'length = "24h"',
        'length = "25h"',
        "outside_window",
        # No window closes before a day has gone.
        ("--hours", "36", "--seconds", "18"),
    ),
    Mutant(
        "a double post",
        "workers/deliver.py",
        "                answer = self._channel.client.post_message(sender, payload)\n",
        "                answer = self._channel.client.post_message(sender, payload)\n"
        "                self._channel.client.post_message(sender, payload)\n",
        "doubled",
    ),
    Mutant(
        "the guard left out",
        "scheduler/clock.py",
        "    return real_seconds(get_settings().send_guard)\n",
        "    return 0\n",
        "quiet_hours",
        # What the guard is for: a message decided in time is on its way when the hour strikes.
        ("--hours", "36", "--seconds", "18", "--latency", "250"),
    ),
)


def _copy(tree: Path) -> None:
    for package in ("policies", "scheduler", "workers"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.timeout(150)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_the_witness_names(mutant: Mutant, tmp_path: Path) -> None:
    _copy(tmp_path)
    place = tmp_path / mutant.path
    before = place.read_text()
    assert before.count(mutant.old) == 1, f"{mutant.path} no longer says what this mutant replaces"
    place.write_text(before.replace(mutant.old, mutant.new))
    log = tmp_path / "seen.jsonl"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DULY_")}
    run = subprocess.run(
        [sys.executable, "-m", "scheduler.cli.main", "demo", "--plain", "--keep-log", str(log), *mutant.run],
        cwd=tmp_path,
        env={
            **environment,
            "PYTHONPATH": str(tmp_path),
            "DULY_DATA_DIR": str(tmp_path / "data"),
            # At this speed two real seconds are hours, in which a wrong window would never show.
            "DULY_SEND_GUARD": "0.4",
        },
        capture_output=True,
        text=True,
        timeout=140,
        check=False,
    )
    told = run.stdout + run.stderr
    assert log.exists(), told
    assert mutant.kind in {violation.kind for violation in judge(log).violations}, told
    assert run.returncode == 1, told
    assert f"violation: {mutant.kind}" in told
