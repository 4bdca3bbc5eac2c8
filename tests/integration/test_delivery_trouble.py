"""Deliver when the database is away or an answer cannot be kept: what is known of the others is not lost."""

from __future__ import annotations

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis
from psycopg import sql
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.inbox.intake import receive
from scheduler.inbox.lenient import read_json
from scheduler.outbox.begin import begin
from scheduler.outbox.states import ACCEPTED
from scheduler.store import database
from scheduler.store.embedded import Servers
from tests.integration.delivering import deliver_all, deliver_once
from tests.patience import patience, wait_until
from tests.unit.delivery.stage import Stage
from tests.unit.delivery.wire import WireServer, accept, answer, message_of
from workers import deliver, settling
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
def channel(wire: WireServer, stage: Stage, redis_url: str, set_environment: Callable[..., None]) -> Iterator[Channel]:
    del stage, redis_url  # their settings come first
    set_environment(DULY_GRAPH_URL=wire.url, DULY_SENDER_THREADS="8")
    made = make_channel()
    yield made
    made.pool.shutdown(wait=True, cancel_futures=True)
    made.client.close()
    made.throttle.disconnect()


def test_what_was_posted_while_the_database_went_away_is_settled_when_it_is_back(
    stage: Stage, wire: WireServer, channel: Channel, servers: Servers, database_url: str
) -> None:
    """It goes while a post is on the wire, and more messages are due: beginning fails, and must not take it along."""
    named = database_url.partition("?")[0].rpartition("/")[2]
    name = sql.Identifier(named)
    looks_while_away = 0

    def open_it(allowed: bool) -> None:
        with psycopg.connect(servers.postgres.url_of("postgres"), autocommit=True) as server:
            server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(name, sql.SQL(str(allowed))))
            if not allowed:
                server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [named])

    def cut(connection: socket.socket, request: bytes) -> None:
        nonlocal looks_while_away
        if not looks_while_away:
            looks_while_away = 1
            open_it(False)
        accept(connection, request)

    def looked() -> bool:
        # Asked once a turn of the loop: after a few turns without a database it comes back.
        nonlocal looks_while_away
        if looks_while_away:
            looks_while_away += 1
        if looks_while_away == 8:
            open_it(True)
        return False

    stage.messages(12)
    stage.commit()
    stage.session.close()
    wire.script = cut
    try:
        assert deliver_all(channel, idle=0.6, stopping=looked) == 12
    finally:
        open_it(True)
    assert set(stage.states()) <= set(ACCEPTED)
    assert len(wire.requests) == 12


def test_an_answer_that_cannot_be_kept_takes_no_other_with_it(
    stage: Stage, wire: WireServer, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_LINGER", 0.2)
    people = [stage.contact() for _ in range(3)]
    odd = stage.psid(people[1])
    messages = [stage.message(person) for person in people]
    # What exactly cannot be kept is any fault's choice.
    stage.session.connection().execute(text("ALTER TABLE attempt ADD CONSTRAINT picky CHECK (mid <> 'm_odd')"))
    stage.commit()

    def script(connection: socket.socket, request: bytes) -> None:
        if message_of(request)["recipient"]["id"] == odd:
            answer(200, json.dumps({"recipient_id": odd, "message_id": "m_odd"}).encode())(connection, request)
        else:
            accept(connection, request)

    wire.script = script
    assert deliver_all(channel) == 2
    # The sweep puts it in doubt; an echo may still tell.
    assert [stage.state(message) for message in messages] == ["sent", "sending", "sent"]


def test_ids_are_kept_and_found_whatever_they_contain(stage: Stage, wire: WireServer, channel: Channel) -> None:
    # Random, so that no compression makes the long one short.
    ids = ["m_\x00b", "m_\ud800x", "m_\U0001f600", f"m_{random.Random(5).randbytes(60_000).hex()}", 123456, " "]
    psids: dict[str, object] = {}
    for each in ids:
        psids[stage.psid(stage.contact())] = each
    for row in stage.rows("SELECT id FROM contact ORDER BY id"):
        stage.message(row.id)
    stage.commit()

    def script(connection: socket.socket, request: bytes) -> None:
        psid = message_of(request)["recipient"]["id"]
        answer(200, json.dumps({"recipient_id": psid, "message_id": psids[psid]}).encode())(connection, request)

    wire.script = script
    assert deliver_all(channel) == len(ids)
    assert stage.states() == {"sent": len(ids)}
    # The platform names them again when they are delivered.
    page = stage.one("SELECT external_id FROM page")
    body = {"object": "page", "entry": [{"id": page, "time": 1, "messaging": [
        {"sender": {"id": psid}, "recipient": {"id": page}, "timestamp": clock.now_ms(),
         "delivery": {"mids": [mid]}} for psid, mid in psids.items()]}]}  # fmt: skip
    with database.session() as session:
        app = session.connection().execute(text("SELECT app_id FROM page")).scalar_one()
        received = receive(session, app, read_json(json.dumps(body).encode()), clock.now())
    assert (received.new, received.failed) == (len(ids), 0)
    assert stage.states() == {"delivered": len(ids)}


def test_forty_messages_behind_interim_answers_each_have_their_own_id(
    stage: Stage, wire: WireServer, channel: Channel
) -> None:
    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n")
        time.sleep(0.05)
        psid = message_of(request)["recipient"]["id"]
        answer(200, json.dumps({"recipient_id": psid, "message_id": f"m_{psid}"}).encode())(connection, request)

    wire.script = script
    stage.messages(40)
    stage.commit()
    assert deliver_all(channel) == 40
    kept = stage.rows("SELECT m.mid, c.psid FROM message m JOIN contact c ON c.id = m.contact_id")
    assert [row.mid for row in kept] == [f"m_{row.psid}" for row in kept]


def test_a_refusal_until_a_date_keeps_the_page_shut_until_then_or_a_day(
    stage: Stage, wire: WireServer, channel: Channel
) -> None:
    wire.script = answer(429, b"slow down", "Retry-After: Wed, 01 Dec 2100 00:00:00 GMT")
    stage.messages(3)
    stage.commit()
    deliver_once(channel, seconds=3)
    deliver_once(channel, seconds=3)
    assert stage.states() == {"due": 3}
    # Each was on its way before the first refusal was known, at most.
    assert len(wire.requests) <= 3
    shut = channel.throttle.state([stage.page])[stage.page].closed_for
    assert 86_000 < shut <= 86_400


def test_what_is_on_the_wire_is_settled_before_a_failure_ends_the_task(
    stage: Stage, wire: WireServer, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def begin_once(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise RuntimeError("no such thing")
        return begin(*arguments, **options)  # type: ignore[arg-type]  # passed on as it came

    def after_the_failure(connection: socket.socket, request: bytes) -> None:
        assert wait_until(lambda: calls > 1, seconds=5)
        accept(connection, request)

    wire.script = after_the_failure
    monkeypatch.setattr(deliver, "begin", begin_once)
    stage.messages(6)
    stage.commit()
    with pytest.raises(RuntimeError, match="no such thing"):
        Delivery("promotional", channel, time_slice=10, idle=0.4).run()
    assert set(stage.states()) == {"due", "sent"}


def test_what_is_due_on_a_page_that_is_shut_waits_without_a_busy_loop(
    stage: Stage, wire: WireServer, channel: Channel, redis_url: str
) -> None:
    stage.messages(5)
    stage.commit()
    channel.throttle.report({stage.page: "fffff"})
    with redis.Redis.from_url(redis_url) as client:
        present = int(client.time()[0])
        client.hset(f"duly:breaker:{stage.page}", "open", str(present + 3600))
        client.config_resetstat()
        started = time.monotonic()
        time_slice = patience(4)
        assert Delivery("promotional", channel, time_slice=time_slice, idle=1.0).run() == 0
        assert 0.9 < time.monotonic() - started < time_slice
        asked = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    # Both lanes asked once; until the breaker lets one through, nobody asks again.
    assert asked <= 4
    assert wire.requests == []
    assert stage.states() == {"due": 5}


def test_a_platform_that_is_gone_is_found_out_by_a_few_and_waited_for_by_the_others(
    stage: Stage, wire: WireServer, channel: Channel
) -> None:
    stage.messages(40)
    stage.commit()
    wire.close()
    Delivery("promotional", channel, time_slice=patience(3), idle=0.5).run()
    attempts = stage.rows("SELECT outcome, message_id FROM attempt")
    assert {row.outcome for row in attempts} == {"not_sent"}
    # Those on their way when it opened, and a probe or two.
    assert 5 <= len(attempts) <= 25
    states = stage.states()
    # None is lost, and those that were not tried were not touched. On a busy machine some were given back at once.
    assert (set(states), sum(states.values())) == ({"due", "scheduled"}, 40)
    assert states["due"] >= 40 - len(attempts)
    assert channel.throttle.state([stage.page])[stage.page].breaker != "closed"


def test_retries_beyond_the_pages_budget_wait(stage: Stage, wire: WireServer, channel: Channel) -> None:
    again = stage.messages(6, reason="unreachable_platform", attempts=1)
    stage.commit()
    Delivery("promotional", channel, time_slice=3, idle=0.3).run()
    # The budget of a page that nobody knew was empty; it grows by one in six seconds.
    assert len(wire.requests) <= 1
    waiting = stage.rows("SELECT reason, due_at - state_at AS pause FROM message WHERE state = 'scheduled'")
    assert len(waiting) == 6 - len(wire.requests)
    assert {row.reason for row in waiting} == {"retry_budget"}
    assert all(0 < row.pause <= 10 for row in waiting)
    assert stage.arrows(again[-1])[-1] == ("due", "scheduled")


@pytest.mark.parametrize(
    ("header", "closed"),
    [
        ('X-App-Usage: {"call_count":97,"total_time":1,"total_cputime":1}', (1, 2)),
        ('X-Page-Usage: {"call_count":97,"total_time":1,"total_cputime":1}', (1, 2)),
        ('X-Business-Use-Case-Usage: {"1": [{"type":"messenger","call_count":99,'
         '"estimated_time_to_regain_access":4}]}', (230, 241)),
    ],
)  # fmt: skip
def test_an_answer_of_success_near_the_limit_pauses_the_page(
    stage: Stage, wire: WireServer, channel: Channel, header: str, closed: tuple[int, int]
) -> None:
    other = stage.add_page()
    stage.message(stage.contact())
    stage.commit()

    def warned(connection: socket.socket, request: bytes) -> None:
        answer(200, b'{"recipient_id": "1", "message_id": "m_warned"}', header)(connection, request)

    wire.script = warned
    assert deliver_all(channel, seconds=5) == 1
    states = channel.throttle.state([stage.page, other])
    assert states[stage.page].closed_for <= closed[1]
    assert states[stage.page].closed_for > 0 or closed[0] < 2
    if closed[0] > 2:
        assert states[stage.page].closed_for >= closed[0]
    # A limit of the app is one of all its pages.
    assert (states[other].closed_for > 0) == (header.startswith("X-App") and states[stage.page].closed_for > 0)


@pytest.mark.parametrize(("first", "other"), [("utility", "UPDATE"), ("promotional", "UTILITY")])
def test_where_threads_are_short_the_other_lane_keeps_its_share(
    stage: Stage, wire: WireServer, channel: Channel, first: str, other: str
) -> None:
    """A slow platform, more rate than threads, and both lanes full on every page."""

    def slowly(connection: socket.socket, request: bytes) -> None:
        arrived = time.monotonic()
        assert wait_until(lambda: time.monotonic() - arrived > 0.15, seconds=5, every=0.01)
        accept(connection, request)

    wire.script = slowly
    for page in (stage.page, stage.add_page(), stage.add_page()):
        for _ in range(40):
            stage.message(stage.contact(page=page))
            stage.message(stage.contact(page=page), category="utility")
    stage.commit()
    Delivery(first, channel, time_slice=2).run()
    kinds = Counter(message_of(request)["messaging_type"] for request in wire.requests)
    assert kinds[other] / kinds.total() > 0.15
