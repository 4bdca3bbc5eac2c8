"""Reads the profiles that are wanted: claim, ask the platform outside any transaction, record."""

from __future__ import annotations

from scheduler import clock
from scheduler.contacts.profiles import DueRead, ReadAnswer, due_profile_reads, profile_reads_done
from scheduler.logs import get_logger
from scheduler.pages.stops import stop_page
from scheduler.store import database
from workers.deliver import Channel
from workers.send_api.client import ProfileAnswer

_log = get_logger(__name__)

#: Reads of one task. They are claimed for a real minute; this many take a few seconds at worst answers.
LIMIT = 50


def read_profiles(channel: Channel) -> int:
    """Read up to 50 wanted profiles, several at once; returns how many were claimed.

    Failures that pass are asked again by the contacts room, with growing pauses and an end; a page that is throttled,
    or whose app may not read profiles, is left alone for a while.
    """
    with database.session() as session:
        channel.directory.refresh(session)
        reads = due_profile_reads(session, clock.now(), LIMIT)
    if not reads:
        return 0
    answers = channel.pool.map(lambda read: _ask(channel, read), reads)
    with database.session() as session:
        now = clock.now()
        # Pages before contacts, contacts by id: the lock order.
        for page_id in sorted({read.page_id for read, answer in zip(reads, answers, strict=True) if answer.bad_token}):
            stop_page(session, page_id, "bad_token", now)
        done = [
            ReadAnswer(contact_id=read.contact_id, profile=answer.profile, outcome=answer.outcome, wait=answer.wait)
            for read, answer in zip(reads, answers, strict=True)
        ]
        profile_reads_done(session, done, now)
    _log.info("profiles_read", count=len(reads), known=sum(answer.profile is not None for answer in answers))
    return len(reads)


def _ask(channel: Channel, read: DueRead) -> ProfileAnswer:
    """In a sender thread: one request, never an exception."""
    if not channel.directory.knows(read.page_id):
        return ProfileAnswer(outcome="retry")
    return channel.client.read_profile(channel.directory.sender(read.page_id), read.psid)
