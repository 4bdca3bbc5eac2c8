"""A model of the ledger: what workers, the sweep, webhooks, people and the platform do to a message, step by step.

One contact, one message, and what a person sends again in its place. A step is what one transaction, or one act outside
of any, does at once; everything else may happen between two steps. The model has no rules of its own about states: it
moves messages along the arrows of ``scheduler/outbox/arrows.py`` alone, settles attempts by the table of
``scheduler/outbox/settle.py``, and counts crashes as ``scheduler/outbox/sweep.py`` does.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.moves import BY_PAIR
from tests.model.people import PeopleSteps
from tests.model.telling import EvidenceSteps
from tests.model.working import WorkerSteps
from tests.model.world import Message, Step, Worker, World


class Ledger(WorkerSteps, EvidenceSteps, PeopleSteps):
    """The steps of the model."""

    def steps(self, w: World) -> Iterator[Step]:
        """Every step from here: its name, whether it is bound to come in the end, and the world after it."""
        if not w.messages:
            for state in ("scheduled", "denied"):
                begun = w._replace(messages=(Message(""),))
                self.taken.update(arrow for arrow in BY_PAIR[None, state])
                yield f"planned as {state}", True, begun._replace(messages=(Message(state),))
            return
        for i, worker in enumerate(w.workers):
            # Two idle workers are the same worker.
            if worker in w.workers[:i]:
                continue
            yield from self.worker(w, worker)
            if worker.phase != "idle" and w.crashes:
                yield (
                    f"the worker dies while {worker.phase}",
                    False,
                    self.swap(w._replace(crashes=w.crashes - 1), worker, Worker()),
                )
        yield from self.clockwork(w)
        yield from self.platform(w)
        yield from self.people(w)
