"""Which pages have something due in a lane, and for which of them to ask for rate tokens next."""

from __future__ import annotations

from sqlmodel import Session

from scheduler.store.driver import rows
from workers.directory import Directory
from workers.follow_up import Pages
from workers.send_api.throttle import Reserved, burst

#: Real seconds for which what was seen is good enough. (A page's tokens that find nothing due are given back.)
_FRESH = 0.1
#: For so many times the messages that there is room for, tokens are asked for: some pages have fewer due than tokens.
_ENOUGH = 2

#: The pages with something due, the earliest deadline first: a look at the head of each page's index.
_WANTING = """
    SELECT p.id FROM page p CROSS JOIN LATERAL (
        SELECT m.deadline FROM message m WHERE m.page_id = p.id AND m.lane = %(lane)s AND m.state = 'due'
        ORDER BY m.deadline, m.id LIMIT 1
    ) first
    ORDER BY first.deadline, p.id
"""


class Wanting:
    """One lane, as one run of the deliver task sees it."""

    def __init__(self, lane: str, directory: Directory, pages: Pages) -> None:
        self._lane = lane
        self._directory = directory
        self._pages = pages
        #: The pages that had something due when it was last looked, the earliest deadline first.
        self.pages: list[int] = []
        #: Those that have nothing due any more, which has not been told yet.
        self._content: set[int] = set()
        self._looked_at = float("-inf")
        #: Page id → when a page whose bucket was empty has its next token, ``time.monotonic()``.
        self._dry: dict[int, float] = {}

    def fresh(self, present: float) -> bool:
        """Whether it was looked a moment ago."""
        return present - self._looked_at < _FRESH

    def look_again(self) -> None:
        """What was seen does not hold any more."""
        self._looked_at = float("-inf")

    def forget(self) -> None:
        """Nobody knows any more who wants something."""
        self.pages = []
        self.look_again()

    def look(self, session: Session, room: int, most: int, present: float) -> dict[int, tuple[int, int]]:
        """What to ask for, as ``Throttle.reserve`` takes it, where there is room for ``room`` and ``most`` a page."""
        if not self.fresh(present) or not self.pages:
            self._read(session, present)
        directory = self._directory
        # A page that wants no more says so once: until then the other lane leaves it its share.
        content = [page for page in self._content if directory.knows(page)]
        wants = {page: (directory.rate(page), 0) for page in self._pages.open(content, present)}
        self._content.clear()
        expected = 0.0
        for page in self._pages.open(self.pages, present):
            if expected >= _ENOUGH * room:
                break
            if not directory.knows(page) or self._dry.get(page, 0.0) > present:
                continue
            rate = directory.rate(page)
            wants[page] = (rate, most)
            expected += min(most, burst(rate))
        return wants

    def _read(self, session: Session, present: float) -> None:
        found = [page for (page,) in rows(session, _WANTING, {"lane": self._lane})]
        self._content = set(self.pages).difference(found)
        self.pages = [page for page in found if self._directory.knows(page)]
        self._looked_at = present

    def answered(self, wants: dict[int, tuple[int, int]], reserved: Reserved, present: float) -> None:
        """What was granted at ``present``: pages that are shut, or have no token yet, are not asked again before."""
        # Nobody asks for them again before that: what is due there waits without being looked at.
        self._pages.shut(reserved.shut, present)
        for page, (rate, count) in wants.items():
            if count and not reserved.granted.get(page):
                # Two are worth a batch more than one.
                self._dry[page] = present + min(0.1, 2.0 / rate)
