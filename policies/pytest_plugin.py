"""The pytest plugin ``duly``: collects ``*.scenarios.toml``, and freezes time by the fixture ``frozen``.

``pytest -p no:duly`` turns it off. It imports nothing of Duly until there is a scenario file to read: what is imported
before pytest-cov starts would go unmeasured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from policies.scenarios.model import Scenario

_SUFFIX = ".scenarios.toml"

#: These wait and time out by the machine's clock, which keeps running while the business clock stands still.
_MACHINES = [
    "psycopg", "psycopg_pool", "redis", "urllib3", "requests", "kombu", "celery", "billiard", "sqlalchemy", "asyncio",
    "anyio", "starlette", "uvicorn", "httpx", "httpcore", "httpx2", "httpcore2", "hypothesis",
    "scheduler.store.process",
]  # fmt: skip


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario file is a file of tests."""
    if file_path.name.endswith(_SUFFIX):
        collected: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
        return collected
    return None


class ScenarioFile(pytest.File):
    """A file of scenarios: one test for each result."""

    def collect(self) -> Iterable[pytest.Item]:
        """The scenarios. The file is checked as a whole first."""
        from policies.scenarios.parse import load_scenarios
        from policies.toml_source import PolicyError

        try:
            file = load_scenarios(_nearest(self.path, self.config.invocation_params.dir))
        except PolicyError as error:
            raise self.CollectError(str(error)) from error
        for scenario in file.scenarios:
            yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)


class ScenarioItem(pytest.Item):
    """A scenario, or one combination of a matrix."""

    def __init__(self, *, scenario: Scenario, **more: Any) -> None:
        super().__init__(**more)
        self.scenario = scenario

    def runtest(self) -> None:
        """Run it. Raises UnexpectedDecision."""
        from policies.scenarios.report import failure_text
        from policies.scenarios.run import run_scenario

        result = run_scenario(self.scenario)
        if not result.passed:
            raise UnexpectedDecision(failure_text(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What ``duly policy test`` says of it."""
        if isinstance(excinfo.value, UnexpectedDecision):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands: pytest counts lines from 0."""
        return self.path, max(self.scenario.line - 1, 0), self.name


class UnexpectedDecision(AssertionError):
    """A decision is not as its scenario expects."""


class Frozen:
    """The fixture ``frozen``: called with an instant, it stops every clock of this process there."""

    def __init__(self) -> None:
        self._freezer: Any = None
        self._clock: Any = None

    def __call__(self, instant: str | datetime | int) -> Frozen:
        """Stop the clock at ``instant``, or move the stopped one there.

        ISO 8601 text or a datetime, with an offset, or epoch seconds. Raises ValueError for anything else.
        """
        moment = _moment(instant)
        if self._clock is None:
            self._freezer = _freezegun().freeze_time(moment, ignore=_MACHINES)
            self._clock = self._freezer.start()
        else:
            self._clock.move_to(moment)
        return self

    def tick(self, seconds: float | timedelta = 1) -> None:
        """Let so much time pass at once."""
        if self._clock is None:
            raise RuntimeError('time does not stand still yet: call frozen("2026-03-07T21:30-05:00") first')
        self._clock.tick(seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds))

    def release(self) -> None:
        """Let the clocks run again; the end of the test does so by itself."""
        if self._freezer is not None:
            self._freezer.stop()
        self._freezer = self._clock = None


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    """``frozen("2026-03-07T21:30-05:00")`` stops every clock until the test ends; ``frozen.tick(60)`` moves it on."""
    clock = Frozen()
    yield clock
    clock.release()


def _freezegun() -> Any:
    try:
        import freezegun
    except ImportError:
        raise pytest.UsageError("the fixture `frozen` needs freezegun: pip install freezegun") from None
    return freezegun


def _moment(instant: str | datetime | int) -> datetime:
    if isinstance(instant, int):
        return datetime.fromtimestamp(instant, UTC)
    try:
        moment = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        offset = moment.utcoffset()
    except (ValueError, AttributeError):
        raise ValueError(f"`{instant}` is not an instant; write it like 2026-03-07T21:30-05:00") from None
    if offset is None:
        raise ValueError(
            f"`{instant}` has no offset, so nobody knows when that is; write it like 2026-03-07T21:30-05:00"
        )
    return moment.astimezone(UTC)


def _nearest(path: Path, base: Path) -> Path:
    # As somebody there would name it: shorter in reports, and the same as the command line's.
    return path.relative_to(base) if path.is_relative_to(base) and Path.cwd() == base else path
