"""Where people act and the platform tells the page: every act is in the log before its webhook leaves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from typing import Any

from workers.sandbox import events
from workers.sandbox.clock import Clock
from workers.sandbox.log import Log, Record
from workers.sandbox.people import Page
from workers.sandbox.script import Act, write_script
from workers.sandbox.weather import Weather, journey
from workers.sandbox.webhooks import OnAnswer, Webhooks
from workers.sandbox.world import World

#: One webhook in so many is delivered a second time, a little later.
_REPEAT_ONE_IN = 50
#: On the machine's own clock the script began so many seconds ago, so that there is something to see.
_BACKLOG = 10 * 3600


class Stage:
    """The world, its clock, its log, and the line to the receiver of webhooks."""

    def __init__(self, *, world: World, clock: Clock, log: Log, webhooks: Webhooks, seed: int) -> None:
        """``world`` has already recalled the log."""
        self.world, self.clock, self.log, self.webhooks = world, clock, log, webhooks
        self._seed = seed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._player: asyncio.Task[None] | None = None
        self._told = 0
        self.acts_total = 0
        self.evidence_delivered = 0
        self.weather = Weather()

    def record(self, record: Record) -> None:
        """Something happened: the log first, then the state."""
        self.log.append(record)
        self.world.learn(record)

    def spawn(self, what: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it beside everything else."""
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def resume(self) -> None:
        """Go on where the log ends: tell again what was not acknowledged, play on what was being played."""
        for record in list(self.world.open_events.values()):
            self.spawn(self._tell(record))
        if self.world.playing_since is not None:
            self.play()

    def play(self) -> bool:
        """Begin the script, once; false when it had begun."""
        if self._player is not None:
            return False
        if self.world.playing_since is None:
            now = self.clock.read()
            begin = self.clock.start if self.clock.is_virtual else now.at - _BACKLOG
            self.record({"kind": "play", "at": begin, "real": now.real})
        since = self.world.playing_since
        assert since is not None  # the record above says so
        script = write_script(self._seed, list(self.world.people.values()), list(self.world.pages.values()), since)
        self.acts_total = sum(act.kind != "block" for act in script)
        self._player = asyncio.create_task(self._play(script))
        return True

    @property
    def is_over(self) -> bool:
        """Whether everything scripted has happened."""
        return self._player is not None and self._player.done()

    async def act(self, act: Act) -> bool:
        """A person does something; true when the page acknowledged it (or need not know)."""
        now = self.clock.read()
        common = {"id": act.id, "psid": act.psid, "at": act.at, "real": now.real}
        if act.kind == "block":
            self.record({"kind": "block", **common})
            await self.log.safe()
            return True
        person = self.world.people[act.psid]
        page = self.world.pages[person.page_id]
        record = {
            "kind": "inbound",
            **common,
            "page_id": page.id,
            "event": act.kind,
            "opens": act.opens_window,
            "intent": act.intent,
            "body": events.inbound(page, person, act).decode(),
        }
        if (token := events.token_told(act)) is not None:
            record["token"] = token
        self.record(record)
        await self.log.safe()
        return await self._tell(record)

    async def follow(
        self, page: Page, psid: str, message_id: str, content: dict[str, Any], echoed: asyncio.Event
    ) -> None:
        """What comes of an accepted message: its echo, then its delivery, then perhaps that it was read."""
        chance = hashlib.sha256(message_id.encode()).digest()
        await self.log.safe()
        echo = events.echo(page, psid, self.clock.read().at, message_id, content)
        travel = self._evidence("echo", psid, message_id, echo, may_vanish=True)
        if self.weather == Weather():
            await travel
        else:
            # Deliveries and reads may overtake it.
            self.spawn(travel)
        echoed.set()
        await asyncio.sleep(0.05 + chance[0] / 500)
        await self._evidence(
            "delivery", psid, message_id, events.delivery(page, psid, self.clock.read().at, message_id)
        )
        if chance[1] % 10 < 6:
            seen = self.clock.read().at + 60 * (1 + chance[2] / 3)
            await self.clock.until(seen)
            await self._evidence("read", psid, message_id, events.read(page, psid, self.clock.read().at))

    async def stop(self) -> None:
        """End everything that is under way."""
        running = [*self._tasks, *([self._player] if self._player else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.webhooks.close()

    async def _play(self, script: list[Act]) -> None:
        for act in script:
            if act.id in self.world.happened:
                continue
            await self.clock.until(act.at)
            self.spawn(self.act(act))

    async def _tell(self, record: Record) -> bool:
        psid, body, event_id = record["psid"], record["body"].encode(), record["id"]

        def answered(status: int | None, real: float, tried: int) -> None:
            kind = "acknowledged" if status == 200 else "not_acknowledged"
            self.record({"kind": kind, "id": event_id, "status": status, "real": real, "try": tried})

        route = journey(self.weather, f"{self._seed}:{event_id}", may_vanish=False)
        await asyncio.sleep(route.pauses[0])
        delivered = await self.webhooks.deliver(psid, body, answered)
        if not delivered:
            self.record({"kind": "given_up", "id": event_id, "real": self.clock.read().real})
        self._told += 1
        if self._told % _REPEAT_ONE_IN == 0:
            self.spawn(self._repeat(0.2 + self._told % 7 / 3, psid, body, answered))
        for pause in route.pauses[1:]:
            self.spawn(self._repeat(pause - route.pauses[0], psid, body, answered))
        return delivered

    async def _repeat(self, pause: float, psid: str, body: bytes, answered: OnAnswer | None = None) -> None:
        await asyncio.sleep(pause)
        await self.webhooks.deliver(psid, body, answered)

    async def _evidence(self, what: str, psid: str, message_id: str, body: bytes, *, may_vanish: bool = False) -> None:
        route = journey(self.weather, f"{self._seed}:{what}:{message_id}", may_vanish=may_vanish)
        delivered = False
        if route.pauses:
            await asyncio.sleep(route.pauses[0])
            delivered = await self.webhooks.deliver(psid, body)
            for pause in route.pauses[1:]:
                self.spawn(self._repeat(pause - route.pauses[0], psid, body))
        self.evidence_delivered += delivered
        self.record(
            {"kind": "told", "what": what, "mid": message_id, "known": delivered, "real": self.clock.read().real}
        )
