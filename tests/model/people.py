"""What people do: the person who gets the messages, and those who send."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.outbox.states import DEAD_LETTERS, UNSENT
from tests.model.moves import Moves
from tests.model.world import Message, Step, World, name


class PeopleSteps(Moves):
    """The steps of people."""

    def people(self, w: World) -> Iterator[Step]:
        """The person who gets it, and those who send."""
        if self.scope.opt_out:
            yield from self._opt_out(w)
        for m, message in enumerate(w.messages):
            if message.parked and self.scope.window and self.row_free(w, m) and not self.contact_held(w):
                yield "the person writes", False, self.move(w, m, "due", "wake", parked=False)
            unsent = (*UNSENT, "sending") if self.without == "cancelled whatever its state" else UNSENT
            if w.cancels and message.state in unsent and self.row_free(w, m):
                yield (
                    f"{name(m)} is cancelled",
                    False,
                    self.move(w._replace(cancels=w.cancels - 1), m, "cancelled", "person", parked=False),
                )
        last = len(w.messages) - 1
        states = (*DEAD_LETTERS, "in_doubt") if self.without == "sent again while in doubt" else DEAD_LETTERS
        if w.resends and w.messages[last].state in states and not self.contact_held(w) and self.row_free(w, last):
            first = w.messages[last]
            state = "denied" if w.opt_out in (2, 3) or w.spent else "scheduled"
            again = Message(state, crashes=first.crashes)
            yield f"a person sends {name(last)} again: {state}", False, w._replace(
                messages=(*w.messages, again), resends=w.resends - 1,
                warned=w.warned or first.state in ("unconfirmed", "dead"),
            )  # fmt: skip

    def _opt_out(self, w: World) -> Iterator[Step]:
        if w.opt_out == 0 and not self.contact_held(w):
            early = self.without == "acknowledged before the commit"
            yield "STOP arrives; the contact is locked", False, w._replace(opt_out=1)
            if early:
                yield "STOP arrives, is acknowledged, and the web process dies", False, w._replace(opt_out=4)
        elif w.opt_out == 1:
            yield "STOP is committed", True, w._replace(opt_out=2)
            if w.crashes:
                yield (
                    "the web process dies; the platform tries again",
                    False,
                    w._replace(opt_out=0, crashes=w.crashes - 1),
                )
        elif w.opt_out == 2:
            yield "STOP is acknowledged", True, w._replace(opt_out=3)
