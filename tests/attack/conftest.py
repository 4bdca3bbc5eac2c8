"""Attacks run only when they are asked for: ``pytest -m attack``, which is ``make attack-ci``."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "attack: minutes of attacks on a running stack; `make attack-ci` runs them")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave them alone unless somebody asks for them."""
    return True if collection_path.name.startswith("test_") and "attack" not in config.getoption("-m") else None
