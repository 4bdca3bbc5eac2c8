"""Which pages there are, kept in the process for a moment: nearly every webhook is of one that was just looked up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Set

#: Real seconds. Pages are never deleted and never change their app: what is found stays true.
_FRESH = 1.0


class KnownPages:
    """Pages that were found: (the app whose secret signs their webhooks, platform id) → page id."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        """``seconds``: a clock that only runs forward."""
        self._seconds = seconds
        self._found: Mapping[tuple[int, str], int] = {}
        self._until = float("-inf")

    def all_of(self, named: Set[tuple[int, str]]) -> Mapping[tuple[int, str], int] | None:
        """Those that are named and more; None where one of them has to be looked up."""
        found = self._found
        return found if self._seconds() < self._until and found.keys() >= named else None

    def keep(self, found: Mapping[tuple[int, str], int]) -> None:
        """These were just read, by a transaction that has them from others."""
        present = self._seconds()
        self._found = {**self._found, **found} if present < self._until else found
        if present >= self._until:
            self._until = present + _FRESH
