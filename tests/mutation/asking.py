"""How the tests are asked about a mutant: the copy's ``tests/conftest.py``, put there by ``run.py``.

The tests of the file that was changed go first, the quickest before the others: most mutants are noticed at once. A
test that takes many times as long as it did is over: the mutant never comes to an end. And the engine's short way is
shut, for it decides most cases without the rules: what is noticed about a rule is noticed about the rule. Only the
tests of the short way itself keep it open.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies import engine

#: What mutmut wrote when it ran the tests on the unchanged code; not there before.
STATS = Path("mutmut-stats.json")
#: mutmut's own exit code for what never comes to an end.
ENDLESS = 36
DECIDE_PLAIN = engine.decide_plain
SHORT_WAY = ("test_short_way", "test_memory_and_edges")


def durations() -> dict[str, float]:
    return json.loads(STATS.read_text(encoding="utf-8"))["duration_by_test"] if STATS.exists() else {}


TOOK = durations()
#: The files of the two ways.
WAYS = ("engine", "quick", "plain", "plain_blame", "stretches")
#: The tests of a file whose name says so only to a person.
OF = {
    "frequency_cap": "test_caps_and_gaps",
    "minimum_gap": "test_caps_and_gaps",
    "messaging_window": "test_grounds",
    "engine": "test_verdicts_and_blame",
    "intervals": "test_interval_laws",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # A mutant's name is such as policies.rules.consent.x_lasts__mutmut_7.
    changed = os.environ.get("MUTANT_UNDER_TEST", "").rpartition(".")[0].rpartition(".")[2]
    own = OF.get(changed, f"test_{changed}")
    items.sort(key=lambda item: (item.path.stem != own, TOOK.get(item.nodeid, 0.0)))
    if changed and changed not in WAYS:
        # Both ways read the rules, so how the ways compare says little of a rule, and takes long.
        items[:] = [item for item in items if item.path.stem != "test_short_way"]


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly and "WORKED_OUT_AHEAD" in os.environ:
        # Every mutant starts as a copy of this process, and none of them changes the general path.
        for module in {item.module for item in session.items if isinstance(item, pytest.Function)}:
            if hasattr(module, "worked_out"):
                module.worked_out()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    engine.decide_plain = DECIDE_PLAIN if item.path.stem in SHORT_WAY else lambda *_: None
    signal.signal(signal.SIGPROF, lambda *_: os._exit(ENDLESS))
    if TOOK:
        signal.setitimer(signal.ITIMER_PROF, 5 + 8 * TOOK.get(item.nodeid, 1.0))
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
