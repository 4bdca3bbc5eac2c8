"""Marks outside the database: what was begun, how it ended, what people chose. Files are only ever added to.

A database that is restored from a dump does not know what happened after it. These files do: ``scheduler/lineage``
holds the database against them. They name contacts by number and by keyed hash alone, and the team as the audit log
does; they hold no word of anybody.

A file belongs to one living process at a time, which holds a lock on it. When that ends, the next one of the same day
goes on with it: there are as many files a day as processes lived at once, not one for each command.

Lines are JSON: the head (whose marks these are), ``begun``, ``ended``, ``chosen``, ``acts``, ``least`` (how far tables
had been numbered). A line that a dying machine wrote by half is passed over: what it names had not left.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

#: Bytes after which another file is begun, so that old marks can be deleted by the file.
_LARGE = 8 << 20
#: Bytes from the end in which the last line with attempts is looked for first.
_TAIL = 256 << 10
#: Bytes in which a head fits.
_LONGEST_HEAD = 4 << 10
_ENDING = ".jsonl"
#: Until when marks were deleted for their age, epoch seconds.
_PRUNED = "pruned"
_SITE = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Whose marks a file holds: of which lineage and generation of a database, and where that database was."""

    lineage: str
    generation: str
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastMark:
    """The last attempts that a file names, and how far tables had been numbered."""

    path: Path
    head: Head
    #: Attempt → message.
    begun: dict[int, int]
    #: Table → the highest number that it had given away.
    least: dict[str, int]
    at: int


class Journal:
    """The file that this process adds to. Threads may share it; a forked child opens its own."""

    def __init__(self, folder: Path) -> None:
        """Nothing is opened yet."""
        self._folder = folder
        self._lock = threading.Lock()
        self._file = -1
        self._pid = 0
        self._size = 0
        self._head: Head | None = None
        #: Table → the highest number that the file says it had given away: a later line never says less.
        self._least: dict[str, int] = {}
        self.name = ""

    def open(self, head: Head, day: int) -> None:
        """Have a file for the marks of ``head``: one of ``day`` (since 1970) that a process left, or a new one.

        Raises OSError where the folder cannot be written.
        """
        with self._lock:
            if self._file < 0 or head != self._head or self._pid != os.getpid() or self._size > _LARGE:
                self._begin(head, day)

    def begun(self, rows: Sequence[Sequence[Any]], at: int) -> None:
        """Add attempts that are about to be posted; they are on the disk when this returns. Raises OSError."""
        with self._lock:
            self._write({"at": at, "begun": rows})
            os.fdatasync(self._file)

    def add(self, kind: str, rows: Sequence[Sequence[Any]], at: int, *, safely: bool) -> None:
        """Add other marks; ``safely``: they are on the disk when this returns. Raises OSError."""
        with self._lock:
            if kind == "least":
                # Of a database that went back in time this process sees less than the one before it saw.
                for table, number in rows:
                    self._least[table] = max(int(number), self._least.get(table, 0))
                rows = [[table, self._least[table]] for table, _ in rows]
            self._write({"at": at, kind: rows})
            if safely:
                os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _begin(self, head: Head, day: int) -> None:
        self._close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._pid, self._head = os.getpid(), head
        if not any(self._take_over(path, head) for path in sorted(self._folder.glob(f"{day}-*{_ENDING}"))):
            path = self._folder / f"{day}-{os.urandom(8).hex()}{_ENDING}"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o600)
            self._size, self._least, self.name = 0, {}, path.stem
            # Where files cannot be locked, none is ever taken over.
            _lock(self._file)
            self._write({"head": [head.lineage, head.generation, head.home]})
        os.fsync(self._file)
        # The name, too, must be there after a power cut.
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _take_over(self, path: Path, head: Head) -> bool:
        """Go on with the file at ``path``, unless it is another's: of another head, full, or of a living process."""
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError:
            # Just deleted, or of another user.
            return False
        # The head is written under the lock: a file that has one is not just being made.
        ours = _head(os.pread(file, _LONGEST_HEAD, 0).partition(b"\n")[0]) == head and _lock(file)
        now = os.fstat(file)
        if not ours or now.st_size > _LARGE or now.st_nlink == 0:
            os.close(file)
            return False
        last = _last_mark(path)
        self._file, self._size, self.name = file, now.st_size, path.stem
        self._least = dict(last.least) if last is not None else {}
        if os.pread(file, 1, now.st_size - 1) != b"\n":
            # What its process wrote by half when it died ends here; the next line stands for itself.
            self._put(b"\n")
        return True

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file < 0 or self._pid != os.getpid():
            raise OSError("the journal is not open")
        self._put(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def _put(self, written: bytes) -> None:
        done = 0
        try:
            done = os.write(self._file, written)
        finally:
            self._size += done
            if done != len(written):
                # Whoever opens it again ends the line that may be there by half.
                self._close()
        if done != len(written):
            raise OSError("the journal could not be written")

    def _close(self) -> None:
        if self._file >= 0:
            # A forked child's copy, too: as long as it is open, the file is locked.
            os.close(self._file)
            self._file = -1


def last_marks(folder: Path) -> list[LastMark]:
    """The last of each file in ``folder``; files with nothing to hold a database against are left out."""
    return [mark for path in _files(folder) if (mark := _last_mark(path)) is not None]


def size_of(folder: Path) -> int:
    """How many bytes of marks there are: it changes with every mark that is added or deleted."""
    found = 0
    for path in _files(folder):
        with suppress(OSError):
            found += path.stat().st_size
    return found


def _last_mark(path: Path) -> LastMark | None:
    try:
        return _read_last(path, path.stat().st_size)
    except OSError:
        return None


@lru_cache(maxsize=10_000)
def _read_last(path: Path, size: int) -> LastMark | None:
    """The last mark of a file of that size: it is read again only when something was added."""
    with path.open("rb") as file:
        head = _head(file.readline())
        if head is None:
            return None
        start = file.tell()
        file.seek(max(start, size - _TAIL))
        found = _last_of(path, head, file.read())
        if size - _TAIL > start and not (found.begun and found.least):
            # A process that sends may have left it to others, which only note choices.
            file.seek(start)
            found = _last_of(path, head, file.read())
    return found if found.begun or found.least else None


def _last_of(path: Path, head: Head, written: bytes) -> LastMark:
    begun: dict[int, int] = {}
    least: dict[str, int] = {}
    at = 0
    for line in reversed(written.splitlines()):
        if b'"begun"' in line or b'"least"' in line or not at:
            mark = _line(line)
            if mark.get("begun") and not begun:
                begun = {int(row[0]): int(row[1]) for row in mark["begun"]}
            if mark.get("least") and not least:
                least = {str(table): int(value) for table, value in mark["least"]}
            at = max(at, int(mark.get("at", 0)))
        if begun and least:
            break
    return LastMark(path=path, head=head, begun=begun, least=least, at=at)


def read(folder: Path) -> Iterator[tuple[Head, str, list[list[Any]], int]]:
    """Everything in ``folder``: (whose, ``begun`` | ``ended`` | ``chosen`` | ``acts`` | ``least``, its rows, when)."""
    for path in _files(folder):
        with suppress(OSError), path.open("rb") as file:
            head = _head(file.readline())
            if head is None:
                continue
            for line in file:
                mark = _line(line)
                at = int(mark.pop("at", 0))
                for kind, rows in mark.items():
                    yield head, kind, rows, at


def site_of(folder: Path) -> str:
    """The name of the place where these marks are kept, made on first use. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _SITE
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = file.read().strip()
        if not known:
            known = os.urandom(8).hex()
            file.write(known)
            file.flush()
            os.fsync(file.fileno())
    return known


def prune(folder: Path, older_than: float) -> int:
    """Delete the files that nobody has written to since ``older_than`` (Unix time), nor may still; how many."""
    gone, until = 0, pruned_until(folder)
    for path in _files(folder):
        with suppress(OSError):
            if path.stat().st_mtime < older_than:
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    mark = _last_mark(path)
                    until = max(until, mark.at if mark is not None else 0)
                    path.unlink()
                gone += 1
    if gone:
        draft = folder / f"{_PRUNED}.{os.getpid()}"
        draft.write_text(str(until))
        draft.replace(folder / _PRUNED)
    return gone


def pruned_until(folder: Path) -> int:
    """The newest instant of which marks were deleted for their age, epoch seconds; 0: none were."""
    try:
        return int((folder / _PRUNED).read_text())
    except (OSError, ValueError):
        return 0


def _lock(file: int) -> bool:
    """Lock a file for this process; False where another has it, or files cannot be locked here."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_ENDING}"))


def _head(line: bytes) -> Head | None:
    given = _line(line).get("head")
    if not isinstance(given, list) or len(given) != 3:
        return None
    return Head(lineage=str(given[0]), generation=str(given[1]), home=str(given[2]))


def _line(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
