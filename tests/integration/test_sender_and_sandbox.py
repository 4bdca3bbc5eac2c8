"""The sender against the sandbox over HTTP: every row of the table, its effects, the rate on the wire."""

from __future__ import annotations

import json
import socket
import threading
import time
from bisect import bisect_left
from pathlib import Path

import pytest
import redis

from scheduler import clock
from scheduler.outbox.states import ACCEPTED
from scheduler.outbox.tick import tick
from scheduler.pages.stops import claim_looks, enforce
from tests.integration.town import SECRET, Town
from tests.patience import patience, wait_until
from workers import posting
from workers.channel import make_channel
from workers.deliver import Channel, Delivery
from workers.send_api.classes import ANY, CLASSES
from workers.send_api.client import Sender
from workers.send_api.throttle import Throttle
from workers.stopped_pages import look_at_stopped_pages


def _deliver(channel: Channel, *, idle: float = 0.3) -> int:
    return Delivery("promotional", channel, time_slice=10, idle=idle).run()


def _becomes(town: Town, channel: Channel, message: int, state: str, reason: str | None = None) -> None:
    """Deliver until the message is in that state: on a busy machine a decision may grow too old, and is taken again."""

    def there() -> bool:
        _later(town, 30)
        _deliver(channel)
        found = tuple(town.stage.row("SELECT state, reason FROM message WHERE id = :id", id=message))
        town.stage.commit()
        return found[0] == state and reason in (None, found[1])

    assert wait_until(there, seconds=40), tuple(
        town.stage.row("SELECT state, reason FROM message WHERE id = :id", id=message)
    )


def _goes(town: Town, channel: Channel, *messages: int) -> None:
    """Deliver until the messages are with the platform."""

    def gone() -> bool:
        _later(town, 30)
        _deliver(channel)
        states = [town.stage.state(message) for message in messages]
        town.stage.commit()
        return set(states) <= set(ACCEPTED)

    assert wait_until(gone, seconds=60), [town.stage.state(message) for message in messages]


def _later(town: Town, seconds: int) -> None:
    """What was given back for a while is due."""
    tick(town.session, clock.now() + seconds)
    town.stage.commit()


def _look_now(town: Town) -> None:
    """Let the next look at the page be due."""
    town.stage.one("UPDATE page SET probe_at = 0 WHERE id = :id RETURNING id", id=town.page_id)
    town.stage.commit()


def _refuse(town: Town, code: int | None, subcode: int | None = None, *, status: int = 400, **values: object) -> None:
    town.post("/sandbox/fault", kind="error", accepted=False, code=code, subcode=subcode, status=status, **values)


def _payload(psid: str) -> dict[str, object]:
    return {
        "recipient": {"id": psid},
        "messaging_type": "UPDATE",
        "message": {"text": "Hello", "metadata": "1.1.x"},
    }


def test_every_row_of_the_table_is_understood_on_the_wire(town: Town, channel: Channel) -> None:
    psid = town.person()
    page = town.page
    sender = Sender(page["id"], page["access_token"], SECRET)
    for row in CLASSES:
        status = {"5xx": 503, ANY: 403}.get(str(row.http), row.http)
        if row.type is not None:
            # A wrong proof, of which the sandbox knows itself.
            answer = channel.client.post_message(Sender(page["id"], page["access_token"], "wrong"), _payload(psid))
        else:
            assert isinstance(status, int)
            code = 4242 if row.code == ANY else row.code
            subcode = 31337 if row.subcode == ANY else row.subcode
            _refuse(town, code, subcode, status=status)  # type: ignore[arg-type]  # ANY is replaced above
            answer = channel.client.post_message(sender, _payload(psid))
        if row.code is None:
            # The sandbox's answer without a code has no error in it either.
            assert (answer.kind, answer.reason) == ("in_doubt", "unreadable_answer")
        else:
            assert (answer.kind, answer.effect, answer.reason) == (row.kind, row.effect, row.reason), row
    # Also inside an answer of success.
    _refuse(town, 551, 1545041, status=200)
    answer = channel.client.post_message(sender, _payload(psid))
    assert (answer.kind, answer.http_status) == ("contact_unreachable", 200)
    assert town.get("/sandbox/verdict")["accepted"] == 0


def test_somebody_unreachable_gets_nothing_until_they_write(town: Town, channel: Channel) -> None:
    psid = town.person()
    _refuse(town, 551, 1545041)
    _becomes(town, channel, town.message(psid), "refused", "blocked")
    _becomes(town, channel, town.message(psid), "denied", "blocked")
    town.post("/sandbox/say", psid=psid, kind="message", text="Are you there?")
    _goes(town, channel, town.message(psid))


def test_a_closed_window_is_held_until_the_person_writes(town: Town, channel: Channel) -> None:
    psid = town.person()
    _refuse(town, 10, 2018278, status=403)
    message = town.message(psid)
    _becomes(town, channel, message, "scheduled", "window_closed")
    row = town.stage.row("SELECT reason, wakes_on, due_at FROM message WHERE id = :id", id=message)
    assert tuple(row) == ("window_closed", "inbound", None)
    # Nothing else of theirs goes on the window that we had counted; a template needs none.
    other, shipped = town.message(psid), town.message(psid, category="utility")
    _becomes(town, channel, other, "denied", "window_closed")
    _goes(town, channel, shipped)
    town.post("/sandbox/say", psid=psid, kind="message", text="Hello again")
    _goes(town, channel, message)
    verdict = town.get("/sandbox/verdict")
    assert (verdict["accepted"], verdict["violations"]) == (2, [])


@pytest.mark.parametrize(("code", "subcode"), [(190, 463), (368, None), (10, 1893063)])
def test_a_refused_page_stops_and_goes_on_when_a_look_finds_it_working(
    town: Town, channel: Channel, code: int, subcode: int | None
) -> None:
    psids = [town.person() for _ in range(4)]
    _refuse(town, code, subcode)
    messages = [town.message(psids[0])]
    _becomes(town, channel, messages[0], "scheduled", "page_stopped")
    messages += [town.message(psid) for psid in psids[1:]]
    for message in messages:
        _becomes(town, channel, message, "scheduled", "page_stopped")
    assert town.get("/sandbox/verdict")["requests"] == 1
    # It is not looked at before its time.
    assert look_at_stopped_pages(channel) == 0
    _look_now(town)
    assert look_at_stopped_pages(channel) == 1
    # One message finds out, then the others go.
    assert channel.throttle.state([town.page_id])[town.page_id].breaker == "half_open"
    _goes(town, channel, *messages)
    assert channel.throttle.state([town.page_id])[town.page_id].breaker == "closed"


def test_a_page_that_a_look_finds_refused_stays_stopped_and_is_looked_at_more_rarely(
    town: Town, channel: Channel
) -> None:
    message = town.message(town.person())
    town.post("/sandbox/token", page_id=town.page["id"], revoked=True)
    _becomes(town, channel, message, "scheduled", "page_stopped")
    pauses = []
    for _ in range(8):
        _look_now(town)
        assert look_at_stopped_pages(channel) == 0
        pauses.append(int(town.stage.one("SELECT probe_at FROM page WHERE id = :id", id=town.page_id)) - clock.now())
        town.stage.commit()
    assert pauses == [pytest.approx(pause, abs=2) for pause in (600, 1200, 2400, 4800, 9600, 14400, 14400, 14400)]
    town.post("/sandbox/token", page_id=town.page["id"], revoked=False)
    _look_now(town)
    assert look_at_stopped_pages(channel) == 1
    _goes(town, channel, message)


def test_policy_enforcement_blocks_and_unblocks(town: Town, channel: Channel) -> None:
    message = town.message(town.person())
    assert enforce(town.session, town.page_id, "block", clock.now())
    town.stage.commit()
    _becomes(town, channel, message, "scheduled", "page_stopped")
    assert claim_looks(town.session, clock.now()) == []
    assert enforce(town.session, town.page_id, "unblock", clock.now())
    town.stage.commit()
    _goes(town, channel, message)
    assert not enforce(town.session, town.page_id, "unblock", clock.now())


def test_another_app_with_the_thread_is_waited_for(town: Town, channel: Channel) -> None:
    psid = town.person()
    _refuse(town, 10, 2018300)
    message = town.message(psid)
    _becomes(town, channel, message, "scheduled", "handover")
    # A refusal is known to the second, and outranks what is written in that second.
    refused = town.stage.one("SELECT handover_at FROM contact WHERE psid = :psid", psid=psid)
    town.stage.commit()
    assert wait_until(lambda: clock.now() > refused, seconds=5)
    town.post("/sandbox/say", psid=psid, kind="message", text="Back with you")
    _goes(town, channel, message)


def test_connections_that_are_refused_open_the_breaker_and_one_message_closes_it(town: Town, channel: Channel) -> None:
    messages = [town.message(town.person()) for _ in range(12)]
    town.post("/sandbox/line", kind="refuse", seconds=3.0)
    address = town.url.rpartition("/")[2].split(":")

    def refuses() -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex((address[0], int(address[1]))) != 0

    assert wait_until(refuses, seconds=5)
    _deliver(channel)
    state = channel.throttle.state([town.page_id])[town.page_id]
    assert state.breaker in ("open", "half_open")
    begun = int(town.stage.one("SELECT count(*) FROM attempt"))
    town.stage.commit()
    # What was decided before it opened, and no more: the others were not tried.
    assert begun <= 12
    assert wait_until(lambda: not refuses(), seconds=10)
    _goes(town, channel, *messages)
    verdict = town.get("/sandbox/verdict")
    assert (verdict["accepted"], verdict["violations"]) == (12, [])


def _requests(log: Path) -> list[float]:
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return sorted(record["real"] for record in found if record["kind"] == "request")


def _worst_second(instants: list[float]) -> int:
    return max(bisect_left(instants, first + 1.0) - place for place, first in enumerate(instants))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rate", [30, 39])
def test_no_second_on_the_wire_sees_more_than_forty_over_flushes_and_workers(
    town: Town, tmp_path: Path, redis_url: str, rate: int, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers' worth of deliveries with both lanes full, while Redis is flushed again and again.

    Seconds are counted where the first byte is about to leave: a sandbox that had to wait for its processor sees in one
    second what left in two.
    """
    left: dict[int, float] = {}
    last_word = posting._why_not_now

    def leaves(throttle: Throttle, errand: posting.Errand) -> str | None:
        told = last_word(throttle, errand)
        if told is None:
            left[errand.begun.attempt_id] = time.monotonic()
        return told

    monkeypatch.setattr(posting, "_why_not_now", leaves)
    town.stage.one("UPDATE page SET rate = :rate WHERE id = :id RETURNING id", rate=rate, id=town.page_id)
    psids = [town.person() for _ in range(60)]
    messages: list[int] = []
    for psid in psids:
        contact = town.contact(psid)
        messages += [
            town.stage.message(contact, category=category) for category in ("promotional", "utility", "utility")
        ]
    town.stage.commit()
    made = [make_channel() for _ in range(2)]
    runs = [
        threading.Thread(target=Delivery(lane, channel, time_slice=20, idle=0.5).run)
        for lane, channel in zip(("utility", "promotional"), made, strict=True)
    ]
    over = threading.Event()

    def flush() -> None:
        with redis.Redis.from_url(redis_url) as client:
            while not over.wait(0.7):
                client.flushall()

    flushing = threading.Thread(target=flush)
    for thread in (*runs, flushing):
        thread.start()
    for run in runs:
        run.join(patience(40))
    _goes(town, made[0], *messages)
    over.set()
    flushing.join(patience(5))
    for channel in made:
        channel.pool.shutdown(wait=True)
        channel.client.close()
        channel.throttle.disconnect()
    assert len(_requests(tmp_path / "sandbox.jsonl")) == len(left) == 180
    assert _worst_second(sorted(left.values())) <= 40
