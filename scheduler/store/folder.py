"""Where embedded servers keep their data: under the data folder, or, as root, in a place of their own.

PostgreSQL refuses to run as root, so root starts it as ``nobody``, who could not enter a private folder. Rather than
open private parents to everybody, root's servers live under ``/var/tmp/duly-<hash of the folder>``, or in memory where
the folder is. No mode of any folder that is not ours is ever changed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

from scheduler.errors import Conflict, Unavailable

#: Unix socket addresses hold 107 bytes on Linux, 103 on macOS.
_LONGEST_SOCKET = 100

#: Where everybody may have files, on the disk and in memory.
_DISK, _MEMORY = Path("/var/tmp"), Path("/dev/shm")  # noqa: S108 - owner and kind of what is made there are checked


def as_root() -> bool:
    """Whether this process is root."""
    return os.geteuid() == 0


def unprivileged() -> tuple[int, int] | None:
    """(uid, gid) that PostgreSQL runs as: ``nobody`` when we are root, else ourselves (None)."""
    if not as_root():
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise Unavailable(
            "PostgreSQL will not run as root, and this machine has no user `nobody` to run it as",
            way_out="run Duly as another user, or set DULY_DATABASE_URL",
        ) from None
    return entry.pw_uid, entry.pw_gid


def server_root(data_dir: Path) -> Path:
    """The folder that holds the servers' data for ``data_dir``; made when missing, ours alone."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not as_root():
        return data_dir
    root = _root(data_dir)
    try:
        root.mkdir(mode=0o711)
    except FileExistsError:
        found = root.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0:
            raise Conflict(
                f"`{root}` belongs to somebody else", way_out="remove it, or set DULY_DATABASE_URL and DULY_REDIS_URL"
            ) from None
    root.chmod(0o711)  # ours: PostgreSQL's user passes through, and cannot look around
    _forget_other_life(data_dir, root)
    (root / "folder").write_text(str(data_dir.resolve()))
    _sweep(root.parent)
    return root


def socket_folder(data: Path, owner: tuple[int, int] | None) -> Path:
    """Where the socket of the server with ``data`` goes: beside its data; a temporary folder if that is too long."""
    if len(os.fsencode(data / ".s.PGSQL.5432")) <= _LONGEST_SOCKET:
        return data
    folder = Path(tempfile.gettempdir()) / f"duly-{_hash(data)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), owner[0] if owner else os.geteuid()):
        raise Conflict(
            f"`{folder}` belongs to somebody else", way_out="remove it, or set DULY_DATA_DIR to a shorter path"
        )
    if owner is not None:
        os.chown(folder, *owner)
    return folder


def reachable(path: Path) -> bool:
    """Whether everybody may read ``path`` and enter every folder above it."""
    if not path.stat().st_mode & stat.S_IROTH:
        return False
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def remove(data_dir: Path) -> None:
    """Delete the servers' data of ``data_dir`` where it lies outside of it. The servers must be stopped."""
    if as_root():
        shutil.rmtree(_root(data_dir), ignore_errors=True)


def _root(data_dir: Path) -> Path:
    return (_MEMORY if data_dir.resolve().is_relative_to(_MEMORY) else _DISK) / f"duly-{_hash(data_dir)}"


def _hash(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]


def _sweep(place: Path) -> None:
    """Delete what served folders that are gone: a deleted checkout, the temporary folder of a killed test run."""
    for root in place.glob("duly-*"):
        with suppress(OSError):
            found = root.lstat()
            served = Path((root / "folder").read_text())
            if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not served.exists():
                shutil.rmtree(root)


def _forget_other_life(data_dir: Path, root: Path) -> None:
    """Empty ``root`` when it served a folder of the same name that has since been deleted, and its key with it."""
    mark = data_dir / "instance"
    if not mark.exists():
        mark.write_text(uuid.uuid4().hex)
    there = root / "instance"
    ours = mark.read_text()
    if there.exists() and there.read_text() == ours:
        return
    for child in root.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    there.write_text(ours)
