"""Standard output that may be closed by whoever reads it: `duly policy test | head -1`.

A command's exit code says what it found or did, so a closed pipe must change neither: the rest of the output is thrown
away, and the command runs to its end.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from scheduler.errors import Unavailable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_closed = False


class _Pipe(io.FileIO):
    """A standard stream that takes and drops everything once nobody reads it any more."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or drop what nobody reads."""
        global _closed
        try:
            return super().write(data)
        except BrokenPipeError:
            _closed = True
            self._turn_away()
            return memoryview(data).nbytes
        except OSError as error:
            self._turn_away()
            raise Unavailable(f"the output cannot be written: {error.strerror}") from error

    def _turn_away(self) -> None:
        # The descriptor itself, so that processes started from here do not fail on it either.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def outlive_readers() -> None:
    """Make the process's standard output and error such streams. Those that a test put in their place stay."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue
        stream.flush()
        made = io.TextIOWrapper(
            io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False)), encoding=stream.encoding,
            errors=stream.errors, line_buffering=stream.line_buffering,
        )  # fmt: skip
        setattr(sys, name, made)


def nobody_reads() -> bool:
    """Whether a reader has closed standard output or error: a command without an end of its own may then stop."""
    return _closed
