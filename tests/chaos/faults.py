"""Everything that is done to a run, seeded: when, to whom, how hard. Each act is a line in the report."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis

from tests.chaos.city import City, wait

#: Parts that are killed, with their share of the kills.
_VICTIMS = {"child": 9, "worker": 5, "spare": 4, "beat": 4, "web": 4, "redis": 1}
#: Codes that say nothing about what the platform did: with the message taken, each of them.
_LIES = ((1, 200), (1, 500), (2, 400), (2, 503), (1200, 200), (1200, 400))
#: (code, status, seconds to wait) of throttles; a code of None is an answer without one.
_THROTTLES = ((None, 429, 2), (613, 400, None), (80006, 400, 1), (4, 429, None), (80006, 400, None))

#: An act; it may hand back acts that follow, each with the real seconds until then.
Act = Callable[["Hands"], "list[tuple[float, Step]] | None"]


@dataclass(slots=True)
class Step:
    """One thing that is done."""

    kind: str
    words: str
    act: Act


@dataclass(slots=True)
class Hands:
    """Does it, and remembers what was ``sending`` when it mattered."""

    city: City
    chance: random.Random
    #: Attempts that were on their way when a process was killed or stopped, or the database went away.
    sending: set[int] = field(default_factory=set)
    kills: dict[str, int] = field(default_factory=dict)
    missed: int = 0

    def note_sending(self) -> int:
        """Remember the attempts that are ``sending`` now; returns how many there are."""
        found = {row[0] for row in self.city.query("SELECT id FROM attempt WHERE outcome = 'sending'")}
        self.sending |= found
        return len(found)

    def kill(self, victim: str) -> None:
        """SIGKILL; of somebody else where the victim is away already."""
        others = sorted(_VICTIMS.keys() - {victim, "redis"})
        self.chance.shuffle(others)
        for each in (victim, *others):
            if self._kill(each):
                self.kills[each] = self.kills.get(each, 0) + 1
                return
        self.missed += 1

    def _kill(self, victim: str) -> bool:
        """Workers are stopped for the blink of an eye before it, so that what is sending can be counted."""
        city = self.city
        if victim == "child":
            children = [pid for name in ("worker", "spare") for pid in city.children(name)]
            if not children:
                return False
            _quietly(signal.SIGSTOP, children)
            self.note_sending()
            _quietly(signal.SIGKILL, [self.chance.choice(children)])
            _quietly(signal.SIGCONT, children)
            return True
        frozen = victim in ("worker", "spare") and city.signal(victim, signal.SIGSTOP, whole=True)
        if frozen:
            self.note_sending()
        return city.signal(victim, signal.SIGKILL, whole=frozen)


def _quietly(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def script(seed: int, seconds: float, kills: int, pages: list[str], *, stop: float) -> list[tuple[float, Step]]:
    """What happens in ``seconds`` real seconds: (when, what), in order. ``stop``: how long a worker is stopped."""
    chance = random.Random(f"{seed}:faults")
    victims = _dealt(chance, kills)
    steps: list[tuple[float, Step]] = [
        # One in each stretch of time, somewhere in it.
        (4 + (seconds - 8) * (place + chance.random()) / kills, _kill(victim))
        for place, victim in enumerate(victims)
    ]

    def some(count: int, make: Callable[[], Step], last: float = 6.0) -> None:
        steps.extend((chance.uniform(3, max(4, seconds - last)), make()) for _ in range(count))

    scale = max(1, round(seconds / 60))
    steps.append((seconds * chance.uniform(0.1, 0.3), _stopped("spare", stop)))
    some(scale, lambda: _stopped_child(chance.uniform(2, 8)), last=12)
    some(1, lambda: _two_beats(chance.uniform(10, 20)), last=25)
    some(scale, _redis_flush)
    some(1, lambda: _redis_full(chance.uniform(2, 4)), last=8)
    some(1, lambda: _postgres_restart(signal.SIGINT), last=12)
    some(1, lambda: _postgres_restart(signal.SIGQUIT), last=12)
    some(scale, _backends_terminated)
    some(scale, lambda: _line("refuse", seconds=round(chance.uniform(1, 4), 1)), last=8)
    # Nothing ever tells of these: they end unconfirmed, so they are few.
    few = 1 if seconds < 60 else 2
    some(1, lambda: _line("slam", count=few))
    some(1, lambda: _line("swallow", count=few), last=15)
    some(1, lambda: _fault("reset", count=few, accepted=False))
    some(scale, lambda: _fault("reset", count=3, accepted=True))
    some(scale, lambda: _fault("hang", count=2, accepted=True), last=15)
    some(scale, lambda: _fault("drip", count=2, seconds=round(chance.uniform(3, 9), 1)), last=15)
    some(1, lambda: _fault("drip", count=2, seconds=20.0), last=15)
    some(scale, lambda: _fault("http500_after_accept", count=chance.randint(3, 6)))
    for code, status in _LIES:
        some(1, lambda code=code, status=status: _fault("error", count=3, code=code, status=status))  # type: ignore[misc]
    for code, status, after in _THROTTLES:
        some(
            1,
            lambda code=code, status=status, after=after: _fault(  # type: ignore[misc]
                "error",
                count=4,
                code=code,
                status=status,
                retry_after=after,
                accepted=False,
                page_id=chance.choice(pages),
            ),
        )
    some(1, lambda: _token(chance.choice(pages), chance.uniform(4, 8)), last=15)
    some(
        2 * scale,
        lambda: _clock(
            chance.choice(("worker", "spare", "web", "beat")),
            round(chance.choice((-1, 1)) * chance.uniform(0.2, 1.0), 2),
            chance.uniform(5, 15),
        ),
        last=16,
    )
    return sorted(steps, key=lambda step: step[0])


def squall() -> list[tuple[float, Step]]:
    """The directed storm: answers are lost though the platform took the message; the worker dies waiting for some."""
    return [
        (0.5, _fault("reset", count=4, accepted=True, echo=False)),
        (0.6, _fault("error", count=2, accepted=True, code=1, status=200)),
        (0.7, _fault("hang", count=6, accepted=True, echo=False)),
        (0.8, Step("kill", "SIGKILL worker while it waits for answers", _kill_while_waiting)),
    ]


def _kill_while_waiting(hands: Hands) -> None:
    log = hands.city.stack.sandbox_log
    wait(lambda: log.read_text().count('"fault":"hang"') >= 3, 40)
    hands.kill("worker")


def _dealt(chance: random.Random, kills: int) -> list[str]:
    total, dealt, owed = sum(_VICTIMS.values()), [], 0.0
    for victim, share in _VICTIMS.items():
        owed += share * kills / total
        dealt += [victim] * (round(owed) - len(dealt))
    chance.shuffle(dealt)
    return dealt


def _kill(victim: str) -> Step:
    return Step("kill", f"SIGKILL {victim}", lambda hands: hands.kill(victim))


def _stopped(name: str, seconds: float) -> Step:
    def act(hands: Hands) -> list[tuple[float, Step]]:
        pid = hands.city.pid(name)
        pids = [*hands.city.children(name), *([pid] if pid else [])]
        _quietly(signal.SIGSTOP, pids)
        hands.note_sending()
        return [(seconds, Step("stop", f"SIGCONT {name}", lambda _hands: _quietly(signal.SIGCONT, pids)))]

    return Step("stop", f"SIGSTOP {name} and its children for {seconds:.0f} s", act)


def _stopped_child(seconds: float) -> Step:
    def act(hands: Hands) -> list[tuple[float, Step]] | None:
        children = hands.city.children(hands.chance.choice(("worker", "spare")))
        if not children:
            hands.missed += 1
            return None
        victims = [hands.chance.choice(children)]
        _quietly(signal.SIGSTOP, victims)
        hands.note_sending()
        return [(seconds, Step("stop", "SIGCONT child", lambda _hands: _quietly(signal.SIGCONT, victims)))]

    return Step("stop", f"SIGSTOP child for {seconds:.0f} s", act)


def _two_beats(seconds: float) -> Step:
    def act(hands: Hands) -> list[tuple[float, Step]]:
        hands.city.start_spare("second beat")
        return [(seconds, Step("beat", "the second beat ends", lambda _hands: hands.city.end_spare("second beat")))]

    return Step("beat", f"a second beat for {seconds:.0f} s", act)


def _redis_flush() -> Step:
    def act(hands: Hands) -> None:
        with suppress(redis.RedisError), hands.city.redis() as client:
            client.flushall()

    return Step("redis", "Redis flushed", act)


def _redis_full(seconds: float) -> Step:
    def limit(hands: Hands, size: str) -> None:
        with suppress(redis.RedisError), hands.city.redis() as client:
            client.config_set("maxmemory", size)

    def act(hands: Hands) -> list[tuple[float, Step]]:
        limit(hands, "1")
        return [(seconds, Step("redis", "Redis has memory again", lambda later: limit(later, "0")))]

    return Step("redis", f"Redis out of memory for {seconds:.0f} s", act)


def _postgres_restart(number: signal.Signals) -> Step:
    def act(hands: Hands) -> None:
        hands.note_sending()
        hands.city.signal("postgres", number)

    mode = "fast" if number == signal.SIGINT else "immediate"
    return Step("postgres", f"PostgreSQL restarted ({mode} shutdown)", act)


def _backends_terminated() -> Step:
    def act(hands: Hands) -> None:
        hands.note_sending()
        with suppress(psycopg.OperationalError):
            hands.city.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'duly'")

    return Step("postgres", "all backends terminated", act)


def _line(kind: str, **what: Any) -> Step:
    told = " ".join(f"{name}={value}" for name, value in what.items())
    return Step(
        "line",
        f"connections: {kind} {told}",
        lambda hands: hands.city.sandbox.call("POST", "/line", {"kind": kind, **what}),
    )


def _fault(kind: str, **what: Any) -> Step:
    told = " ".join(f"{name}={value}" for name, value in what.items() if value is not None)
    return Step(
        "answer",
        f"answers: {kind} {told}",
        lambda hands: hands.city.sandbox.call("POST", "/fault", {"kind": kind, **what}),
    )


def _token(page: str, seconds: float) -> Step:
    def act(hands: Hands) -> list[tuple[float, Step]]:
        hands.city.sandbox.call("POST", "/token", {"page_id": page, "revoked": True})
        return [(seconds, Step("token", f"token of page {page} works again", restore))]

    def restore(hands: Hands) -> None:
        hands.city.sandbox.call("POST", "/token", {"page_id": page, "revoked": False})
        token = next(each["access_token"] for each in hands.city.sandbox.call("GET", "/pages") if each["id"] == page)
        # As an operator would: the token again, which ends the stop.
        hands.city.api.call("PATCH", f"/pages/{page}", {"token": token})

    return Step("token", f"token of page {page} revoked for {seconds:.0f} s", act)


def _clock(name: str, step: float, seconds: float) -> Step:
    def act(hands: Hands) -> list[tuple[float, Step]]:
        hands.city.step_clock(name, step)
        return [
            (seconds, Step("clock", f"clock of {name} is right again", lambda _h: hands.city.step_clock(name, 0.0)))
        ]

    return Step("clock", f"clock of {name} steps by {step:+.2f} s for {seconds:.0f} s", act)
