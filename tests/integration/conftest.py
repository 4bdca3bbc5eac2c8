"""What the tests of several parts at once may ask for beside what all tests may."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from tests.integration.town import channel as channel
from tests.integration.town import town as town
from tests.unit.delivery.stage import Stage


@pytest.fixture
def stage(session: Session) -> Stage:
    """A page and what messages on it need, at an instant that stands."""
    return Stage(session)
