"""Beat's tasks, time, and what the platform tells by webhooks."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.outbox.states import ACCEPTED
from scheduler.outbox.sweep import CRASHES
from tests.model.moves import Moves
from tests.model.world import Step, World, name, put


class EvidenceSteps(Moves):
    """The steps of the tick, the sweep and webhooks."""

    def clockwork(self, w: World) -> Iterator[Step]:
        """Beat's tasks, and time."""
        for m, message in enumerate(w.messages):
            if message.state == "scheduled" and self.row_free(w, m):
                if not message.parked:
                    yield f"tick: {name(m)} is due", True, self.move(w, m, "due", "tick")
                elif w.over_time and self.without != "what is parked has no end":
                    yield (
                        f"tick: {name(m)} was parked until its end",
                        True,
                        self.move(w, m, "expired", "tick", parked=False),
                    )
        if self.scope.time and not w.over_time:
            yield "time runs out", True, w._replace(over_time=True)
        if self.without != "nobody sweeps":
            yield from self._sweep(w)
        for a, attempt in enumerate(w.attempts):
            if attempt.outcome == "in_doubt" and self.row_free(w, attempt.message):
                if self.without == "doubt has no end":
                    continue
                again = self.without == "what is in doubt is sent again"
                after = w._replace(
                    attempts=put(w.attempts, a, attempt._replace(outcome="not_sent" if again else "unconfirmed"))
                )
                if w.messages[attempt.message].state == "in_doubt":
                    after = self.move(after, attempt.message, "due" if again else "unconfirmed", "sweep")
                yield f"no evidence came for attempt {a + 1}", True, after

    def _sweep(self, w: World) -> Iterator[Step]:
        if w.swept < 0:
            for a, attempt in enumerate(w.attempts):
                if attempt.outcome == "sending":
                    yield f"the sweep finds attempt {a + 1} too old", True, w._replace(swept=a)
            return
        a = w.swept
        attempt = w.attempts[a]
        if not self.row_free(w, attempt.message):
            return
        after = w._replace(swept=-1)
        blind = self.without == "the sweep writes what it saw before"
        if attempt.outcome != "sending" and not blind:
            yield "the sweep finds it settled", True, after
            return
        message = w.messages[attempt.message]
        again = self.without == "what a dead worker left is sent again"
        outcome = "not_sent" if again else "in_doubt"
        after = after._replace(attempts=put(w.attempts, a, attempt._replace(outcome=outcome)))
        if message.state == "sending" or blind:
            crashes = message.crashes + 1
            to = "dead" if crashes >= CRASHES else "due" if again else "in_doubt"
            after = self.move(after, attempt.message, to, "sweep", crashes=crashes)
        yield "the sweep puts it in doubt", True, after

    def platform(self, w: World) -> Iterator[Step]:
        """Webhooks: echoes, deliveries and reads, at any time after the platform has it, never, or again and again."""
        for a, attempt in enumerate(w.attempts):
            m = attempt.message
            if not attempt.has or attempt.outcome == "unwritten" or not self.row_free(w, m):
                continue
            yield f"an echo of attempt {a + 1}", False, self._echo(w, a)
            if self.scope.deliveries:
                yield "a delivery", False, self._evidence(w, m, 1)
                yield "a read", False, self._evidence(w, m, 2)
        # Anybody may write our ids into the metadata of a message of their own; nobody has our key.
        if self.without == "metadata without its MAC":
            for a, attempt in enumerate(w.attempts):
                if self.row_free(w, attempt.message):
                    yield f"another app's message names attempt {a + 1}", False, self._echo(w, a)

    def _echo(self, w: World, a: int) -> World:
        attempt = w.attempts[a]
        m = attempt.message
        state = w.messages[m].state
        told = put(w.attempts, a, attempt._replace(outcome="sent", told=True))
        if self.without == "late evidence is ignored" and state in ("unconfirmed", "dead"):
            return w._replace(attempts=put(w.attempts, a, attempt._replace(told=True)))
        after = self.recount(w._replace(attempts=told))
        return after if state in ACCEPTED else self.accept(after, m, "webhook")

    def _evidence(self, w: World, m: int, kind: int) -> World:
        message = w.messages[m]._replace(heard=max(kind, w.messages[m].heard))
        w = w._replace(messages=put(w.messages, m, message))
        to = ACCEPTED[kind]
        if message.state in ACCEPTED:
            behind = ACCEPTED.index(message.state) < kind or self.without == "a delivery after the read counts"
            return self.move(w, m, to, "webhook") if behind and message.state != to else w
        if message.note >= kind or self.without == "early evidence is dropped":
            return w
        return w._replace(messages=put(w.messages, m, message._replace(note=kind)))
