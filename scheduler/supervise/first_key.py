"""The first API key of a local stack, kept in a file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from scheduler import clock
from scheduler.access.keys import create_key, verify_key
from scheduler.store import database

_NAME = "local"


def first_key(data_dir: Path) -> tuple[str, Path]:
    """(key, the file it is kept in): made once, and made again when the database does not know it any more."""
    path = data_dir / "api-key"
    with database.session() as session:
        if path.exists():
            kept = path.read_text().strip()
            if verify_key(session, kept) is not None:
                return kept, path
        key = create_key(session, f"{_NAME}-{os.urandom(3).hex()}", now=clock.now())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key + "\n")
    return key, path
