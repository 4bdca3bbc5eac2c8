"""What a worker process needs to send, made once in it: client, rate tokens, sender threads."""

from __future__ import annotations

import os

import redis

from scheduler.errors import Unavailable
from scheduler.settings import get_settings
from workers.deliver import Channel
from workers.send_api.client import GraphClient
from workers.send_api.throttle import Throttle
from workers.senders import Senders

#: By process id: a forked child must not use its parent's threads and sockets.
_channels: dict[int, Channel] = {}


def open_channel() -> Channel:
    """The channel of this process, made on first use. Raises Unavailable where no Redis is known."""
    found = _channels.get(os.getpid())
    if found is None:
        found = _channels[os.getpid()] = make_channel()
    return found


def make_channel() -> Channel:
    """A channel of its own, from the settings."""
    settings = get_settings()
    if settings.redis_url is None:
        raise Unavailable("no Redis is known here", way_out="start everything with `duly up`, or set DULY_REDIS_URL")
    threads = settings.sender_threads
    return Channel(
        client=GraphClient(settings.graph_url, settings.graph_version, connections=threads),
        throttle=Throttle(
            redis.Redis.from_url(
                settings.redis_url.get_secret_value(),
                socket_timeout=3,
                socket_connect_timeout=3,
                health_check_interval=15,
            )
        ),
        pool=Senders(threads),
        threads=threads,
    )


def close_channel() -> None:
    """Let the threads end and close the connections of this process."""
    found = _channels.pop(os.getpid(), None)
    if found is not None:
        found.pool.shutdown(wait=True, cancel_futures=True)
        found.client.close()
        found.throttle.disconnect()
