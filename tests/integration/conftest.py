"""What the tests of several parts at once may ask for beside what all tests may."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from scheduler.api import health
from tests.integration.town import channel as channel
from tests.integration.town import town as town
from tests.unit.delivery.stage import Stage
from workers import deliver, posting

#: Real seconds that no machine takes between a decision and its post.
_AGES = 3600.0


@pytest.fixture
def hurried() -> None:
    """Asked for by a test that is about how old a decision or a rate token may grow: both age as in earnest."""


@pytest.fixture(autouse=True)
def _unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere a delivery in this process may be as slow as the machine: nothing goes back for being too old."""
    if "hurried" not in request.fixturenames:
        monkeypatch.setattr(posting, "OLDEST_DECISION", _AGES)
        monkeypatch.setattr(posting, "fresh_for", lambda rate: _AGES)
        monkeypatch.setattr(deliver, "_first_byte_within", lambda: _AGES)


@pytest.fixture(autouse=True)
def _looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test does to the database shows in the next answer about readiness, not a second later."""
    monkeypatch.setattr(health, "_READY_STANDS", 0.0)


@pytest.fixture
def stage(session: Session) -> Stage:
    """A page and what messages on it need, at an instant that stands."""
    return Stage(session)
