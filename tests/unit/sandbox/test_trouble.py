"""What the sandbox can let go wrong: how webhooks travel, and what a fault says."""

from __future__ import annotations

from workers.sandbox.faults import Fault, Faults
from workers.sandbox.weather import Journey, Weather, journey


def test_in_fair_weather_every_event_is_told_once_and_at_once() -> None:
    assert {journey(Weather(), str(seed), may_vanish=True).pauses for seed in range(50)} == {(0.0,)}


def test_in_foul_weather_events_come_late_several_times_or_never() -> None:
    weather = Weather(repeated=0.5, copies=5, late=0.5, latest=8.0, lost=0.2)
    journeys = [journey(weather, str(seed), may_vanish=True) for seed in range(400)]
    assert {len(each.pauses) for each in journeys} == {0, 1, 5}
    assert 40 < sum(not each.pauses for each in journeys) < 120
    firsts = [each.pauses[0] for each in journeys if each.pauses]
    assert max(firsts) <= 8.0
    assert 0.3 < sum(first > 0 for first in firsts) / len(firsts) < 0.7
    # Whatever comes again comes after the first time.
    assert all(again > each.pauses[0] for each in journeys for again in each.pauses[1:])


def test_the_same_seed_meets_the_same_and_what_people_do_never_vanishes() -> None:
    weather = Weather(lost=1.0, late=1.0, latest=3.0)
    assert journey(weather, "a", may_vanish=True) == Journey(pauses=())
    assert journey(weather, "a", may_vanish=False) == journey(weather, "a", may_vanish=False)
    assert journey(weather, "a", may_vanish=False).pauses[0] > 0


def test_faults_wait_for_their_page_and_are_used_up() -> None:
    faults = Faults()
    faults.ask(Fault(kind="error", code=613, page_id="1", count=2))
    faults.ask(Fault(kind="drip"))
    kinds = [found.kind if (found := faults.take(page)) else None for page in ("1", "2", "1", "1", "2")]
    assert kinds == ["error", "drip", "error", None, None]
