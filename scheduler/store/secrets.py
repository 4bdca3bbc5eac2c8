"""Seals what must not lie in the clear: page tokens, app secrets, verify tokens.

Fernet (AES-128-CBC with HMAC-SHA-256) with several keys: the first seals, all unseal, so a key can be changed.
"""

from __future__ import annotations

import hmac
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from scheduler.errors import Invalid, Unavailable
from scheduler.settings import get_settings, split_keys

KEY_FILE = "encryption.key"


def seal(clear: bytes | str) -> bytes:
    """``clear`` sealed with the first key."""
    return _keys().encrypt(clear.encode() if isinstance(clear, str) else clear)


def unseal(sealed: bytes) -> bytes:
    """What was sealed. Raises Unavailable when none of the keys fits."""
    try:
        return _keys().decrypt(bytes(sealed))
    except InvalidToken:
        raise Unavailable(
            "a stored secret was sealed with a key that is not here",
            way_out="add that key to DULY_ENCRYPTION_KEY, or store the secret again",
        ) from None


def unseal_text(sealed: bytes) -> str:
    """What was sealed, as text."""
    return unseal(sealed).decode()


def derived_keys(purpose: str) -> list[bytes]:
    """A 32-byte key for ``purpose`` from each encryption key, the sealing one first: it signs, all verify."""
    return [hmac.digest(key.encode(), purpose.encode(), "sha256") for key in key_texts()]


def new_key() -> str:
    """A new key for DULY_ENCRYPTION_KEY."""
    return Fernet.generate_key().decode()


def _keys() -> MultiFernet:
    return _fernet(tuple(key_texts()))


def key_texts() -> list[str]:
    """The encryption keys of this process, the sealing one first. Never log or show them."""
    settings = get_settings()
    return split_keys(settings.encryption_key) or [_local_key(settings.data_dir)]


@lru_cache(maxsize=8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


@lru_cache(maxsize=8)
def _local_key(data_dir: Path) -> str:
    """The development key of this data folder, made on first use, readable by its owner alone."""
    path = data_dir / KEY_FILE
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two processes or threads may get here at once. Each writes a whole file of its own and links it to the name;
    # the link of the second fails, and both read the first's.
    if not path.exists():
        with NamedTemporaryFile("w", dir=data_dir, prefix=KEY_FILE) as draft:  # mode 0600
            draft.write(new_key())
            draft.flush()
            with suppress(FileExistsError):
                os.link(draft.name, path)
    key = path.read_text().strip()
    try:
        Fernet(key)
    except ValueError:
        raise Invalid(f"`{path}` does not hold a key", way_out="put the key back, or set DULY_ENCRYPTION_KEY") from None
    return key
