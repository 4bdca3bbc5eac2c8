"""An import, as far as it is to go."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.imports import registry
from scheduler.imports.applying import apply_next
from scheduler.imports.staging import stage_file
from scheduler.imports.tables import ContactImport
from scheduler.imports.validating import validate_next
from scheduler.store import database
from tests.integration.front.imports.steps import NOW, to_the_end


@pytest.fixture(autouse=True)
def _moment(set_environment: Callable[..., None]) -> None:
    """The clock stands."""
    standing = datetime.fromtimestamp(NOW, UTC).isoformat()
    set_environment(DULY_CLOCK_START=standing, DULY_CLOCK_RATE="0.000000001", DULY_CLOCK_ORIGIN="1700000000")


@pytest.fixture
def staged(page: Any) -> Callable[..., int]:
    """``staged("psid,name\\n1,Ana\\n")``: upload and validate; returns the import's id."""

    def stage(data: str | bytes, *, said: dict[str, str] | None = None, **constants: str) -> int:
        fixed = {name.replace("__", "."): value for name, value in constants.items()}
        source = io.BytesIO(data if isinstance(data, bytes) else data.encode())
        with database.session() as session:
            made = stage_file(session, page.id, source, name="people.csv", actor="tests", now=NOW)
            assert made.id is not None
            registry.map_columns(session, made.id, said=said or {}, constants=fixed)
            registry.start_validation(session, made.id)
            import_id = made.id
        to_the_end("validating", import_id, validate_next, limit=3)
        return import_id

    return stage


@pytest.fixture
def imported(staged: Callable[..., int]) -> Callable[..., ContactImport]:
    """``imported("psid,name\\n1,Ana\\n")``: the whole way; returns the import."""

    def run(data: str | bytes, *, skip_errors: bool = False, limit: int = 2, **more: Any) -> ContactImport:
        import_id = staged(data, **more)
        with database.session() as session:
            registry.start_applying(session, import_id, skip_errors=skip_errors, actor="tests", now=NOW)
        return to_the_end("applying", import_id, apply_next, limit=limit)

    return run
