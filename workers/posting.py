"""What a sender thread does with a message: post it, or give it back. It decides nothing and touches no database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import redis

from scheduler import crash_points
from scheduler.logs import get_logger
from scheduler.outbox.begin import Begun
from scheduler.own_trouble import own_trouble
from workers.send_api.answers import Answer, of_paid
from workers.send_api.client import NO_MEANS, GraphClient, Sender
from workers.send_api.payload import build_path, build_payload
from workers.send_api.throttle import Throttle, fresh_for
from workers.send_api.transport import watch

_log = get_logger(__name__)

#: INVARIANT: real seconds between the decision and the post. Whatever is older goes back unsent and is decided anew.
OLDEST_DECISION = 0.250
TOO_OLD = "decision_too_old"
#: It could not be marked outside the database that it was about to go.
NO_MARK = "marks_unwritable"


@dataclass(slots=True, kw_only=True)
class Errand:
    """What a sender thread is sent out with."""

    begun: Begun
    sender: Sender
    lane: str
    rate: int
    #: When the rate token was taken, and when the decision fell, ``time.monotonic()``.
    reserved_at: float
    decided_at: float
    #: After which not a byte of it leaves any more, however slow the connect was: ``time.monotonic()``.
    write_by: float
    #: The one message that finds out whether its page works again.
    probe: bool


@dataclass(slots=True)
class Finished:
    """An errand that is over."""

    errand: Errand
    answer: Answer
    #: Real seconds that the post took; None when it was not tried.
    took: float | None

    @property
    def begun(self) -> Begun:
        """The message that it was about."""
        return self.errand.begun


def post(errand: Errand, client: GraphClient, throttle: Throttle) -> Finished:
    """Post one message, or give it back. Never raises."""
    begun, took = errand.begun, None
    watch.written = False
    try:
        started = time.monotonic()
        if started - errand.decided_at > OLDEST_DECISION:
            answer = Answer(kind="not_sent", reason=TOO_OLD, retry=True)
        else:
            payload = build_payload(begun.psid, begun.content, begun.metadata, begun.token)
            crash_points.reach("deliver.before_post")
            answer = client.post_message(
                errand.sender, payload, path=build_path(errand.sender.external_id, begun.token),
                write_by=errand.write_by, last_word=partial(_why_not_now, throttle, errand),
            )  # fmt: skip
            if begun.token is not None and begun.token.kind == "marketing":
                answer = of_paid(answer)
            crash_points.reach("deliver.after_answer")
            took = time.monotonic() - started
    except Exception as error:  # whatever it is, the attempt must be settled, and nobody knows how far it got
        _log.exception("post_failed", error=type(error).__name__)
        if own_trouble(error) and not watch.written:
            answer = Answer(kind="not_sent", reason=NO_MEANS, retry=True)
        else:
            answer = Answer(kind="in_doubt", reason="worker_error")
    return Finished(errand, answer, took)


def _why_not_now(throttle: Throttle, errand: Errand) -> str | None:
    """The last word before a first byte: what the page's rate has against it this instant."""
    # INVARIANT: a token is for its own second. One that grew old in line, or over a slow connect, is not carried into
    # another. (A probe is alone.)
    if errand.probe or time.monotonic() - errand.reserved_at <= fresh_for(errand.rate):
        return None
    try:
        return None if throttle.renew(errand.lane, errand.begun.page_id, errand.rate) else "rate_spent"
    except redis.RedisError:
        return "rate_unknown"
