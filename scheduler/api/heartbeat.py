"""A web process tells every few seconds that it lives: its loop turns, its threads work, the database answers it."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from scheduler.errors import DulyError
from scheduler.inbox.web_processes import EVERY, tell_alive, tell_ended
from scheduler.logs import complain, get_logger
from scheduler.store import database

_log = get_logger(__name__)


def process_name() -> str:
    """By which people find this process."""
    return f"{socket.gethostname()}/{os.getpid()}"


class Heartbeat:
    """Tells it from its start to its end."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._beat())

    async def end(self) -> None:
        """This process ends as it should."""
        # Not by cancelling: a thread that is with the database must come back from it.
        self._over.set()
        await self._task
        await run_in_threadpool(_ended, process_name())

    async def _beat(self) -> None:
        name = process_name()
        while not self._over.is_set():
            try:
                await run_in_threadpool(_alive, name)
            except (DulyError, SQLAlchemyError) as error:
                # Nobody could read it either.
                complain(_log, "heartbeat_not_written", name, error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), EVERY)


def _alive(name: str) -> None:
    with database.session() as session:
        tell_alive(session, name)


def _ended(name: str) -> None:
    with suppress(DulyError, SQLAlchemyError), database.session() as session:
        tell_ended(session, name)
