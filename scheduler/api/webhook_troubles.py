"""Counts what is wrong with webhooks in this process, and writes it down twice a second at most.

Anybody may send what nobody signed. So a refusal costs a few microseconds here, however many there are: whose page it
was is looked for later, in a sample of the bodies, and a flood is written down as a handful of rows.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from scheduler.api import web_clock
from scheduler.api.webhook_aside import Aside
from scheduler.inbox.troubles import NO_PAGE, note_troubles
from scheduler.logs import complain, get_logger
from scheduler.pages.registry import page_ids
from scheduler.store import database

_log = get_logger(__name__)

#: Real seconds between two writes.
_PAUSE = 0.5
#: Bodies of a reason that are looked through for a page at each write, and how far into each.
_SAMPLE = 20
_LOOKED_AT = 256 * 1024
#: Pages that one body counts for: an entry, its recipients.
_PAGES_OF_A_BODY = 20
_ID = re.compile(rb'"id"\s*:\s*"?([0-9A-Za-z_.-]{1,128})')


@dataclass(slots=True)
class Counted:
    """What was counted since it was last written down."""

    #: (page id, reason) → how many events nothing followed from.
    events: Counter[tuple[int, str]] = field(default_factory=Counter)
    #: Reason → how many were refused, and some of their bodies.
    refused: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, list[bytes]] = field(default_factory=dict)


class Troubles(Aside[Counted]):
    """What is wrong with webhooks, until it is written down."""

    def __init__(self) -> None:
        super().__init__("webhook-troubles", _PAUSE)
        self._counted = Counted()

    def refused(self, reason: str, body: bytes = b"") -> None:
        """A webhook was refused; ``body`` is what was read of it. Waits for nothing."""
        with self._turn:
            self._counted.refused[reason] += 1
            bodies = self._counted.bodies.setdefault(reason, [])
            if len(bodies) < _SAMPLE:
                bodies.append(body[:_LOOKED_AT])
            elif (place := random.randrange(self._counted.refused[reason])) < _SAMPLE:
                # Each has the same chance to be among those: nobody can crowd the others out.
                bodies[place] = body[:_LOOKED_AT]
            self._wake()

    def count(self, found: Iterable[tuple[int, str]]) -> None:
        """(page id, reason) of events from which nothing followed. Waits for nothing."""
        with self._turn:
            self._counted.events.update(found)
            self._wake()

    def _take(self) -> Counted | None:
        if not (self._counted.events or self._counted.refused):
            return None
        taken, self._counted = self._counted, Counted()
        return taken

    def _do(self, work: Counted) -> bool:
        try:
            _write(work)
        except Exception as error:  # whatever it is: it is counted, and this thread goes on
            complain(_log, "webhook_troubles_not_counted", "", error=type(error).__name__)
            with self._turn:
                # For later. What was refused has lost its bodies; that it was, counts all the same.
                self._counted.events.update(work.events)
                self._counted.events.update({(NO_PAGE, reason): many for reason, many in work.refused.items()})
            return False
        return True


def _write(found: Counted) -> None:
    named = {reason: [_ids(body) for body in some] for reason, some in found.bodies.items()}
    counted = found.events.copy()
    with database.session("health") as session:
        known = page_ids(session, set().union(*(ids for some in named.values() for ids in some)))
        for reason, many in found.refused.items():
            pages_of = [{known[name] for name in ids if name in known} for ids in named.get(reason, ())]
            counted.update((page, reason) for pages in pages_of for page in pages)
            counted[NO_PAGE, reason] += many - sum(bool(pages) for pages in pages_of)
        note_troubles(session, +counted, web_clock.present())


def _ids(body: bytes) -> set[str]:
    """What may be a page's id in a body that nobody vouches for: it is read for nothing else."""
    found: set[str] = set()
    for match in _ID.finditer(body):
        found.add(match.group(1).decode())
        if len(found) >= _PAGES_OF_A_BODY:
            break
    return found
