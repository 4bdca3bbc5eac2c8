"""What every step of the model is made of: a move along an arrow, an acceptance, and who holds what."""

from __future__ import annotations

from scheduler.outbox.arrows import TABLE, Arrow
from scheduler.outbox.states import ACCEPTED, DEAD_LETTERS, UNSENT
from tests.model.world import UNUSED, Scope, Worker, World, put

BY_PAIR: dict[tuple[str | None, str], list[Arrow]] = {}
for _arrow in TABLE:
    BY_PAIR.setdefault((_arrow.came, _arrow.to), []).append(_arrow)


class Drift(Exception):
    """The model moves where the table has no arrow: one of the two is wrong."""


class Moves:
    """The parts of steps; ``without`` names what a mutant leaves out or does wrong."""

    def __init__(self, scope: Scope, without: str = "") -> None:
        """``without`` is a name of ``scopes.py``; empty: the model of what the code does."""
        self.scope = scope
        self.without = without
        #: The arrows taken so far.
        self.taken: set[Arrow] = set()

    def start(self) -> World:
        """Nothing is planned yet."""
        scope = self.scope
        return World(
            workers=(Worker(),) * scope.workers, crashes=scope.crashes, noes=scope.noes, cancels=scope.cancels,
            resends=scope.resends,
        )  # fmt: skip

    def move(self, w: World, m: int, to: str, who: str, cause: str = "", **change: object) -> World:
        """Take the message along an arrow, with its row of the log."""
        message = w.messages[m]
        found = [
            arrow
            for arrow in BY_PAIR.get((message.state, to), ())
            if who in arrow.by and (not cause or arrow.cause == cause)
        ]
        if found:
            self.taken.update(found)
        elif not self.without:
            raise Drift(f"{message.state} → {to} by {who} {cause}")
        wrong = w.wrong
        if message.state in ACCEPTED and (to not in ACCEPTED or ACCEPTED.index(to) < ACCEPTED.index(message.state)):
            wrong = f"what the platform had is {to} again"
        logged = self.without != "the row in a transaction of its own"
        return w._replace(
            messages=put(w.messages, m, message._replace(state=to, logged=logged, **change)),  # type: ignore[arg-type]  # fields of a message
            wrong=wrong,
        )

    def accept(self, w: World, m: int, who: str) -> World:
        """``evidence.accept``: to ``sent``, on to what was known before; a re-send is not needed any more."""
        was = w.messages[m]
        w = self.move(w, m, "sent", who, parked=False)
        if was.note:
            w = self.move(w, m, ACCEPTED[was.note], "webhook")
        if was.state in DEAD_LETTERS and self.without != "a re-send goes on when the first had arrived":
            for again in range(m + 1, len(w.messages)):
                if w.messages[again].state in UNSENT:
                    w = self.move(w, again, "cancelled", who, "what it repeats had arrived", parked=False)
        return w

    def recount(self, w: World) -> World:
        """``tokens.recount_tokens``: the token is used up while an attempt stands that may have gone on it."""
        unused = UNUSED
        if self.without == "doubt gives the token back":
            unused = unused | {"in_doubt", "unconfirmed"}
        spent = any(each.outcome not in unused for each in w.attempts)
        return w._replace(spent=spent) if self.scope.token else w

    def contact_held(self, w: World) -> bool:
        """Whether somebody has the contact's row locked."""
        return w.opt_out == 1 or any(each.phase in ("locked", "decided") for each in w.workers)

    def row_free(self, w: World, m: int) -> bool:
        """Whether nobody holds the message's row; of a dead letter, also those of its re-sends."""
        rows = range(m, len(w.messages)) if w.messages[m].state in DEAD_LETTERS else (m,)
        return not any(each.phase in ("locked", "decided") and each.message in rows for each in w.workers)

    def in_flight(self, w: World) -> bool:
        """Whether an attempt to the contact is on the wire."""
        return any(each.outcome == "sending" for each in w.attempts)

    def swap(self, w: World, before: Worker, after: Worker) -> World:
        """The world with a worker elsewhere."""
        # The workers are alike: which is which makes no difference.
        workers = list(w.workers)
        workers.remove(before)
        return w._replace(workers=tuple(sorted([*workers, after])))
