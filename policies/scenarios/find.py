"""Scenario files: those that were named, and those in the folders that were."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from policies.scenarios.parse import SUFFIX
from policies.toml_source import PolicyError


def find_files(named: Iterable[str | Path]) -> list[Path]:
    """The files, each once, those of a folder sorted; folders beginning with a dot are left out.

    Raises PolicyError where a name is nothing, or a folder holds no scenario file: a run that tests nothing must not
    pass for one that found nothing wrong.
    """
    found: dict[Path, Path] = {}
    for name in named:
        path = Path(name)
        if path.is_dir():
            inside = sorted(each for each in path.rglob(f"*{SUFFIX}") if each.is_file() and not _hidden(each, path))
            if not inside:
                raise PolicyError(str(name), 0, "", f"holds no scenario files: their names end in {SUFFIX}")
        else:
            inside = [path]
        for each in inside:
            found.setdefault(each.resolve(), each)
    return list(found.values())


def _hidden(path: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(below).parts[:-1])
