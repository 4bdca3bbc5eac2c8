"""What answers say about their pages: breakers, throttles, limits that are near; and which pages are shut therefore."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import redis

from scheduler.logs import get_logger
from workers.directory import Directory
from workers.posting import NO_MARK, TOO_OLD, Finished
from workers.send_api.answers import Answer
from workers.send_api.client import NO_MEANS
from workers.send_api.throttle import Throttle

_log = get_logger(__name__)

#: The code of a throttle that is the app's, and the reasons that say nothing about the platform.
_APP_LIMIT = 4
NOBODYS_FAULT = frozenset({TOO_OLD, "rate_spent", "rate_unknown", "worker_error", NO_MARK, NO_MEANS})


class Pages:
    """The pages as one run of the deliver task knows them: which of them are shut, and until when."""

    def __init__(self, throttle: Throttle, directory: Directory, *, unknown: float) -> None:
        """A page that somebody else shut, nobody knows until when, is shut for ``unknown`` real seconds here."""
        self._throttle = throttle
        self._directory = directory
        self._unknown = unknown
        #: Page id → until when, ``time.monotonic()``. Written by the thread that begins and by the one that settles.
        self._shut: dict[int, float] = {}

    def open(self, pages: Iterable[int], present: float) -> list[int]:
        """Those of the pages that are not known to be shut."""
        return [page for page in pages if self._shut.get(page, 0.0) <= present]

    def shut(self, pages: Mapping[int, float], present: float) -> None:
        """These are shut for so many real seconds: what is due there waits without being looked at."""
        for page, seconds in pages.items():
            self._shut[page] = present + seconds

    def heed(self, finished: Sequence[Finished]) -> None:
        """Tell the breakers how these ended, and shut or open pages accordingly."""
        letters: dict[int, str] = {}
        try:
            for each in finished:
                page, answer = each.begun.page_id, each.answer
                letters[page] = letters.get(page, "") + _letter(each)
                if answer.effect == "throttle" or answer.usage.near:
                    self._pause(page, answer)
                elif answer.result == "sent" and self._shut.pop(page, None) is not None:
                    self._throttle.reopen(page)
            for page, seconds in self._throttle.report(letters).items():
                self._shut[page] = time.monotonic() + seconds
                _log.warning("breaker_opened" if seconds else "breaker_closed", page=page, seconds=seconds)
        except redis.RedisError as error:
            _log.warning("no_rate_tokens", error=type(error).__name__)

    def _pause(self, page: int, answer: Answer) -> None:
        """Heed a throttle, or the warning that one is near."""
        # A limit of the app is one of all its pages: each of them would run into it, and prolong it.
        of_app = answer.usage.of_app or (answer.effect == "throttle" and answer.code == _APP_LIMIT)
        others = self._directory.siblings(page) if of_app else ()
        pause = self._throttle.close(page, answer.wait, others=others, why=answer.reason or "near_the_limit")
        present = time.monotonic()
        for each in (page, *others):
            # Where the page was shut already, nobody knows here for how long: not worth staying for.
            if pause or each not in self._shut:
                self._shut[each] = present + (pause or self._unknown)
        if pause:
            _log.warning(
                "page_paused", page=page, others=len(others), seconds=pause, reason=answer.reason or "near_the_limit",
                code=answer.code, used=max(answer.usage.page, answer.usage.app),
            )  # fmt: skip


def _letter(finished: Finished) -> str:
    """What an attempt tells the page's breaker: see ``Throttle.report``."""
    answer = finished.answer
    if answer.kind in ("not_sent", "in_doubt"):
        letter = "n" if answer.reason in NOBODYS_FAULT else "f"
    else:
        # Whatever the platform said, it answered.
        letter = "a"
    return letter.upper() if finished.errand.probe else letter
