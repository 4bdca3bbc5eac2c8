"""What a process does beside each commit that noted something for outside the database: see ``outside.py``.

The store lies below the rooms, so it cannot import who does it. Each process registers that when it starts
(``scheduler/lineage/start.py``). This module is light: ``duly --help`` loads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmodel import Session

#: Called just before the commit; what it returns is called after it.
Hook = Callable[["Session"], Callable[[], None]]

_registered: list[Hook] = []


def register(hook: Hook) -> None:
    """Have ``hook`` called for every later transaction of this process that noted something."""
    _registered[:] = [hook]


def registered() -> Hook:
    """The hook of this process. Raises RuntimeError, before anything is committed, where none was registered."""
    if not _registered:
        raise RuntimeError(
            "this transaction notes something for outside the database, and nothing in this process would write it: "
            "call scheduler.lineage.start.keep_marks() when the process starts"
        )
    return _registered[0]
