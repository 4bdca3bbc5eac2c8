"""How the application is served: by uvicorn, with the limits of ``connections``, in one process or several."""

from __future__ import annotations

import resource
from typing import Any

import uvicorn

from scheduler.api.connections import Connection
from scheduler.settings import get_settings

#: Real seconds for which requests under way are waited for at the end.
_GRACE = 5
#: Real seconds in which a process must answer its parent: on a busy machine a slow one is not to be killed for it.
_HEALTH = 30
#: Files that a process opens beside its connections.
_OTHER_FILES = 200


def serve(host: str, port: int, processes: int = 1, app: str = "scheduler.api.app:create_app") -> None:
    """Serve ``app``, the name of a factory, until the process is told to end."""
    settings = get_settings()
    _open_enough(settings.web_connections + _OTHER_FILES)
    uvicorn.run(app, factory=True, host=host, port=port, workers=processes, **_options(settings.proxies))


def _options(proxies: list[str]) -> dict[str, Any]:
    return {
        "http": Connection,
        "ws": "none",
        "access_log": False,
        "server_header": False,
        # Who is not trusted must not say where they come from.
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": proxies,
        "timeout_graceful_shutdown": _GRACE,
        "timeout_worker_healthcheck": _HEALTH,
    }


def _open_enough(files: int) -> None:
    """Let this process and its children open so many files, as far as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
