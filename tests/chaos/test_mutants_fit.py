"""The mutants of ``make chaos-ci`` still fit the code: told at once, not minutes into a run."""

from __future__ import annotations

import pytest

from tests.chaos.test_chaos_mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_a_mutant_replaces_what_is_there(mutant: Mutant) -> None:
    text = (ROOT / mutant.path).read_text()
    assert [text.count(old) for old, _new in mutant.edits] == [1] * len(mutant.edits)
