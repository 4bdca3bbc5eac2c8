"""The people and their script: the same for a seed, and in it everything that a demo must show."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest

from workers.sandbox.people import EVIDENCE, Page, Person, make_pages, make_people
from workers.sandbox.places import PLACES
from workers.sandbox.script import CAMPAIGN, DAY, Act, write_script
from workers.sandbox.words import STOP, language
from workers.sandbox.zones import local, offset_hours, zone

START = datetime.fromisoformat("2026-03-07T12:00:00Z").timestamp()
SEEDS = (1, 7, 20)


def play(seed: int, count: int = 500) -> tuple[list[Page], dict[str, Person], list[Act]]:
    pages = make_pages(seed, "secret", "verify")
    people = make_people(seed, count, pages)
    return pages, {person.psid: person for person in people}, write_script(seed, people, pages, START)


def test_a_seed_makes_the_same_world_every_time() -> None:
    assert play(7) == play(7)
    assert play(7) != play(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_people_are_spread_as_in_life(seed: int) -> None:
    pages, people, _ = play(seed)
    assert len(people) == 500
    assert len(pages) == 4
    assert len({person.zone for person in people.values()}) >= 40
    assert Counter(person.evidence for person in people.values()) == {
        kind: 500 * share // 100 for kind, share in EVIDENCE.items()
    }
    assert Counter(person.page_id for person in people.values()) == {page.id: 125 for page in pages}


def test_every_place_is_a_zone_with_its_country() -> None:
    for place in PLACES:
        assert zone(place.zone).key == place.zone
        assert place.region is None or place.region.startswith(f"{place.country}-")
    fractions = {offset_hours(START, place.zone) % 1 for place in PLACES}
    assert {0.0, 0.5, 0.75} <= fractions


def test_a_shop_knows_only_what_its_records_hold() -> None:
    _, people, _ = play(7)
    for person in people.values():
        if person.evidence == "import_iana":
            assert person.imports["timezone"] == person.zone
        elif person.evidence == "country_only":
            assert person.imports["country"] == person.country
            assert "timezone" not in person.imports
        else:
            assert person.imports == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_some_say_stop_in_their_language_before_and_after_the_campaign(seed: int) -> None:
    _, people, acts = play(seed)
    stops = [act for act in acts if act.intent == "stop"]
    assert len(stops) == 30
    assert {language(people[act.psid].locale) for act in stops} >= {"en", "fr", "de", "es"}
    assert all(act.text in STOP[language(people[act.psid].locale)] for act in stops)
    late = sum(act.at >= START + CAMPAIGN for act in stops)
    assert 6 <= late <= 24
    assert any(act.intent == "start" for act in acts)


@pytest.mark.parametrize("seed", SEEDS)
def test_some_block_the_page_and_are_silent_from_then_on(seed: int) -> None:
    _, _, acts = play(seed)
    blocks = {act.psid: act.at for act in acts if act.kind == "block"}
    assert len(blocks) == 20
    assert not [act for act in acts if act.psid in blocks and act.at > blocks[act.psid]]
    assert 0 < sum(when >= START + CAMPAIGN for when in blocks.values()) < 20


@pytest.mark.parametrize("seed", SEEDS)
def test_windows_outlast_the_night_of_some_and_close_in_that_of_others(seed: int) -> None:
    _, people, acts = play(seed)
    newest: dict[str, float] = {}
    for act in acts:
        if act.opens_window and act.at < START + CAMPAIGN:
            newest[act.psid] = act.at
    outlast, close = 0, 0
    for psid, opened in newest.items():
        name = people[psid].zone
        if 8 <= local(START + CAMPAIGN, name).hour < 20:
            continue
        # 08:00 of the next morning, on the clocks as they are by then.
        morning = next(
            START + CAMPAIGN + minutes * 60
            for minutes in range(0, 24 * 60, 15)
            if local(START + CAMPAIGN + minutes * 60, name).hour == 8
        )
        if opened + 24 * 3600 > morning + 3600:
            outlast += name in ("America/New_York", "America/Chicago", "America/Toronto", "America/St_Johns")
        elif opened + 24 * 3600 < morning:
            close += 1
    assert outlast >= 30
    assert close >= 5


@pytest.mark.parametrize("seed", SEEDS)
def test_most_act_by_day(seed: int) -> None:
    _, people, acts = play(seed)
    by_night = [act for act in acts if local(act.at, people[act.psid].zone).hour < 7]
    assert len(by_night) < len(acts) // 15
    assert all(act.at < START + DAY + 3 * 3600 for act in acts)


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_a_small_world_works_too(count: int) -> None:
    _, people, acts = play(3, count)
    assert len(people) == count
    assert {act.psid for act in acts} == set(people)


def test_ids_are_the_acts_own() -> None:
    _, _, acts = play(7)
    assert len({act.id for act in acts}) == len(acts)
    assert acts == sorted(acts, key=lambda act: act.at)
