"""The zone that tests on the real clock let people live in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.daytime import zone_at_noon
from workers.sandbox.zones import local


@pytest.mark.parametrize("day", [datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 7, 1, 0, 59, 59, tzinfo=UTC)])
def test_it_is_noon_there_at_every_hour_of_every_season(day: datetime) -> None:
    instants = [(day + timedelta(hours=hour)).timestamp() for hour in range(24)]
    assert {local(at, zone_at_noon(at)).hour for at in instants} == {12}
    assert len({zone_at_noon(at) for at in instants}) == 24
