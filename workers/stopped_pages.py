"""Looks whether stopped pages work again: claim, read each page's own node outside any transaction, restore."""

from __future__ import annotations

from scheduler import clock
from scheduler.logs import get_logger
from scheduler.pages.stops import claim_looks, restore_page
from scheduler.store import database
from workers.deliver import Channel

_log = get_logger(__name__)


def look_at_stopped_pages(channel: Channel) -> int:
    """Look at the pages whose turn it is; returns how many were restored.

    Raises ``redis.RedisError`` where nobody can be told to begin with one message: then the next look restores.
    """
    with database.session() as session:
        channel.directory.refresh(session)
        # The next look is put off before this one begins: whatever happens to this process, looks stay rare.
        stopped = [page for page in claim_looks(session, clock.now()) if channel.directory.knows(page.id)]
    if not stopped:
        return 0
    answers = channel.pool.map(lambda page: channel.client.read_page(channel.directory.sender(page.id)), stopped)
    restored = 0
    for page, answer in sorted(zip(stopped, answers, strict=True), key=lambda pair: pair[0].id):
        if answer.result != "sent":
            _log.info("page_still_stopped", page=page.id, reason=answer.reason, code=answer.code)
            continue
        # That it can be read does not say that it may send: one message finds out, and then the others.
        channel.throttle.try_one(page.id)
        with database.session() as session:
            restored += restore_page(session, page.id, now=clock.now(), actor="probe")
    return restored
