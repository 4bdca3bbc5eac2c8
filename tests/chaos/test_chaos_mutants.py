"""The judge names what is wrong: delivery is broken on purpose, one way at a time, and goes through a squall.

Each mutant is a copy of the packages with pieces of text replaced, run as a whole stack of processes. A chaos run that
passes any of them would prove nothing about the real product.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.patience import patience

pytestmark = pytest.mark.chaos

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    name: str
    path: str
    #: Each piece of text that is replaced, with what stands there instead.
    edits: tuple[tuple[str, str], ...]
    #: What the judge must call it.
    kind: str


MUTANTS = (
    Mutant(
        "a lost answer is sent again",
        "workers/send_api/client.py",
        (
            (
                'return Answer(kind="in_doubt", reason="no_answer"',
                'return Answer(kind="not_sent", reason="no_answer"',
            ),
        ),
        "doubled",
    ),
    Mutant(
        "what a dead worker left is sent again",
        "scheduler/outbox/sweep.py",
        (
            ("SET outcome = 'in_doubt', settled_at", "SET outcome = 'not_sent', settled_at"),
            ("ELSE 'in_doubt' END", "ELSE 'due' END"),
        ),
        "disagreements",
    ),
    Mutant(
        "echoes are ignored",
        "scheduler/outbox/told.py",
        (
            (
                "named = [(page_id, found, mid) for page_id, metadata, mid in echoes"
                " if (found := read_metadata(metadata))]",
                "named = []",
            ),
        ),
        "disagreements",
    ),
)


def _play(tree: Path) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DULY_")}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.chaos.squall"], cwd=tree,
        env={**environment, "PYTHONPATH": os.pathsep.join((str(tree), str(ROOT)))},
        capture_output=True, text=True, timeout=patience(200), check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def _broken(mutant: Mutant, tree: Path) -> Path:
    for package in ("policies", "scheduler", "workers"):
        # With their bytecode, but for what another process is writing just now.
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("*.pyc.*"))
    place = tree / mutant.path
    text = place.read_text()
    for old, new in mutant.edits:
        assert text.count(old) == 1, f"{mutant.path} no longer says what this mutant replaces: {old}"
        text = text.replace(old, new)
    place.write_text(text)
    return tree


@pytest.mark.timeout(240)
def test_the_judge_names_every_mutant_and_passes_the_product(tmp_path: Path) -> None:
    # Side by side: each of them mostly waits.
    trees = [ROOT, *(_broken(mutant, tmp_path / str(number)) for number, mutant in enumerate(MUTANTS))]
    with ThreadPoolExecutor(max_workers=len(trees)) as pool:
        product, *told = pool.map(_play, trees)
    assert product["failures"] == []
    # What had no answer and no echo, and what was begun when the worker was killed, is all that nobody can know.
    assert 1 <= product["unconfirmed"] - product["unconfirmed_sending_at_a_kill"] <= 10, product
    missed = {
        mutant.name: found["failures"][:3]
        for mutant, found in zip(MUTANTS, told, strict=True)
        if mutant.kind not in found["kinds"]
    }
    assert missed == {}
