"""What is built has every pack, and nothing is built of a pack that cannot be read."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.patience import patience

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("policies", "scheduler", "workers"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def build(tree: Path) -> subprocess.CompletedProcess[str]:
    script = 'from hatchling.build import build_wheel; print(build_wheel("dist"))'
    return subprocess.run(
        [sys.executable, "-c", script], cwd=tree, capture_output=True, text=True, timeout=patience(100)
    )


def test_a_wheel_ships_every_pack(tree: Path) -> None:
    done = build(tree)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tree / "dist").glob("*.whl")
    shipped = {name for name in ZipFile(wheel).namelist() if name.endswith(".toml")}
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "policies").rglob("*.toml")}
    assert shipped == here
    assert {"policies/packs/law/KR.toml", "policies/packs/platform/messenger.toml"} <= shipped


@pytest.mark.parametrize(
    ("pack", "old", "new", "says"),
    [
        ("law/KR.toml", '"21:00"', '"25:00"', "policies/packs/law/KR.toml:12: `permitted_hours.daily`: `25:00` is no"),
        ("platform/messenger.toml", '"7d"', '"7 days"', "policies/packs/platform/messenger.toml:"),
        ("keywords/en.toml", "[", "[[", "policies/packs/keywords/en.toml:"),
    ],
)
def test_a_wrong_pack_stops_the_build(tree: Path, pack: str, old: str, new: str, says: str) -> None:
    path = tree / "policies" / "packs" / pack
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    done = build(tree)
    assert done.returncode != 0
    assert says in done.stderr
    assert not list(tree.rglob("*.whl"))
