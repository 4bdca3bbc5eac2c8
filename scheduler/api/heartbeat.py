"""A web process tells every few seconds that it lives: its loop turns, its threads work, the database answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from scheduler.api import web_clock
from scheduler.api.process_name import process_name
from scheduler.errors import DulyError
from scheduler.inbox.web_processes import EVERY, tell_alive, tell_ended
from scheduler.logs import complain, get_logger
from scheduler.store import database

_log = get_logger(__name__)


class Heartbeat:
    """Tells it from its start to its end."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        #: Its own: requests may have all the others.
        self._thread = ThreadPoolExecutor(1, "heartbeat")
        self._task = asyncio.create_task(self._beat())

    async def end(self) -> None:
        """This process ends as it should."""
        # Not by cancelling: a thread that is with the database must come back from it.
        self._over.set()
        await self._task
        await self._in_thread(_ended, process_name())
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[str], None], name: str) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, name)

    async def _beat(self) -> None:
        name = process_name()
        while not self._over.is_set():
            try:
                await self._in_thread(_alive, name)
            except Exception as error:  # whatever it is: it beats on. Without a database nobody could read it either
                complain(_log, "heartbeat_not_written", name, error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), EVERY)


def _alive(name: str) -> None:
    with database.session("health") as session:
        tell_alive(session, name)
    web_clock.look()


def _ended(name: str) -> None:
    with suppress(DulyError, SQLAlchemyError), database.session("health") as session:
        tell_ended(session, name)
