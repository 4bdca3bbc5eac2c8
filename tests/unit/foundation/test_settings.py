from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from scheduler import settings as module
from scheduler.errors import SettingsInvalid
from scheduler.settings import command_line, describe, example, get_settings, stated

SetEnvironment = Callable[..., None]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"DULY_CLOCK_RATTE": "60"}, "did you mean DULY_CLOCK_RATE"),
        ({"DULY_QUITE_ELSE": "1"}, "DULY_QUITE_ELSE in the environment is not a setting"),
        ({"DULY_PORT": "eighty"}, "DULY_PORT: "),
        ({"DULY_PORT": "70000"}, "DULY_PORT: "),
        ({"DULY_DATABASE_URL": "mysql://x"}, "DULY_DATABASE_URL: must be a PostgreSQL address"),
        ({"DULY_REDIS_URL": "http://x"}, "DULY_REDIS_URL: must be a Redis address"),
        ({"DULY_GRAPH_VERSION": "26"}, "DULY_GRAPH_VERSION: "),
        ({"DULY_ENCRYPTION_KEY": "short"}, "DULY_ENCRYPTION_KEY: must be Fernet keys"),
        ({"DULY_CLOCK_RATE": "60"}, "DULY_CLOCK_START, DULY_CLOCK_ORIGIN must be set too"),
        ({"DULY_CLOCK_START": "2026-03-28T08:00:00"}, "DULY_CLOCK_START: "),  # which zone?
        ({"DULY_ENV": "production"}, "DULY_ENCRYPTION_KEY must be set in production"),
        ({"DULY_DEFAULT_PAGE_RATE": "41"}, "DULY_DEFAULT_PAGE_RATE: "),  # over it a page's inbox freezes
    ],
)
def test_a_value_that_cannot_be_used_stops_the_start_by_name(
    given: dict[str, str], words: str, set_environment: SetEnvironment
) -> None:
    set_environment(**given)
    with pytest.raises(SettingsInvalid, match=words):
        get_settings()


def test_an_error_never_shows_a_secret_value(set_environment: SetEnvironment) -> None:
    set_environment(DULY_DATABASE_URL="mysql://root:hunter2@db/x", DULY_ENCRYPTION_KEY="hunter2")
    with pytest.raises(SettingsInvalid) as caught:
        get_settings()
    assert "hunter2" not in str(caught.value)


def test_a_virtual_clock_is_refused_in_production(set_environment: SetEnvironment) -> None:
    set_environment(
        DULY_ENV="production",
        DULY_ENCRYPTION_KEY=Fernet.generate_key().decode(),
        DULY_CLOCK_START="2026-03-28T08:00:00Z",
        DULY_CLOCK_RATE="60",
        DULY_CLOCK_ORIGIN="1",
    )
    with pytest.raises(SettingsInvalid, match="refused in production"):
        get_settings()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "ENV_FILE", Path(".env"))
    monkeypatch.setattr(module, "_command_line", {})
    monkeypatch.delenv("DULY_DATA_DIR")
    return tmp_path


def test_sources_win_in_their_order(folder: Path, set_environment: SetEnvironment) -> None:
    data_dir = folder / ".duly"
    data_dir.mkdir()
    note = {"environment": {"DULY_PORT": "1", "DULY_HOST": "a", "DULY_LOG_LEVEL": "error", "DULY_SEND_GUARD": "1"}}
    (data_dir / "stack.json").write_text(json.dumps(note))
    (folder / ".env").write_text("DULY_PORT=2\nDULY_HOST=b\nDULY_LOG_LEVEL=warning\nPOSTGRES_PASSWORD=not-ours\n")
    set_environment(DULY_PORT="3", DULY_HOST="c")
    with (data_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command_line(port=4, host=None)
        settings = get_settings()
        rows = {name: (value, source) for name, value, source in describe(settings)}
        assert rows["DULY_PORT"] == ("4", "command line")
        assert rows["DULY_HOST"] == ("c", "environment")
        assert rows["DULY_LOG_LEVEL"] == ("warning", ".env")
        assert rows["DULY_SEND_GUARD"] == ("1.0", "running stack")
        assert rows["DULY_GRAPH_VERSION"] == ("v26.0", "default")
        assert stated("port") == "4"
        assert stated("send_guard") is None


def test_the_note_of_a_stack_that_is_gone_is_not_believed(folder: Path) -> None:
    data_dir = folder / ".duly"
    data_dir.mkdir()
    (data_dir / "lock").touch()
    (data_dir / "stack.json").write_text(json.dumps({"environment": {"DULY_PORT": "1"}}))
    assert get_settings().port == 8000


def test_an_unknown_name_in_the_env_file_stops_the_start(folder: Path) -> None:
    (folder / ".env").write_text("DULY_PROT=2\n")
    with pytest.raises(SettingsInvalid, match=r"DULY_PROT in \.env is not a setting, did you mean DULY_PORT"):
        get_settings()


def test_secrets_are_masked_when_settings_are_shown(set_environment: SetEnvironment) -> None:
    set_environment(DULY_DATABASE_URL="postgresql://duly:hunter2@db/x", DULY_REDIS_URL="redis://:hunter2@r/0")
    settings = get_settings()
    assert "hunter2" not in str(describe(settings))
    assert "hunter2" not in repr(settings)


def test_every_field_that_holds_a_secret_is_listed_as_one() -> None:
    typed = {name for name, field in module.Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert typed == module.Settings.secret_fields


def test_the_example_file_is_the_generated_one(pytestconfig: pytest.Config) -> None:
    written = (pytestconfig.rootpath / ".env.example").read_text()
    assert written == example(), "write it anew: duly config example > .env.example"
