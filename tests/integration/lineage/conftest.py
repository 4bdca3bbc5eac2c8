"""Each test here has a data folder of its own, an empty Redis, and a clock that stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from freezegun import freeze_time

from tests.integration.lineage.steps import NOW, Dump, may_send

Lost = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def own_marks(tmp_path: Path, redis_url: str, set_environment: Callable[..., None]) -> None:
    """A data folder of the test's own, in which its marks are kept."""
    set_environment(DULY_DATA_DIR=str(tmp_path / "data"))


@pytest.fixture
def clock_stands() -> Iterator[None]:
    """It is an hour after the messages of the stage were made."""
    with freeze_time(datetime.fromtimestamp(NOW, UTC)):
        yield


@pytest.fixture
def dumped(database_url: str, tmp_path: Path) -> Callable[[], Dump]:
    """``dumped()``: a dump of the test's database, made while it may send."""

    def dump() -> Dump:
        assert may_send()
        return Dump(database_url, tmp_path / "dump")

    return dump


@pytest.fixture
def lost(dumped: Callable[[], Dump]) -> Lost:
    """``with lost(): …``: what happens in the block, the database forgets; it is held afterwards."""

    @contextmanager
    def forgotten() -> Iterator[None]:
        dump = dumped()
        yield
        dump.load()
        assert not may_send()

    return forgotten
