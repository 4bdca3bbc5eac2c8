"""What every test may ask for: real servers, a migrated database of its own, settings that leak nowhere."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import freezegun
import hypothesis
import psycopg
import pytest
import redis
from psycopg import sql
from sqlmodel import Session

from scheduler import settings as settings_module
from scheduler.lineage.start import keep_marks
from scheduler.logs import complaints
from scheduler.settings import get_settings
from scheduler.store import database, migrate
from scheduler.store.embedded import Servers
from tests.patience import patience, slowness, wait_until

# Clocks of machines keep ticking while the business clock is frozen.
freezegun.configure(  # type: ignore[attr-defined]  # freezegun does not list it in its types
    extend_ignore_list=[
        "psycopg", "psycopg_pool", "redis", "urllib3", "requests", "kombu", "celery", "billiard", "sqlalchemy",
        "asyncio", "anyio", "starlette", "uvicorn", "httpx2", "httpcore2", "hypothesis", "scheduler.store.process",
    ]
)  # fmt: skip

hypothesis.settings.register_profile("duly", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, print_blob=True, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "duly"))

_numbers = itertools.count(1)

#: Bytes that are free in memory before servers are put there; they take some hundred megabytes.
_ROOM = 4 << 30

#: What takes longest goes first: several processes that share the files then end at the same time.
_LONG = (
    "acceptance/test_the_main_job.py", "integration/test_sender_and_sandbox.py",
    "integration/lineage/test_the_restore_guide.py", "integration/test_operations_stack.py",
    "integration/test_worker.py", "properties/test_engine_against_naive.py",
    "chaos/crash_points/test_crash_points.py", "integration/test_supervisor_stack.py",
    "acceptance/test_the_api_guide.py", "integration/test_delivery_sandbox.py", "integration/test_servers.py",
    "integration/test_outbox_any_order.py",
)  # fmt: skip


def pytest_configure() -> None:
    """Look once how slow this machine is, before the run is shared out; keep marks as every process does."""
    slowness()
    keep_marks()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the long files to the front, the others stay in their order; give each test the time it may need here."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
    for item in items:
        marked = item.get_closest_marker("timeout")
        seconds = marked.args[0] if marked is not None else float(item.config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(patience(seconds)), append=False)


@pytest.fixture(scope="session", autouse=True)
def _nobody_elses_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests read no ``.env``, no running stack, no variable of the developer's; they have their own data folder."""
    patch = pytest.MonkeyPatch()
    patch.setattr(settings_module, "ENV_FILE", None)
    for name in [name for name in os.environ if name.upper().startswith("DULY_")]:
        patch.delenv(name)
    data_dir = tmp_path_factory.mktemp("duly") / "data"
    patch.setenv("DULY_DATA_DIR", str(data_dir))
    yield data_dir
    patch.undo()


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    """What a test sets is read by it and forgotten after it; what another complained of is told again."""
    get_settings.cache_clear()
    complaints.forget()
    yield
    get_settings.cache_clear()


@pytest.fixture
def set_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``set_environment(DULY_SEND_GUARD="0")``: set variables (None unsets) and let the settings be read anew."""

    def set_them(**values: str | None) -> None:
        for name, value in values.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        get_settings.cache_clear()

    return set_them


@pytest.fixture(scope="session")
def servers(_nobody_elses_settings: Path) -> Iterator[Servers]:
    """PostgreSQL and Redis, started once for all tests, by the code that ``duly up`` uses."""
    with (
        _quick_folder(_nobody_elses_settings) as folder,
        Servers(folder, durable=False, throwaway=True) as started,
    ):
        yield started


@contextmanager
def _quick_folder(otherwise: Path) -> Iterator[Path]:
    """A folder in memory where there is room: a thousand databases are made and dropped, each of a thousand files."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < _ROOM:
        yield otherwise
        return
    for left in memory.glob("duly-tests-*"):
        # Of a run that was killed.
        if not Path(f"/proc/{left.name.rpartition('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = memory / f"duly-tests-{os.getpid()}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _template(servers: Servers) -> str:
    """The name of a migrated, empty database that each test's is copied from."""
    _execute(servers, sql.SQL("CREATE DATABASE duly_template"))
    migrate.upgrade(servers.postgres.url_of("duly_template"))
    return "duly_template"


@pytest.fixture
def new_database(servers: Servers, _template: str) -> Iterator[Callable[[], str]]:
    """``new_database()``: the address of another migrated, empty database, gone after the test."""
    made: list[str] = []

    def make() -> str:
        name = f"test_{next(_numbers)}"
        # Copying files costs a third of what copying through the log does.
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        _execute(servers, copy.format(sql.Identifier(name), sql.Identifier(_template)))
        made.append(name)
        return servers.postgres.url_of(name)

    yield make
    for name in made:
        _execute(servers, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(new_database: Callable[[], str], set_environment: Callable[..., None]) -> Iterator[str]:
    """A migrated database of this test's own, and the setting that points to it."""
    url = new_database()
    set_environment(DULY_DATABASE_URL=url)
    yield url
    database.dispose()


@pytest.fixture
def redis_url(servers: Servers, set_environment: Callable[..., None]) -> str:
    """An empty Redis, and the setting that points to it."""
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
    set_environment(DULY_REDIS_URL=servers.redis_url)
    return servers.redis_url


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A session on this test's database; the test commits what others must see."""
    with Session(database.engine(), expire_on_commit=False) as opened:
        yield opened
        # A web application of the test's closed the pools when it ended: what is checked out goes back to none.
        opened.invalidate()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """``eventually(condition, seconds=10)``: wait until it is true; fail when it is not in time (``patience``)."""

    def wait(condition: Callable[[], bool], *, seconds: float = 10.0, what: str = "it") -> None:
        if not wait_until(condition, seconds=seconds):
            pytest.fail(f"{what} did not happen within {patience(seconds):.0f} s")

    return wait


def _execute(servers: Servers, statement: sql.Composable) -> None:
    with psycopg.connect(servers.postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(statement)
