"""Deliver: begin → post → settle on a real database, a real Redis and real sockets."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.outbox.states import ACCEPTED
from scheduler.outbox.tick import tick
from tests.integration.delivering import deliver_all, deliver_once
from tests.patience import patience, wait_until
from tests.unit.delivery.stage import Stage
from tests.unit.delivery.wire import Script, WireServer, accept, answer, error, message_id_of, message_of
from workers import deliver, posting
from workers.channel import make_channel
from workers.deliver import Channel, Delivery


@pytest.fixture
def wire() -> Iterator[WireServer]:
    server = WireServer()
    server.script = accept
    yield server
    server.close()


@pytest.fixture
def stage(session: Session) -> Stage:
    return Stage(session, now=clock.now())


@pytest.fixture
def channels(
    wire: WireServer, redis_url: str, set_environment: Callable[..., None]
) -> Iterator[Callable[..., Channel]]:
    made: list[Channel] = []

    def make(*, threads: int = 8, **environment: str) -> Channel:
        set_environment(DULY_GRAPH_URL=wire.url, DULY_SENDER_THREADS=str(threads), **environment)
        made.append(make_channel())
        return made[-1]

    yield make
    for channel in made:
        channel.pool.shutdown(wait=True, cancel_futures=True)
        channel.client.close()
        channel.throttle.disconnect()


def _once_each(wire: WireServer) -> None:
    doubled = {message: n for message, n in Counter(map(message_id_of, wire.requests)).items() if n > 1}
    assert doubled == {}


def test_due_messages_are_posted_once_and_settled(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    stage.messages(40)
    stage.commit()
    assert deliver_all(channels()) == 40
    assert stage.states() == {"sent": 40}
    assert len(wire.requests) == 40
    _once_each(wire)
    assert stage.one("SELECT count(DISTINCT mid) FROM message") == 40
    assert stage.one("SELECT count(*) FROM attempt WHERE outcome = 'sent' AND http_status = 200") == 40
    payload = message_of(wire.requests[0])
    assert payload["messaging_type"] == "UPDATE"
    assert payload["message"]["text"] == "Hello you"


def test_one_task_serves_both_lanes(stage: Stage, wire: WireServer, channels: Callable[..., Channel]) -> None:
    stage.messages(3, category="utility")
    stage.messages(3)
    stage.commit()
    assert deliver_all(channels(), "promotional") == 6
    assert Counter(message_of(request)["messaging_type"] for request in wire.requests) == {"UPDATE": 3, "UTILITY": 3}


def test_two_deliveries_at_once_double_nothing(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    other = stage.add_page()
    for page in (stage.page, other):
        for _ in range(20):
            contact = stage.contact(page=page)
            stage.message(contact)
            stage.message(contact, category="utility")
    stage.commit()
    runs = [threading.Thread(target=deliver_all, args=(channels(), lane)) for lane in ("utility", "promotional")]
    for run in runs:
        run.start()
    for run in runs:
        run.join(patience(30))
    assert stage.states() == {"sent": 80}
    assert len(wire.requests) == 80
    _once_each(wire)


@pytest.mark.parametrize("tried", [0, 1], ids=["for the first time", "again"])
def test_a_message_that_waited_too_long_for_a_thread_goes_back_unsent(
    tried: int,
    stage: Stage,
    wire: WireServer,
    channels: Callable[..., Channel],
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So old that the first one, which waits for nobody, never is on this machine.
    oldest = patience(deliver.OLDEST_DECISION)
    monkeypatch.setattr(posting, "OLDEST_DECISION", oldest)

    def slowly(connection: socket.socket, request: bytes) -> None:
        # The platform takes its time: until what waits in line is too old for certain.
        arrived = wire.arrivals[-1]
        assert wait_until(lambda: time.monotonic() - arrived > 1.5 * oldest, seconds=15)
        accept(connection, request)

    wire.script = slowly
    stage.messages(2, attempts=tried)
    stage.commit()
    channel = channels(threads=1)
    # A bucket that has filled up, so that both messages are begun at once.
    with redis.Redis.from_url(redis_url) as buckets:

        def filled() -> bool:
            channel.throttle.reserve("promotional", {stage.page: (39, 0)})
            return float(buckets.hget(f"duly:rate:{stage.page}", "tokens") or 0) >= 2

        assert wait_until(filled, seconds=5)
    # At once, and decided anew; whom it happens to again waits for a moment.
    assert deliver_once(channel) == 2 - tried
    back = "scheduled" if tried else "due"
    rows = stage.rows(
        "SELECT reason, attempt_id FROM message_log WHERE from_state = 'sending' AND to_state = :back", back=back
    )
    assert [row.reason for row in rows] == ["decision_too_old"]
    assert stage.one("SELECT outcome FROM attempt WHERE id = :id", id=rows[0].attempt_id) == "not_sent"
    if tried:
        assert stage.one("SELECT due_at - state_at FROM message WHERE state = 'scheduled'") in range(3)
        tick(stage.session, clock.now() + 2)
        stage.commit()
        assert deliver_all(channel) == 1
    assert stage.states() == {"sent": 2}
    assert len(wire.requests) == 2


def test_a_message_whose_connection_took_too_long_goes_back_unsent(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if connecting had lasted beyond all that the send guard leaves.
    monkeypatch.setattr(deliver, "_first_byte_within", lambda: -1.0)
    stage.messages(1)
    stage.commit()
    assert deliver_all(channels()) == 0
    assert wire.requests == []
    assert stage.states() == {"scheduled": 1}
    reasons = {row.reason for row in stage.rows("SELECT reason FROM message_log WHERE from_state = 'sending'")}
    assert reasons == {"connected_too_late"}


def test_the_first_byte_leaves_within_what_the_guard_leaves(
    set_environment: Callable[..., None], hurried: None
) -> None:
    """At the default guard of 2 s: less the fraction of a second that the clock drops, less the way there."""
    assert deliver._first_byte_within() == pytest.approx(0.75)
    set_environment(DULY_SEND_GUARD="0")
    assert deliver._first_byte_within() == deliver.OLDEST_DECISION


def test_a_throttled_page_pauses_and_its_message_goes_later(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.send_api.throttle._FIRST_PAUSE", 0.5)
    scripts: list[Script] = [error(613)]
    wire.script = lambda connection, request: (scripts.pop() if scripts else accept)(connection, request)
    message = stage.message(stage.contact())
    stage.commit()
    # For as long as the page's pause lasts, here.
    assert deliver_all(channels(), idle=patience(1.5), stopping=lambda: len(wire.arrivals) >= 2) == 1
    assert wire.arrivals[1] - wire.arrivals[0] > 0.25
    assert stage.arrows(message)[1:] == [
        ("due", "sending"), ("sending", "due"), ("due", "sending"), ("sending", "sent"),
    ]  # fmt: skip


def test_a_lost_answer_is_doubt_and_is_not_posted_again(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    def reset(connection: socket.socket, request: bytes) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    wire.script = reset
    stage.messages(3)
    stage.commit()
    assert deliver_all(channels()) == 0
    assert stage.states() == {"in_doubt": 3}
    assert len(wire.requests) == 3
    assert deliver_all(channels()) == 0
    assert len(wire.requests) == 3


def test_a_person_who_blocked_the_page_gets_nothing_more(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    wire.script = error(551, 1545041)
    contact = stage.contact()
    first, second = stage.message(contact), stage.message(contact)
    stage.commit()
    deliver_all(channels())
    assert len(wire.requests) == 1
    assert [stage.state(first), stage.state(second)] == ["refused", "denied"]
    assert stage.one("SELECT action FROM consent_record") == "block"
    assert tuple(stage.row("SELECT outcome, code, subcode FROM attempt")) == ("refused", 551, 1545041)


def test_a_bad_token_stops_its_page_alone(stage: Stage, wire: WireServer, channels: Callable[..., Channel]) -> None:
    other = stage.add_page()
    bad = [stage.message(stage.contact()) for _ in range(3)]
    good = [stage.message(stage.contact(page=other)) for _ in range(3)]
    stage.commit()

    def script(connection: socket.socket, request: bytes) -> None:
        (error(190, status=401) if b"EAA-token-1" in request else accept)(connection, request)

    wire.script = script
    assert deliver_all(channels()) == 3
    assert [stage.state(one) for one in good] == ["sent"] * 3
    assert [tuple(stage.row("SELECT state, reason FROM message WHERE id = :id", id=one)) for one in bad] == [
        ("scheduled", "page_stopped")
    ] * 3
    assert stage.one("SELECT stopped_reason FROM page WHERE id = :id", id=stage.page) == "bad_token"


def test_where_the_platform_cannot_be_reached_messages_wait(
    stage: Stage, channels: Callable[..., Channel], wire: WireServer
) -> None:
    wire.close()
    stage.messages(2)
    stage.commit()
    assert deliver_all(channels()) == 0
    assert stage.states() == {"scheduled": 2}
    assert stage.one("SELECT max(due_at - state_at) FROM message") <= 2
    reasons = {row.reason for row in stage.rows("SELECT reason FROM message_log WHERE from_state = 'sending'")}
    assert reasons == {"unreachable_platform"}


def test_without_rate_tokens_nothing_is_sent_and_nothing_is_lost(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    stage.messages(2)
    stage.commit()
    assert deliver_all(channels(DULY_REDIS_URL="redis://127.0.0.1:1/0")) == 0
    assert stage.states() == {"due": 2}
    assert wire.requests == []


def test_what_breaks_in_a_thread_leaves_doubt_and_not_a_crash(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> dict[str, object]:
        raise RuntimeError("no such thing")

    stage.messages(1)
    stage.commit()
    monkeypatch.setattr(posting, "build_payload", broken)
    assert deliver_all(channels()) == 0
    assert tuple(stage.row("SELECT state, reason FROM message")) == ("in_doubt", "worker_error")


def test_a_page_never_gets_more_than_its_rate_in_a_second(
    session: Session, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    rate = 20
    stage = Stage(session, now=clock.now(), rate=rate)
    stage.messages(40)
    stage.messages(10, category="utility")
    stage.commit()
    runs = [threading.Thread(target=deliver_all, args=(channels(), lane)) for lane in ("utility", "promotional")]
    for run in runs:
        run.start()
    for run in runs:
        run.join(patience(30))
    assert stage.states() == {"sent": 50}
    arrivals = sorted(wire.arrivals)
    # Tokens are taken for a second; up to 250 ms may lie between token and arrival.
    worst = max(sum(first <= instant < first + 0.75 for instant in arrivals) for first in arrivals)
    assert worst <= rate
    # And no less than a third of it is used, however busy the machine is.
    assert arrivals[-1] - arrivals[0] < 50 / rate * 3


def test_a_worker_that_ends_begins_nothing_new(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    stage.messages(2)
    stage.commit()
    assert Delivery("utility", channels(), stopping=lambda: True).run() == 0
    assert stage.states() == {"due": 2}
    assert wire.requests == []


def test_settling_goes_on_when_the_database_comes_back(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    """Every connection is cut while the post is in flight; the outcome is known, so it is written all the same."""
    message = stage.message(stage.contact())
    stage.commit()

    def cut(connection: socket.socket, request: bytes) -> None:
        stage.session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        stage.session.commit()
        accept(connection, request)

    wire.script = cut
    assert deliver_all(channels()) == 1
    assert stage.state(message) in ACCEPTED


def test_an_answer_that_takes_both_body_and_error_is_believed_as_error(
    stage: Stage, wire: WireServer, channels: Callable[..., Channel]
) -> None:
    wire.script = answer(200, b'{"error": {"code": 10, "error_subcode": 2018278}, "message_id": "m_1"}')
    message = stage.message(stage.contact())
    stage.commit()
    deliver_all(channels())
    assert tuple(stage.row("SELECT state, reason, mid FROM message WHERE id = :id", id=message)) == (
        "scheduled", "window_closed", None,
    )  # fmt: skip
