"""The model check: every world of every scope keeps the invariants; every mutant breaks one, by the shortest way."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.outbox.arrows import TABLE, Arrow
from scheduler.outbox.settle import SETTLES
from tests.model.ledger_model import Ledger
from tests.model.moves import Drift
from tests.model.scopes import MUTANTS, SCOPES
from tests.model.search import search

pytestmark = pytest.mark.timeout(120)

_BY_NAME = {scope.name: scope for scope in SCOPES}


def test_every_reachable_world_keeps_the_invariants_and_every_arrow_is_taken(capsys: Any) -> None:
    taken: set[Arrow] = set()
    lines = []
    for scope in SCOPES:
        ledger = Ledger(scope)
        found = search(ledger)
        taken |= ledger.taken
        lines.append(f"{found.states:>7,} states {found.steps:>8,} steps {found.seconds:6.2f} s  {scope.name}")
        assert not found.broken, f"{scope.name}: {found.broken}\n  " + "\n  ".join(found.trace)
    with capsys.disabled():
        print("\nmodel check of the ledger\n" + "\n".join(lines))  # noqa: T201 - the figures are the point
    # Whatever the code may do to a message, the model does: an arrow that is added has to be added to the model.
    # (A restore takes the whole world back: ``tests/integration/lineage`` plays that on real databases.)
    assert [arrow for arrow in TABLE if arrow not in taken and arrow.cause != "restored"] == []


@pytest.mark.parametrize("mutant", MUTANTS)
def test_every_mutant_is_caught(mutant: str, capsys: Any) -> None:
    scope, broken = MUTANTS[mutant]
    found = search(Ledger(_BY_NAME[scope], mutant))
    assert found.broken == broken
    way = "".join(f"\n    {number:>2}. {step}" for number, step in enumerate(found.trace, 1))
    with capsys.disabled():
        print(f"\n  {mutant}: {found.broken} ({found.states:,} states){way}")  # noqa: T201 - so is the trace


def test_there_are_enough_mutants_and_the_model_knows_each() -> None:
    assert len(MUTANTS) >= 10


def test_the_model_moves_along_no_arrow_that_the_table_lacks() -> None:
    ledger = Ledger(SCOPES[0])
    [denied] = [world for _, _, world in ledger.steps(ledger.start()) if world.messages[0].state == "denied"]
    with pytest.raises(Drift, match="denied → due by tick"):
        ledger.move(denied, 0, "due", "tick")


def test_the_model_settles_by_the_table_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    # Were an answer let in after the evidence, the model would go wrong with the code.
    monkeypatch.setitem(SETTLES, "in_doubt", (frozenset({"sending", "sent"}), "in_doubt"))
    with pytest.raises(Drift, match="sent → in_doubt by deliver"):
        search(Ledger(SCOPES[0]))


def test_a_scope_without_an_end_is_refused() -> None:
    with pytest.raises(RuntimeError, match="more than 10 states"):
        search(Ledger(SCOPES[0]), limit=10)
