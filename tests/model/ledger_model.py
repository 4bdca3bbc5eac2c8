"""A model of the ledger: what workers, the sweep, webhooks, people and the platform do to a message, step by step.

One contact, one message, and what a person sends again in its place. A step is what one transaction, or one act outside
of any, does at once; everything else may happen between two steps. The model has no rules of its own about states: it
moves messages along the arrows of ``scheduler/outbox/arrows.py`` alone, settles attempts by the table of
``scheduler/outbox/settle.py``, and counts crashes as ``scheduler/outbox/sweep.py`` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from scheduler.outbox.arrows import TABLE, Arrow
from scheduler.outbox.settle import SETTLES
from scheduler.outbox.states import ACCEPTED, DEAD_LETTERS, UNSENT
from scheduler.outbox.sweep import CRASHES

_T = TypeVar("_T")

LIVE = ("sending", "in_doubt", "unconfirmed")
OVER = frozenset({*ACCEPTED, *DEAD_LETTERS, "denied", "expired", "cancelled"})
_BY_PAIR: dict[tuple[str | None, str], list[Arrow]] = {}
for _arrow in TABLE:
    _BY_PAIR.setdefault((_arrow.came, _arrow.to), []).append(_arrow)


class Drift(Exception):
    """The model moves where the table has no arrow: one of the two is wrong."""


class Message(NamedTuple):
    """A message; ``heard``: 1 of a delivery, 2 of a read; ``note``: what is kept of that for its acceptance."""

    state: str
    parked: bool = False
    crashes: int = 0
    heard: int = 0
    note: int = 0
    logged: bool = True


class Attempt(NamedTuple):
    """An attempt; ``has``: whether the platform has it; ``told``: whether evidence of that reached us."""

    message: int
    outcome: str
    has: bool = False
    told: bool = False


class Worker(NamedTuple):
    """Where a worker is: idle, chosen, locked, decided, begun, posted, and with what in its hands."""

    phase: str = "idle"
    message: int = -1
    attempt: int = -1
    holds: str = ""


class World(NamedTuple):
    """Everything there is, and how much of each trouble is left."""

    messages: tuple[Message, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    workers: tuple[Worker, ...] = (Worker(), Worker())
    #: 0 nothing, 1 its transaction is open (the contact is locked), 2 committed, 3 acknowledged with 200; 4, in a
    #: mutant: acknowledged and lost.
    opt_out: int = 0
    #: The attempt that the sweep has seen and not yet written to; -1: none.
    swept: int = -1
    over_time: bool = False
    crashes: int = 0
    noes: int = 0
    cancels: int = 0
    resends: int = 0
    #: Whether the person who sent again was told that it may arrive twice.
    warned: bool = False
    #: What went wrong in a step, where the world that it leaves does not show it.
    wrong: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may happen: the troubles that are let loose, and how often."""

    name: str
    workers: int = 1
    crashes: int = 0
    #: How often an attempt may be answered with a no, given back, or a decision put off.
    noes: int = 0
    cancels: int = 0
    resends: int = 0
    opt_out: bool = False
    time: bool = False
    #: Deliveries and reads, too.
    deliveries: bool = False
    #: The platform may call the window closed; the person may write.
    window: bool = False
    #: The platform may answer with a no and have the message all the same.
    errs: bool = False


Step = tuple[str, bool, World]


class Ledger:
    """The steps of the model; ``without`` names what a mutant leaves out or does wrong."""

    def __init__(self, scope: Scope, without: str = "") -> None:
        """``without`` is a name of ``mutants.py``; empty: the model of what the code does."""
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

    # ---- moving along the arrows -------------------------------------------------------------------------------

    def move(self, w: World, m: int, to: str, who: str, cause: str = "", **change: object) -> World:
        """Take the message along an arrow, with its row of the log."""
        message = w.messages[m]
        found = [
            arrow
            for arrow in _BY_PAIR.get((message.state, to), ())
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
            messages=_put(w.messages, m, message._replace(state=to, logged=logged, **change)),  # type: ignore[arg-type]  # fields of a message
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

    # ---- all that can happen next ------------------------------------------------------------------------------

    def steps(self, w: World) -> Iterator[Step]:
        """Every step from here: its name, whether it is bound to come in the end, and the world after it."""
        if not w.messages:
            for state in ("scheduled", "denied"):
                begun = w._replace(messages=(Message(""),))
                self.taken.update(arrow for arrow in _BY_PAIR[None, state])
                yield f"planned as {state}", True, begun._replace(messages=(Message(state),))
            return
        for i, worker in enumerate(w.workers):
            # Two idle workers are the same worker.
            if worker in w.workers[:i]:
                continue
            yield from self._worker(w, worker)
            if worker.phase != "idle" and w.crashes:
                yield (
                    f"the worker dies while {worker.phase}",
                    False,
                    self._swap(w._replace(crashes=w.crashes - 1), worker, Worker()),
                )
        yield from self._clockwork(w)
        yield from self._platform(w)
        yield from self._people(w)

    def _worker(self, w: World, me: Worker) -> Iterator[Step]:
        m = me.message
        if me.phase == "idle":
            for m, message in enumerate(w.messages):
                if message.state == "due" and not self._in_flight(w):
                    early = "opted out" if w.opt_out in (2, 3) else ""
                    yield f"a worker chooses {_name(m)}", True, self._swap(w, me, Worker("chosen", m, -1, early))
        elif me.phase == "chosen":
            free = not self._contact_held(w) or self.without == "no lock on the contact"
            yield (
                ("it locks the contact", True, self._swap(w, me, me._replace(phase="locked")))
                if free
                else ("the contact is held: it passes over", True, self._swap(w, me, Worker()))
            )
        elif me.phase == "locked":
            yield from self._decide(w, me)
        elif me.phase == "decided":
            yield from self._commit(w, me)
        elif me.phase == "begun":
            yield from self._post(w, me)
        elif me.phase == "posted":
            if not self._row_free(w, m):
                return
            after = self._swap(w, me, Worker())
            yield f"the answer ({me.holds}) is settled", True, self._settle(after, m, me.attempt, me.holds)

    def _decide(self, w: World, me: Worker) -> Iterator[Step]:
        unfit = w.messages[me.message].state != "due" or self._in_flight(w)
        if unfit and self.without != "no compare-and-set into sending":
            yield "it is not due any more: passed over", True, self._swap(w, me, Worker())
            return
        out = me.holds == "opted out" if self.without == "decided before the lock" else w.opt_out in (2, 3)
        verdicts = ["denied"] if out else ["expired"] if w.over_time else ["sending"]
        if not out and w.noes:
            verdicts += ["scheduled", "refused"]
        for verdict in verdicts:
            spent = w if verdict not in ("scheduled", "refused") else w._replace(noes=w.noes - 1)
            yield (
                f"it decides: {verdict}",
                verdict != "scheduled",
                self._swap(spent, me, me._replace(phase="decided", holds=verdict)),
            )

    def _commit(self, w: World, me: Worker) -> Iterator[Step]:
        m, verdict = me.message, me.holds
        if verdict != "sending":
            yield f"{verdict} is committed", True, self.move(self._swap(w, me, Worker()), m, verdict, "deliver")
            return
        if me.attempt >= 0:  # the mutant that posted first
            attempt = w.attempts[me.attempt]._replace(outcome="sending")
            after = self._swap(w, me, me._replace(phase="posted", holds="sent"))
            after = after._replace(attempts=_put(w.attempts, me.attempt, attempt))
            yield "sending is committed", True, self.move(after, m, "sending", "deliver")
            return
        if self.without == "posted before the commit":
            attempts = (*w.attempts, Attempt(m, "unwritten", has=True))
            yield (
                "it posts; the platform accepts",
                True,
                self._swap(w._replace(attempts=attempts), me, me._replace(attempt=len(attempts) - 1)),
            )
            return
        fenced = any(each.message == m and each.outcome in LIVE for each in w.attempts) or self._in_flight(w)
        if fenced and self.without != "no compare-and-set into sending":
            yield "another attempt lives: it stays due", True, self._swap(w, me, Worker())
            return
        attempts = (*w.attempts, Attempt(m, "sending"))
        after = self._swap(w, me, Worker("begun", m, len(attempts) - 1))._replace(attempts=attempts)
        if w.opt_out >= 3:
            after = after._replace(wrong="a decision after an acknowledged opt-out sends")
        if any(first.state in ACCEPTED for first in w.messages[:m]):
            after = after._replace(wrong="it is sent again, and the first is known to have arrived")
        if w.messages[m].state == "due" or self.without:
            after = self.move(after, m, "sending", "deliver")
        yield "sending is committed", True, after

    def _post(self, w: World, me: Worker) -> Iterator[Step]:
        def answered(answer: str, *, has: bool = False, spend: int = 0) -> World:
            attempts = _put(w.attempts, me.attempt, w.attempts[me.attempt]._replace(has=has)) if has else w.attempts
            after = w._replace(attempts=attempts, noes=w.noes - spend)
            return self._swap(after, me, me._replace(phase="posted", holds=answer))

        timeout = "not_sent" if self.without == "a timeout counts as not sent" else "in_doubt"
        yield "it posts; accepted, answered", True, answered("sent", has=True)
        yield "it posts; accepted, the answer is lost", False, answered(timeout, has=True)
        yield "it posts; nobody answers", False, answered(timeout)
        if w.noes:
            yield "it posts; refused", False, answered("refused", spend=1)
            yield "it gives back: the decision is too old", False, answered("not_sent", spend=1)
            yield "it posts; throttled: later", False, answered("later", spend=1)
            if self.scope.window:
                yield "it posts; the window is closed", False, answered("window_closed", spend=1)
            if self.scope.errs:
                yield "it posts; accepted, answered with a refusal", False, answered("refused", has=True, spend=1)
                yield "it posts; accepted, answered as throttled", False, answered("later", has=True, spend=1)

    def _settle(self, w: World, m: int, a: int, answer: str) -> World:
        result = {"later": "not_sent", "window_closed": "not_sent"}.get(answer, answer)
        attempt, message = w.attempts[a], w.messages[m]
        before, to = SETTLES[result]
        if attempt.outcome not in before and self.without != "a late answer overrules the evidence":
            return w
        told = attempt.told or result == "sent"
        w = w._replace(attempts=_put(w.attempts, a, attempt._replace(outcome=result, told=told)))
        if result == "sent":
            return w if message.state in ACCEPTED else self.accept(w, m, "deliver")
        if message.state not in before and self.without != "a late answer overrules the evidence":
            return w
        later = answer in ("later", "window_closed")
        w = self.move(w, m, "scheduled" if later else to, "deliver", parked=answer == "window_closed")
        # What comes back unsent and repeats what has arrived meanwhile is not needed.
        arrived = any(first.state in ACCEPTED for first in w.messages[:m])
        if w.messages[m].state in UNSENT and arrived and self.without != "a re-send goes on when the first had arrived":
            return self.move(w, m, "cancelled", "deliver", "what it repeats had arrived", parked=False)
        return w

    def _clockwork(self, w: World) -> Iterator[Step]:
        """Beat's tasks, and time."""
        for m, message in enumerate(w.messages):
            if message.state == "scheduled" and self._row_free(w, m):
                if not message.parked:
                    yield f"tick: {_name(m)} is due", True, self.move(w, m, "due", "tick")
                elif w.over_time and self.without != "what is parked has no end":
                    yield (
                        f"tick: {_name(m)} was parked until its end",
                        True,
                        self.move(w, m, "expired", "tick", parked=False),
                    )
        if self.scope.time and not w.over_time:
            yield "time runs out", True, w._replace(over_time=True)
        if self.without != "nobody sweeps":
            yield from self._sweep(w)
        for a, attempt in enumerate(w.attempts):
            if attempt.outcome == "in_doubt" and self._row_free(w, attempt.message):
                if self.without == "doubt has no end":
                    continue
                again = self.without == "what is in doubt is sent again"
                after = w._replace(
                    attempts=_put(w.attempts, a, attempt._replace(outcome="not_sent" if again else "unconfirmed"))
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
        if not self._row_free(w, attempt.message):
            return
        after = w._replace(swept=-1)
        blind = self.without == "the sweep writes what it saw before"
        if attempt.outcome != "sending" and not blind:
            yield "the sweep finds it settled", True, after
            return
        message = w.messages[attempt.message]
        again = self.without == "what a dead worker left is sent again"
        outcome = "not_sent" if again else "in_doubt"
        after = after._replace(attempts=_put(w.attempts, a, attempt._replace(outcome=outcome)))
        if message.state == "sending" or blind:
            crashes = message.crashes + 1
            to = "dead" if crashes >= CRASHES else "due" if again else "in_doubt"
            after = self.move(after, attempt.message, to, "sweep", crashes=crashes)
        yield "the sweep puts it in doubt", True, after

    def _platform(self, w: World) -> Iterator[Step]:
        """Webhooks: echoes, deliveries and reads, at any time after the platform has it, never, or again and again."""
        for a, attempt in enumerate(w.attempts):
            m = attempt.message
            if not attempt.has or attempt.outcome == "unwritten" or not self._row_free(w, m):
                continue
            yield f"an echo of attempt {a + 1}", False, self._echo(w, a)
            if self.scope.deliveries:
                yield "a delivery", False, self._evidence(w, m, 1)
                yield "a read", False, self._evidence(w, m, 2)
        # Anybody may write our ids into the metadata of a message of their own; nobody has our key.
        if self.without == "metadata without its MAC":
            for a, attempt in enumerate(w.attempts):
                if self._row_free(w, attempt.message):
                    yield f"another app's message names attempt {a + 1}", False, self._echo(w, a)

    def _echo(self, w: World, a: int) -> World:
        attempt = w.attempts[a]
        m = attempt.message
        state = w.messages[m].state
        told = _put(w.attempts, a, attempt._replace(outcome="sent", told=True))
        if self.without == "late evidence is ignored" and state in ("unconfirmed", "dead"):
            return w._replace(attempts=_put(w.attempts, a, attempt._replace(told=True)))
        after = w._replace(attempts=told)
        return after if state in ACCEPTED else self.accept(after, m, "webhook")

    def _evidence(self, w: World, m: int, kind: int) -> World:
        message = w.messages[m]._replace(heard=max(kind, w.messages[m].heard))
        w = w._replace(messages=_put(w.messages, m, message))
        to = ACCEPTED[kind]
        if message.state in ACCEPTED:
            behind = ACCEPTED.index(message.state) < kind or self.without == "a delivery after the read counts"
            return self.move(w, m, to, "webhook") if behind and message.state != to else w
        if message.note >= kind or self.without == "early evidence is dropped":
            return w
        return w._replace(messages=_put(w.messages, m, message._replace(note=kind)))

    def _people(self, w: World) -> Iterator[Step]:
        """The person who gets it, and those who send."""
        if self.scope.opt_out:
            yield from self._opt_out(w)
        for m, message in enumerate(w.messages):
            if message.parked and self.scope.window and self._row_free(w, m) and not self._contact_held(w):
                yield "the person writes", False, self.move(w, m, "due", "wake", parked=False)
            unsent = (*UNSENT, "sending") if self.without == "cancelled whatever its state" else UNSENT
            if w.cancels and message.state in unsent and self._row_free(w, m):
                yield (
                    f"{_name(m)} is cancelled",
                    False,
                    self.move(w._replace(cancels=w.cancels - 1), m, "cancelled", "person", parked=False),
                )
        last = len(w.messages) - 1
        states = (*DEAD_LETTERS, "in_doubt") if self.without == "sent again while in doubt" else DEAD_LETTERS
        if w.resends and w.messages[last].state in states and not self._contact_held(w) and self._row_free(w, last):
            first = w.messages[last]
            state = "denied" if w.opt_out in (2, 3) else "scheduled"
            again = Message(state, crashes=first.crashes)
            yield f"a person sends {_name(last)} again: {state}", False, w._replace(
                messages=(*w.messages, again), resends=w.resends - 1,
                warned=w.warned or first.state in ("unconfirmed", "dead"),
            )  # fmt: skip

    def _opt_out(self, w: World) -> Iterator[Step]:
        if w.opt_out == 0 and not self._contact_held(w):
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

    # ---- who holds what ----------------------------------------------------------------------------------------

    def _contact_held(self, w: World) -> bool:
        return w.opt_out == 1 or any(each.phase in ("locked", "decided") for each in w.workers)

    def _row_free(self, w: World, m: int) -> bool:
        """Whether nobody holds the message's row; of a dead letter, also those of its re-sends."""
        rows = range(m, len(w.messages)) if w.messages[m].state in DEAD_LETTERS else (m,)
        return not any(each.phase in ("locked", "decided") and each.message in rows for each in w.workers)

    def _in_flight(self, w: World) -> bool:
        return any(each.outcome == "sending" for each in w.attempts)

    def _swap(self, w: World, before: Worker, after: Worker) -> World:
        # The workers are alike: which is which makes no difference.
        workers = list(w.workers)
        workers.remove(before)
        return w._replace(workers=tuple(sorted([*workers, after])))


def _put(row: tuple[_T, ...], place: int, value: _T) -> tuple[_T, ...]:
    return (*row[:place], value, *row[place + 1 :])


def _name(m: int) -> str:
    return "the message" if m == 0 else "the re-send"
