"""What takes minutes runs only when it is asked for: ``pytest -m chaos``, which is ``make chaos-ci``."""

from __future__ import annotations

from pathlib import Path

import pytest

#: Collected only with ``-m chaos``.
_SLOW = frozenset({"test_chaos.py", "test_chaos_mutants.py", "test_witness_mutants.py"})


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "chaos: minutes of faults on real processes; `make chaos-ci` runs them")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the slow files alone unless somebody asks for them."""
    return True if collection_path.name in _SLOW and "chaos" not in config.getoption("-m") else None
