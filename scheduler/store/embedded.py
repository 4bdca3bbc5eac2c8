"""Real PostgreSQL and Redis servers from wheels, for a machine where nothing else is installed.

Only a supervisor starts them (``duly up``, ``duly demo``, the test session); everybody else gets their addresses.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from scheduler.errors import Unavailable
from scheduler.store import folder
from scheduler.store.postgres_server import PostgresServer
from scheduler.store.redis_server import RedisServer


class Servers:
    """Both servers of one data folder, started together. A context manager; ``stop`` may be called twice."""

    def __init__(self, data_dir: Path, *, durable: bool = True, throwaway: bool = False) -> None:
        """``durable`` as in PostgresServer; ``throwaway`` deletes what lies outside ``data_dir`` when stopped."""
        self._data_dir = data_dir.absolute()
        self._throwaway = throwaway
        self.postgres = PostgresServer(self._data_dir, durable=durable)
        self.redis = RedisServer(self._data_dir)

    @property
    def database_url(self) -> str:
        """The address of Duly's database."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """The address of Redis."""
        return self.redis.url

    def start(self) -> Servers:
        """Start both and wait until they answer. Leaves nothing running when one of them does not."""
        try:
            self._start_redis()
            self.postgres.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop both."""
        self.postgres.stop()
        self.redis.stop()
        if self._throwaway:
            folder.remove(self._data_dir)

    def _start_redis(self) -> None:
        # Between the choice of a free port and its use somebody else may take it: choose again.
        for last in (False, False, True):
            try:
                self.redis.start()
            except Unavailable:
                if last:
                    raise
                self.redis = RedisServer(self._data_dir)
            else:
                return

    def __enter__(self) -> Servers:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
