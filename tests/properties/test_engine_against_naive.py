"""The engine against a second, slow reading of the same specification, on random facts.

``make agree`` does the same on many more.
"""

from __future__ import annotations

import pytest

from tests.properties.agreement import Seen, compare

#: In parts, so that a difference is told after one of them.
PARTS = range(20261121, 20261124)
CASES = 150


@pytest.fixture(scope="module")
def seen() -> Seen:
    return Seen()


@pytest.mark.parametrize("seed", PARTS)
def test_random_facts_are_decided_alike(seed: int, seen: Seen) -> None:
    part = compare(seed, CASES)
    seen.add(part)
    assert part.differences == []


def test_the_random_facts_were_of_every_sort(seen: Seen) -> None:
    if seen.cases == CASES * len(PARTS):  # not where one part was asked for by its name
        assert seen.missing(least=2) == []
