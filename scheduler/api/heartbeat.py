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


async def beat() -> None:
    """Tell it until cancelled."""
    name = process_name()
    while True:
        try:
            await run_in_threadpool(_alive, name)
        except (DulyError, SQLAlchemyError) as error:
            # Nobody could read it either.
            complain(_log, "heartbeat_not_written", name, error=type(error).__name__)
        await asyncio.sleep(EVERY)


def end() -> None:
    """This process ends as it should."""
    with suppress(DulyError, SQLAlchemyError), database.session() as session:
        tell_ended(session, process_name())


def _alive(name: str) -> None:
    with database.session() as session:
        tell_alive(session, name)
