"""Bodies are read to their end, to the limit, or not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from scheduler.api import webhook_bodies
from scheduler.api.webhook_bodies import LARGE, Bodies, BodyTooLarge, beginning
from scheduler.errors import Unavailable


def body_of(*parts: bytes, end: bool = True, gate: asyncio.Event | None = None) -> Receive:
    """What brings a body in these parts; behind the ``gate``, what comes after the first."""
    waiting = list(parts)

    async def receive() -> Message:
        if gate is not None and len(waiting) < len(parts):
            await gate.wait()
        if not waiting:
            return {"type": "http.disconnect"}
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting) or not end}

    return receive


def run(made: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await made()

    asyncio.run(within())


def test_a_body_comes_in_parts() -> None:
    async def check() -> None:
        bodies = Bodies()
        assert await bodies.read(None, body_of(b"a", b"", b"b")) == b"ab"
        assert await bodies.read("2", body_of(b"ab")) == b"ab"
        large = b"x" * LARGE
        assert await bodies.read(None, body_of(large, b"y")) == large + b"y"
        with pytest.raises(ClientDisconnect):
            await bodies.read(None, body_of(b"a", end=False))

    run(check)


@pytest.mark.parametrize("length", [None, "999999999", "5"])
def test_what_is_over_the_limit_is_refused_and_its_beginning_is_kept(
    length: str | None, set_environment: Callable[..., None]
) -> None:
    set_environment(DULY_WEBHOOK_MAX_BYTES="2000")

    async def check() -> None:
        with pytest.raises(BodyTooLarge) as refused:
            await Bodies().read(length, body_of(b"the beginning", b"x" * 1995))
        assert refused.value.beginning == b"the beginning"

    run(check)


def test_nobody_waits_for_the_beginning_of_what_is_refused() -> None:
    async def check() -> None:
        never = asyncio.Event()

        async def silent() -> Message:
            await never.wait()
            raise AssertionError

        assert await beginning(silent) == b""
        assert await beginning(body_of()) == b""

    run(check)


def test_large_bodies_take_turns_and_small_ones_pass_them() -> None:
    """Four that are large and do not end keep a fifth waiting, and nobody's STOP."""
    large = b"x" * LARGE

    async def check() -> None:
        bodies, gate = Bodies(), asyncio.Event()
        four = [asyncio.create_task(bodies.read(None, body_of(large, b"y", gate=gate))) for _ in range(4)]
        await asyncio.sleep(0)
        fifth = asyncio.create_task(bodies.read(None, body_of(large)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert await bodies.read(None, body_of(b"STOP")) == b"STOP"
        assert not any(task.done() for task in (*four, fifth))
        gate.set()
        found = await asyncio.gather(*four)
        # A turn is kept until its body is done with.
        for _ in range(20):
            await asyncio.sleep(0)
        assert not fifth.done()
        bodies.done(found[0])
        assert await fifth == large

    run(check)


@pytest.mark.parametrize("waits_for", ["its turn", "its end"])
def test_a_large_body_that_takes_for_ever_is_given_up_and_its_turn_with_it(
    waits_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_bodies, "_PATIENCE", 0.05)
    large = b"x" * LARGE

    async def check() -> None:
        bodies, never = Bodies(), asyncio.Event()
        held: Iterable[bytes] = ()
        if waits_for == "its turn":
            held = [await bodies.read(None, body_of(large)) for _ in range(4)]
        for _ in range(5):
            with pytest.raises(Unavailable, match="did not come in time"):
                await bodies.read(None, body_of(large, b"y", gate=never))
        for each in held:
            bodies.done(each)
        # Whoever comes next has a turn.
        assert await bodies.read(None, body_of(large)) == large

    run(check)
