"""The chaos run, small: the same faults and the same judge as ``make chaos``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Options, run

pytestmark = pytest.mark.chaos


@pytest.mark.timeout(240)
def test_nothing_is_lost_doubled_or_said_wrongly_while_everything_breaks(tmp_path: Path) -> None:
    options = Options(seed=5, people=250, seconds=45, kills=12, opt_outs=80, orders=150, page_rate=10, stop=12)
    said: list[str] = []
    outcome = run(options, said.append, keep=tmp_path)
    assert outcome.failures == [], "\n".join(said)
    figures = outcome.judgement.figures
    # A run in which nothing happened would prove nothing.
    assert sum(outcome.kills.values()) >= 10
    # Enough to have been judged; how much a machine gets done in the time is its own.
    assert figures["accepted"] >= 100
    assert figures["sending_at_kills"] >= 1
    assert sum(figures["faulty_answers"].values()) >= 15
    assert figures["opt_outs_acknowledged"] >= 75
