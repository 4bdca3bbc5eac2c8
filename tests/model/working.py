"""What a worker does with a message: choose, lock, decide, commit, post, settle."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.outbox.settle import SETTLES
from scheduler.outbox.states import ACCEPTED, UNSENT
from tests.model.moves import Moves
from tests.model.world import LIVE, Attempt, Step, Worker, World, name, put


class WorkerSteps(Moves):
    """The steps of workers; each may die between two of them."""

    def worker(self, w: World, me: Worker) -> Iterator[Step]:
        m = me.message
        if me.phase == "idle":
            for m, message in enumerate(w.messages):
                if message.state == "due" and not self.in_flight(w):
                    early = "opted out" if w.opt_out in (2, 3) else ""
                    yield f"a worker chooses {name(m)}", True, self.swap(w, me, Worker("chosen", m, -1, early))
        elif me.phase == "chosen":
            free = not self.contact_held(w) or self.without == "no lock on the contact"
            yield (
                ("it locks the contact", True, self.swap(w, me, me._replace(phase="locked")))
                if free
                else ("the contact is held: it passes over", True, self.swap(w, me, Worker()))
            )
        elif me.phase == "locked":
            yield from self._decide(w, me)
        elif me.phase == "decided":
            yield from self._commit(w, me)
        elif me.phase == "begun":
            yield from self._post(w, me)
        elif me.phase == "posted":
            if not self.row_free(w, m):
                return
            after = self.swap(w, me, Worker())
            yield f"the answer ({me.holds}) is settled", True, self._settle(after, m, me.attempt, me.holds)

    def _decide(self, w: World, me: Worker) -> Iterator[Step]:
        unfit = w.messages[me.message].state != "due" or self.in_flight(w)
        if unfit and self.without != "no compare-and-set into sending":
            yield "it is not due any more: passed over", True, self.swap(w, me, Worker())
            return
        out = me.holds == "opted out" if self.without == "decided before the lock" else w.opt_out in (2, 3)
        out = out or w.spent
        verdicts = ["denied"] if out else ["expired"] if w.over_time else ["sending"]
        if not out and w.noes:
            verdicts += ["scheduled", "refused"]
        for verdict in verdicts:
            spent = w if verdict not in ("scheduled", "refused") else w._replace(noes=w.noes - 1)
            yield (
                f"it decides: {verdict}",
                verdict != "scheduled",
                self.swap(spent, me, me._replace(phase="decided", holds=verdict)),
            )

    def _commit(self, w: World, me: Worker) -> Iterator[Step]:
        m, verdict = me.message, me.holds
        if verdict != "sending":
            yield f"{verdict} is committed", True, self.move(self.swap(w, me, Worker()), m, verdict, "deliver")
            return
        if me.attempt >= 0:  # the mutant that posted first
            attempt = w.attempts[me.attempt]._replace(outcome="sending")
            after = self.swap(w, me, me._replace(phase="posted", holds="sent"))
            after = after._replace(attempts=put(w.attempts, me.attempt, attempt))
            yield "sending is committed", True, self.move(after, m, "sending", "deliver")
            return
        if self.without == "posted before the commit":
            attempts = (*w.attempts, Attempt(m, "unwritten", has=True))
            yield (
                "it posts; the platform accepts",
                True,
                self.swap(w._replace(attempts=attempts), me, me._replace(attempt=len(attempts) - 1)),
            )
            return
        fenced = any(each.message == m and each.outcome in LIVE for each in w.attempts) or self.in_flight(w)
        if fenced and self.without != "no compare-and-set into sending":
            yield "another attempt lives: it stays due", True, self.swap(w, me, Worker())
            return
        attempts = (*w.attempts, Attempt(m, "sending"))
        after = self.swap(w, me, Worker("begun", m, len(attempts) - 1))._replace(attempts=attempts)
        if self.without != "a token counts once it is known":
            after = self.recount(after)
        if w.opt_out >= 3:
            after = after._replace(wrong="a decision after an acknowledged opt-out sends")
        if any(first.state in ACCEPTED for first in w.messages[:m]):
            after = after._replace(wrong="it is sent again, and the first is known to have arrived")
        if w.messages[m].state == "due" or self.without:
            after = self.move(after, m, "sending", "deliver")
        yield "sending is committed", True, after

    def _post(self, w: World, me: Worker) -> Iterator[Step]:
        def answered(answer: str, *, has: bool = False, spend: int = 0) -> World:
            attempts = put(w.attempts, me.attempt, w.attempts[me.attempt]._replace(has=has)) if has else w.attempts
            after = w._replace(attempts=attempts, noes=w.noes - spend)
            return self.swap(after, me, me._replace(phase="posted", holds=answer))

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
        w = w._replace(attempts=put(w.attempts, a, attempt._replace(outcome=result, told=told)))
        if self.without != "a refusal keeps the token":
            w = self.recount(w)
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
