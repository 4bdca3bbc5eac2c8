"""Is a new policy stricter, looser, or both? Found by search over people, messages and instants, clause by clause.

Each clause that differs is put alone into the old document, and the two sets of permitted times are subtracted both
ways: over trials made so that the clause bites, then at random. What is found is confirmed by ``decide`` and shrunk. A
search proves a difference, never its absence: "none found" says how many trials it is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

from policies.diff.difference import Change, Counterexample, Difference
from policies.diff.edits import edits
from policies.diff.search import compared, newly, no_longer, otherwise, shrunk
from policies.diff.trials import Trial, at_random, directed
from policies.policy import Policy

__all__ = ["Change", "Counterexample", "Difference", "diff"]

#: No clause needs more trials made for it than this; the busiest makes about as many.
_DIRECTED = 6000


def diff(
    old: Policy,
    new: Policy,
    *,
    at: int,
    seed: int = 0,
    budget: int = 300,
    clause: str | None = None,
    tired: Callable[[], bool] | None = None,
) -> Difference:
    """How ``new`` differs from ``old``, searched around the instant ``at`` (epoch seconds UTC).

    ``budget`` random trials are made for each clause and for the whole, from ``seed``. ``clause`` searches one alone;
    raises ValueError where the policies do not differ in it. The search ends early once ``tired`` says so: what was
    found until then stands, and ``cut_short`` tells which searches did not make all of their trials.
    """
    differing = edits(old, new)
    if clause is not None:
        if all(edit.clause != clause for edit in differing):
            known = ", ".join(edit.clause for edit in differing) or "none: the policies say the same"
            raise ValueError(f"the policies do not differ in `{clause}`; they do in {known}")
        differing = tuple(edit for edit in differing if edit.clause == clause)
    changes = []
    seen: list[Trial] = []
    for edit in differing:
        trials = _trials(edit.clause, old, edit.policy, at, seed, budget)
        change, found = _searched(edit.clause, edit.before, edit.after, old, edit.policy, trials, tired)
        changes.append(change)
        seen += found
    if clause is not None:
        overall = changes[0]
    else:
        named = [edit.clause for edit in differing]
        overall, _ = _searched("", None, None, old, new, _overall(named, seen, old, new, at, seed, budget), tired)
    return Difference(same=not differing, changes=tuple(changes), overall=overall)


def _overall(
    clauses: list[str], seen: list[Trial], old: Policy, new: Policy, at: int, seed: int, budget: int
) -> Iterator[Trial]:
    # What told one clause's direction may well tell the whole's.
    yield from seen
    for clause in clauses:
        yield from _trials(clause, old, new, at, seed, budget)


def _trials(clause: str, old: Policy, new: Policy, at: int, seed: int, budget: int) -> Iterator[Trial]:
    yield from islice(directed(clause, old, new, at), _DIRECTED)
    random = Random(f"{seed} {clause}")
    for _ in range(budget):
        yield at_random(random, at)


def _searched(
    clause: str,
    before: str | None,
    after: str | None,
    old: Policy,
    new: Policy,
    trials: Iterator[Trial],
    tired: Callable[[], bool] | None,
) -> tuple[Change, list[Trial]]:
    stricter = looser = reason = None
    cut_short = False
    made = 0
    seen = []
    for trial in trials:
        if tired is not None and tired():
            cut_short = True
            break
        made += 1
        lost, gained = compared(old, new, trial)
        if stricter is None and lost and no_longer(old, new, trial):
            stricter = shrunk(no_longer, old, new, trial)
            seen.append(trial)
        if looser is None and gained and newly(old, new, trial):
            looser = shrunk(newly, old, new, trial)
            seen.append(trial)
        if stricter and looser:
            break
        if reason is None and not stricter and not looser and otherwise(old, new, trial):
            reason = trial
            seen.append(trial)
    said = shrunk(otherwise, old, new, reason) if reason and not stricter and not looser else None
    change = Change(
        clause=clause,
        before=before,
        after=after,
        stricter=stricter,
        looser=looser,
        reason=said,
        trials=made,
        cut_short=cut_short,
        against=new,
    )
    return change, seen
