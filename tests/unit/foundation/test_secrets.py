from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from scheduler.errors import Invalid, Unavailable
from scheduler.store import secrets

SetEnvironment = Callable[..., None]


@pytest.fixture
def data_dir(tmp_path: Path, set_environment: SetEnvironment) -> Path:
    set_environment(DULY_DATA_DIR=str(tmp_path / "data"))
    return tmp_path / "data"


def _key() -> str:
    return Fernet.generate_key().decode()


@pytest.mark.usefixtures("data_dir")
def test_what_is_sealed_is_not_there_and_comes_back() -> None:
    sealed = secrets.seal("EAAtoken")
    assert b"EAAtoken" not in sealed
    assert secrets.unseal(sealed) == b"EAAtoken"
    assert secrets.unseal_text(memoryview(sealed)) == "EAAtoken"


def test_the_local_key_is_its_owners_alone_and_made_once(data_dir: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda _: secrets.seal(b"x"), range(16)))
    assert {secrets.unseal(one) for one in sealed} == {b"x"}
    key_file = data_dir / secrets.KEY_FILE
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert [path.name for path in data_dir.iterdir()] == [secrets.KEY_FILE]


def test_a_spoilt_key_file_is_named(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / secrets.KEY_FILE).write_text("spoilt")
    with pytest.raises(Invalid, match=secrets.KEY_FILE):
        secrets.seal(b"x")


def test_a_new_first_key_seals_and_the_old_one_still_unseals(set_environment: SetEnvironment) -> None:
    old, new = _key(), _key()
    set_environment(DULY_ENCRYPTION_KEY=old)
    sealed = secrets.seal(b"x")
    set_environment(DULY_ENCRYPTION_KEY=f"{new}, {old}")
    assert secrets.unseal(sealed) == b"x"
    assert Fernet(new).decrypt(secrets.seal(b"y")) == b"y"


def test_without_the_key_it_says_so(set_environment: SetEnvironment) -> None:
    set_environment(DULY_ENCRYPTION_KEY=_key())
    sealed = secrets.seal(b"x")
    set_environment(DULY_ENCRYPTION_KEY=_key())
    with pytest.raises(Unavailable, match="DULY_ENCRYPTION_KEY"):
        secrets.unseal(sealed)
