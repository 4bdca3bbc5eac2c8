from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_make_alone_lists_every_target() -> None:
    run = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in run.stdout.splitlines()} == TARGETS


def test_every_target_that_is_promised_exists() -> None:
    pages = [ROOT / "README.md", ROOT / ".ci" / "run", *(ROOT / "docs").glob("*.md")]
    named = {
        name for page in pages for name in re.findall(r"(?:^\s*|`)make ([a-z]+)\b", page.read_text(), re.MULTILINE)
    }
    assert named <= TARGETS
    assert {"lint", "test", "demo", "up", "help"} <= named


def test_continuous_integration_runs_what_make_runs_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make lint", "make test", "make chaos-ci"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_lock_names_hashes_and_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
    pinned = re.findall(r"^[A-Za-z0-9._-]+(?:\[[^]]*\])?==", lock, re.MULTILINE)
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert len(pinned) == len(blocks)
    assert all("--hash=sha256:" in block for block in blocks)
