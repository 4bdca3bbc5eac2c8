"""Codes of countries beside ISO 3166-1: understood, or refused with what to write instead."""

from __future__ import annotations

import pytest

from policies.country_codes import codes, country_code, instead_of, official_countries, parse_codes, region_code
from policies.facts import Facts
from policies.places import place_of
from policies.toml_source import PolicyError


@pytest.mark.parametrize(
    ("written", "code"),
    [("UK", "GB"), (" uk ", "GB"), ("EL", "GR"), ("XK", "XK"), ("gb", "GB"), ("de", "DE"), ("SU", None), ("ZZ", None),
     ("", None), ("Germany", None), ("U", None)],
)  # fmt: skip
def test_the_code_of_a_country(written: str, code: str | None) -> None:
    assert country_code(written) == code


@pytest.mark.parametrize(
    ("written", "code"),
    [("uk-eng", "GB-ENG"), ("EL-I", "GR-I"), ("us-fl", "US-FL"), ("XK-01", "XK-01"), ("SU-MOW", None), ("US-", None),
     ("US", None), ("US-FLOR", None)],
)  # fmt: skip
def test_the_code_of_a_region(written: str, code: str | None) -> None:
    assert region_code(written) == code


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("AN", "write BQ, CW or SX"), ("an-cur", "write BQ, CW or SX"), ("SU", "RU"), ("YU", "write RS, ME"),
        ("CS", "write RS or ME"), ("FX", "write FR"), ("TP", "write TL"), ("ZR", "write CD"), ("AC", "write SH"),
        ("EU", "write the member's"), ("ZZ", "does not stand for a country"), ("QM", "does not stand for a country"),
        ("XA", "does not stand for a country"),
    ],
)  # fmt: skip
def test_what_to_write_instead(written: str, advice: str) -> None:
    assert country_code(written) is None
    assert advice in instead_of(written)


@pytest.mark.parametrize("written", ["DE", "UK", "XK", "Germany", "", "12", "QA"])
def test_nothing_is_advised_where_nothing_is_wrong_or_known(written: str) -> None:
    assert instead_of(written) == ""


def test_kosovo_is_a_country_with_a_zone() -> None:
    place = place_of(Facts(country="XK"))
    assert (place.zones, place.evidence, place.jurisdictions) == (("Europe/Belgrade",), "country", ("XK",))
    assert place_of(Facts(timezones=("Europe/Belgrade",))).countries == ("RS",)


def test_no_code_of_today_is_called_withdrawn() -> None:
    known = codes()
    assert not official_countries() & (known.withdrawn.keys() | known.understood.keys() | known.assigned.keys())
    assert len(known.withdrawn) > 30


HEAD = '[codes]\ncitation = "c"\nchecked = "secondary"\nsources = []\n'


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("", "codes", "the table is missing"),
        (HEAD + '[[understood]]\ncode = "DE"\nmeans = "GB"\nwhy = "w"\n', "understood.code", "to no country today"),
        (HEAD + '[[understood]]\ncode = "UK"\nmeans = "QQ"\nwhy = "w"\n', "understood.means", "is not an ISO 3166-1"),
        (HEAD + '[[assigned]]\ncode = "XK"\nname = "K"\nzones = ["Mars/X"]\nwhy = "w"\n', "assigned.zones", "an IANA"),
        (
            HEAD + '[[withdrawn]]\ncode = "AN"\ninstead = ["QQ"]\nwhy = "w"\n',
            "withdrawn.instead",
            "is not an ISO 3166-1",
        ),
        (HEAD + '[[withdrawn]]\ncode = "ANT"\ninstead = ["CW"]\nwhy = "w"\n', "withdrawn.code", "two letters"),
    ],
)
def test_a_wrong_entry_is_refused(text: str, key: str, words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_codes(text, where="t")
    assert refused.value.key == key
    assert words in str(refused.value)
