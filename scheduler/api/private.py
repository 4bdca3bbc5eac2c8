"""What is not for the internet, at an address of its own: the API's description and ``/metrics``.

``DULY_PRIVATE_PORT`` moves them off the address where webhooks come in. Each web process serves both.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from scheduler.api import described_answers, health, problems
from scheduler.api.connections import Connection
from scheduler.api.limits import Limits
from scheduler.logs import get_logger
from scheduler.settings import get_settings

_log = get_logger(__name__)

_PATIENCE = 5.0


def create_private_app(public: FastAPI) -> FastAPI:
    """An application with the description of ``public`` and its metrics."""
    made = FastAPIOffline(title=public.title, version=public.version, redoc_url=None, redirect_slashes=False)
    made.openapi = public.openapi  # type: ignore[method-assign]  # FastAPI's own way of replacing the description
    made.state.scrape = health.Scrape()
    described_answers.serve(made)
    problems.install(made)
    made.add_middleware(Limits)
    made.include_router(health.metrics_router)
    return made


@contextmanager
def private_address(public: FastAPI) -> Iterator[None]:
    """Serve the private application beside ``public`` where a port is set, in a thread of this process.

    A port that is taken is logged, and the webhooks are served all the same.
    """
    settings = get_settings()
    if not settings.private_port:
        yield
        return
    try:
        listening = _listen(settings.private_host, settings.private_port)
    except OSError as error:
        _log.error("private_port_taken", port=settings.private_port, error=type(error).__name__)
        yield
        return
    server = uvicorn.Server(
        uvicorn.Config(create_private_app(public), http=Connection, ws="none", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, args=([listening],), name="private", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_PATIENCE)


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Each of several web processes listens, and whoever asks gets one of them.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        made.bind(address)
        made.listen()
    except OSError:
        made.close()
        raise
    return made
