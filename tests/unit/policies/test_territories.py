"""Territories with a country's code of their own, however they are written: their zones, their laws, their holidays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.binding import binding_of
from policies.calendars import known_calendar
from policies.countries import known_countries, zones_of_countries
from policies.engine import decide
from policies.facts import Facts, Token
from policies.law import jurisdiction_pack
from policies.local_time import distinct_zones
from policies.places import place_of
from policies.policy import load_policy
from policies.territories import parse_territories, territories, territory_of_region
from policies.toml_source import PolicyError

#: Every code of ISO 3166-2 that names a place with a code of its own in ISO 3166-1 (iso-codes 4.20, pycountry 26.2.16).
OVERLAPS = {
    "CN-HK": "HK", "CN-MO": "MO", "CN-TW": "TW", "FI-01": "AX", "FR-971": "GP", "FR-972": "MQ", "FR-973": "GF",
    "FR-974": "RE", "FR-976": "YT", "FR-BL": "BL", "FR-MF": "MF", "FR-NC": "NC", "FR-PF": "PF", "FR-PM": "PM",
    "FR-TF": "TF", "FR-WF": "WF", "NL-AW": "AW", "NL-BQ1": "BQ", "NL-BQ2": "BQ", "NL-BQ3": "BQ", "NL-CW": "CW",
    "NL-SX": "SX", "NO-21": "SJ", "NO-22": "SJ", "US-AS": "AS", "US-GU": "GU", "US-MP": "MP", "US-PR": "PR",
    "US-UM": "UM", "US-VI": "VI",
}  # fmt: skip
#: As files carry them: the state's code with the territory's own, withdrawn codes, those of posts and statisticians.
WRITTEN = {
    "FR-RE": "RE", "FR-GP": "GP", "FR-975": "PM", "FR-987": "PF", "FR-988": "NC", "NL-BQ": "BQ", "FI-AX": "AX",
    "FI-AL": "AX", "NO-SJ": "SJ", "CN-91": "HK", "CN-71": "TW", "AU-CX": "CX", "AU-NF": "NF", "DK-FO": "FO",
    "DK-GL": "GL", "GB-JE": "JE", "GB-GSY": "GG", "GB-IMN": "IM", "GB-GI": "GI", "GB-BM": "BM", "NZ-TK": "TK",
    "US-FM": "FM", "US-MH": "MH", "US-PW": "PW",
}  # fmt: skip
#: Art. 355 TFEU, and Åland's protocol.
IN_THE_UNION = {"GP", "MQ", "GF", "RE", "YT", "MF", "AX"}


@pytest.mark.parametrize(("region", "code"), [*OVERLAPS.items(), *WRITTEN.items()])
def test_a_territory_as_a_region_has_its_own_zones_and_its_states_laws(region: str, code: str) -> None:
    state = region.partition("-")[0]
    for facts in (Facts(region=region), Facts(region=region, country=state), Facts(region=region, country=code)):
        place = place_of(facts)
        assert (place.zones, place.evidence) == (distinct_zones(zones_of_countries()[code]), "region")
        assert place.countries == (code,)
        assert {code, state} <= set(place.jurisdictions)
        assert ("EU" in place.jurisdictions) == (code in IN_THE_UNION)
    # A profile's offset is worse evidence than the place; a zone that was stated is better.
    assert place_of(Facts(region=region, utc_offset=60)).evidence == "region"
    assert place_of(Facts(region=region, timezones=("Asia/Tokyo",))).zones == ("Asia/Tokyo",)


@pytest.mark.parametrize("code", sorted(set(OVERLAPS.values())))
def test_the_same_laws_bind_where_the_territory_is_the_country_or_its_zone_is_known(code: str) -> None:
    known = territories()[code]
    (state, *_) = {region.partition("-")[0] for region, its in OVERLAPS.items() if its == code}
    assert known.state == state
    assert set(known.regions) >= {region for region, its in OVERLAPS.items() if its == code}
    wanted = {code, *((state,) if known.takes_state_law else ()), *(("EU",) if code in IN_THE_UNION else ())}
    assert set(place_of(Facts(country=code)).jurisdictions) == wanted
    for zone in zones_of_countries()[code]:
        assert set(place_of(Facts(timezones=(zone,))).jurisdictions) == wanted, zone
        assert place_of(Facts(timezones=(zone,), country=code)).remarks == ()


def test_hong_kong_macao_and_taiwan_make_their_own_rules() -> None:
    assert {code for code in OVERLAPS.values() if not territories()[code].takes_state_law} == {"HK", "MO", "TW"}
    assert place_of(Facts(country="TW")).jurisdictions == ("TW",)
    # Whoever names the state as well gets both.
    assert place_of(Facts(region="CN-TW")).jurisdictions == ("CN-TW", "TW", "CN")


def test_no_territory_hides_an_ordinary_region() -> None:
    for region in ("US-GA", "US-IN", "US-CO", "FR-75", "FR-20R", "FI-18", "NO-03", "CN-SH", "AU-NT", "GB-ENG", "NL-NH"):
        assert territory_of_region(region) is None
        assert place_of(Facts(region=region)).countries == (region[:2],)
    assert place_of(Facts(country="FR")).zones == ("Europe/Paris",)
    assert place_of(Facts(region="BQ-BO")).jurisdictions == ("BQ-BO", "BQ", "NL")


def test_every_territory_is_a_country_of_iso_whose_state_is_none_of_them() -> None:
    for code, each in territories().items():
        assert {code, each.state} <= known_countries()
        assert each.state not in territories()
        # Nobody there is without public holidays.
        assert known_calendar(code)
    union = jurisdiction_pack("EU")
    assert union is not None
    assert {code for code, each in territories().items() if each.union} == IN_THE_UNION
    assert not IN_THE_UNION & set(union.members)


@pytest.mark.parametrize(
    ("facts", "calendars"),
    [
        (Facts(region="FR-974"), "RE"), (Facts(country="RE"), "RE"), (Facts(timezones=("Indian/Reunion",)), "RE"),
        (Facts(region="FR-57"), "FR-57"), (Facts(country="FR"), "FR"),
        (Facts(timezones=("Indian/Reunion", "Europe/Paris")), "FR,RE"),
    ],
)  # fmt: skip
def test_holidays_are_those_of_the_territory(facts: Facts, calendars: str) -> None:
    hours = binding_of(load_policy("default"), facts).hours
    assert [each.holidays for each in hours if each.id == "fr-sms-af2m"] == [calendars]
    # 20 December, the end of slavery, is Réunion's alone: a Sunday's hours in the French pack, so nothing goes.
    noon = int(datetime(2027, 12, 20, 8, tzinfo=UTC).timestamp())
    decision = decide(load_policy("default"), Facts(region="FR-974", last_inbound=noon - 60), noon)
    assert (decision.verdict, decision.reason) == ("defer", "closed_day")


@pytest.mark.parametrize(
    ("facts", "goes"),
    [
        (Facts(country="RE"), False), (Facts(region="FR-974"), False), (Facts(region="FI-01"), False),
        (Facts(timezones=("America/Cayenne",)), False), (Facts(country="FR"), False), (Facts(country="NF"), False),
        (Facts(country="PF"), True), (Facts(region="FR-NC"), True), (Facts(region="NL-AW"), True),
        (Facts(country="PR"), True), (Facts(region="GB-BM"), True),
    ],
)  # fmt: skip
def test_a_paid_token_reaches_whoever_is_outside_the_union(facts: Facts, goes: bool) -> None:
    now = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp())
    facts.tokens = (Token(kind="marketing"),)
    assert (decide(load_policy("platform-only"), facts, now).ground == "marketing_token") is goes
    # The free one is for where the paid one does not go.
    facts.tokens = (Token(kind="recurring"),)
    assert (decide(load_policy("platform-only"), facts, now).ground == "recurring") is not goes


HEAD = '[territories]\ncitation = "c"\nchecked = "secondary"\nsources = []\n'
ONE = '[[territory]]\ncode = "RE"\nname = "R"\nstate = "FR"\nlaw = "state"\n'


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("", "territories", "the table is missing"),
        (HEAD + ONE + ONE, "territory.code", "is here twice"),
        (HEAD + ONE.replace('"RE"', '"QQ"'), "territory.code", "is not an ISO 3166-1 country code"),
        (HEAD + ONE.replace('"FR"', '"QQ"'), "territory.state", "is not an ISO 3166-1 country code"),
        (HEAD + ONE + 'regions = ["US-RE"]\n', "territory.regions", "is not a region of FR"),
        (HEAD + ONE + 'union = "AU"\n', "territory.union", "none of"),
        (HEAD + ONE.replace('"state"', '"both"'), "territory.law", "none of"),
    ],
)
def test_a_wrong_entry_is_refused(text: str, key: str, words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_territories(text, where="t")
    assert refused.value.key == key
    assert words in str(refused.value)
