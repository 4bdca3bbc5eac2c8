from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from policies.facts import OFFSETS_IN_USE
from scheduler.contacts.identities import uniform
from scheduler.contacts.places import zone_names
from scheduler.errors import Invalid
from scheduler.imports.rows import Reading, RowReader

NOW = 1_795_000_000
CONSENT = {
    "consent.kind": "Express",
    "consent.source": "checkout form",
    "consent.wording": "Send me offers.",
    "consent.granted_at": "2026-03-28T09:00:00+01:00",
}


def _read(said: dict[str, str], **constants: str) -> Reading:
    fixed = {name.replace("__", "."): value for name, value in constants.items()}
    reader = RowReader(list(said), {name: name for name in said}, fixed, read_identity=uniform, now=NOW)
    return reader.read(list(said.values()))


def test_a_row_says_what_its_cells_mean() -> None:
    read = _read(
        {
            "psid": " 77 ", "name": "Ana Müller", "locale": "pt-br", "country": "br", "region": "br-sp",
            "timezone": "america/sao_paulo|America/Bahia", "utc_offset": "-3", "crm_id": "C-1",
            "phone": "+55 11 91234-5678", "email": "Ana@Example.com ", "attributes.tier": "007",
            "attributes.points:number": "12.5", "attributes.vip:bool": "Yes", "attributes.any:json": "null",
        }
    )  # fmt: skip
    assert not read.problems
    assert read.psid == "77"
    assert read.known == {
        "name": "Ana Müller",
        "locale": "pt_BR",
        "country": "BR",
        "region": "BR-SP",
        "timezones": ["America/Sao_Paulo", "America/Bahia"],
        "utc_offset": -180,
        "attributes": {"tier": "007", "points": 12.5, "vip": True, "any": None},
        "links": [("crm_id", "C-1"), ("phone", "+5511912345678"), ("email", "ana@example.com")],
    }


def test_an_empty_cell_says_nothing() -> None:
    assert _read({"psid": "1", "name": "", "attributes.tier": " ", "consent.source": "", "opted_out": ""}).known == {}


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [
        ("5.5", 330),
        ("+05:30", 330),
        ("UTC+05:30", 330),
        ("-3", -180),
        ("GMT-3", -180),
        ("−12", -720),
        ("14", 840),
        ("0", 0),
    ],
)
def test_offsets_are_read_as_people_write_them(cell: str, minutes: int) -> None:
    assert _read({"psid": "1", "utc_offset": cell}).known == {"utc_offset": minutes}


@pytest.mark.parametrize(
    ("field", "cell", "words"),
    [
        ("psid", "nan", "stands for no id"),
        ("psid", "24.987.123.456", "has its digits in groups"),
        ("crm_id", "NULL", "stands for no value"),
        ("locale", "nan", "stands for no value"),
        ("utc_offset", "4.25", "`4.25` is not an offset that clocks have anywhere"),
        ("utc_offset", "1\x00" + "2" * 40, "`1\ufffd22222222222222…` is not an offset"),
        ("utc_offset", "13:15", "is not an offset that clocks have anywhere"),
        ("psid", "a b", "is not a page-scoped id"),
        ("psid", "7,00000000E+15", "a spreadsheet took this id for a number"),
        ("psid", "7.0E15", "a spreadsheet took this id for a number"),
        ("psid", "7000000000000001.0", "a spreadsheet took this id for a number"),
        ("name", "x" * 501, "has 501 characters"),
        ("locale", "english", "is not a locale"),
        ("country", "Atlantis", "is not an ISO 3166-1 country code"),
        ("region", "Florida", "is not an ISO 3166-2 code"),
        ("timezone", "Berlin", "is not an IANA time zone"),
        ("utc_offset", "330", "is not an offset that clocks have anywhere, in hours"),  # minutes
        ("utc_offset", "15", "is not an offset that clocks have anywhere, in hours"),
        ("utc_offset", "5:75", "is not an offset that clocks have anywhere, in hours"),
        ("phone", "0151 23456789", "is not an international telephone number"),
        ("email", "ana", "is not an e-mail address"),
        ("attributes.n:number", "01234", "is not a number"),  # a code
        ("attributes.n:number", "1e5", "is not a number"),
        ("attributes.n:bool", "maybe", "is neither yes nor no"),
        ("attributes.n:json", "{}", "is neither text, number, yes/no nor null"),
        ("attributes.n:json", "NaN", "is not JSON"),
        ("attributes.n:json", r'"\ud800"', "has text that cannot be stored"),
        ("opted_out", "perhaps", "is neither yes nor no"),
        ("opted_out.at", "2026-03-28", "has no offset"),
        ("consents", "[1]", "is not a list of objects"),
        ("consents", '[{"who": "x"}]', "consent 1 has `who`"),
        ("consents", '[{"kind": "express"}]', "source of consent 1 is missing"),
        ("opt_outs", '[{"at": 5}]', "at of opt-out 1 is not text"),
        ("opt_outs", '[{"category": "sms"}]', "category of opt-out 1 is not a category"),
    ],
)
def test_a_cell_that_cannot_be_is_told_with_what_is_allowed(field: str, cell: str, words: str) -> None:
    said = {"psid": "1", field: cell}
    (problem,) = _read(said).problems
    assert words in problem.problem
    assert (problem.column, problem.field) == (field, field)
    assert problem.allowed


@pytest.mark.parametrize(
    ("field", "cell", "shown"),
    [
        ("phone", "0151 23456789", "01…"),
        ("email", "ana.mueller", "an…"),
        ("psid", "a b", "…"),
        ("attributes.salary:number", "12345 EUR", "12…"),
        ("country", "Atlantis", "Atlantis"),
    ],
)
def test_what_is_personal_is_masked_in_errors(field: str, cell: str, shown: str) -> None:
    (problem,) = _read({"psid": "1", field: cell}).problems
    assert problem.value == shown
    assert shown == cell or cell not in problem.problem


def test_all_that_is_wrong_with_a_row_is_told_at_once() -> None:
    read = _read({"psid": "?", "country": "ZZ", "timezone": "Mars"})
    assert [each.field for each in read.problems] == ["psid", "country", "timezone"]


def test_a_region_lies_in_its_country() -> None:
    (problem,) = _read({"psid": "1", "country": "CA", "region": "US-FL"}).problems
    assert problem.problem == "is not in country `CA`"


def test_a_row_with_more_than_the_header_is_an_error() -> None:
    reader = RowReader(["psid", "name"], {"psid": "psid"}, {}, read_identity=uniform, now=NOW)
    read = reader.read(["1", "Ana", "more"])
    assert [each.problem for each in read.problems] == ["the row has 3 cells, the header has 2"]
    assert read.bad
    assert not reader.read(["1", "Ana", ""]).problems


def test_a_short_row_is_read_with_a_warning_where_it_can_do_without_what_is_missing() -> None:
    headers = ["psid", "name", "opted_out", "country"]
    reader = RowReader(headers, {name: name for name in headers}, {}, read_identity=uniform, now=NOW)
    read = reader.read(["1", "Ana", "no"])
    assert (read.bad, read.known, [each.severity for each in read.problems]) == (False, {"name": "Ana"}, ["warning"])
    # Nobody knows what the opt-out would have said.
    short = reader.read(["1", "Ana"])
    assert (short.bad, short.problems[0].problem) == (True, "the row has 2 cells, the header has 4")


def test_a_bad_cell_may_be_left_out_instead_of_its_row_save_what_permits_or_forbids() -> None:
    said = {
        "psid": "1", "name": "nan", "country": "Atlantis", "locale": "NULL", "timezone": "Mars", "utc_offset": "330",
        "phone": "0151", "attributes.points:number": "many", "region": "US-FL",
    }  # fmt: skip

    def read(**more: str) -> Reading:
        row = said | more
        reader = RowReader(list(row), {name: name for name in row}, {}, read_identity=uniform, now=NOW, skip_cells=True)
        return reader.read(list(row.values()))

    whole = read()
    assert (whole.bad, whole.psid, whole.known) == (False, "1", {"region": "US-FL"})
    assert {each.severity for each in whole.problems} == {"dropped"}
    assert len(whole.problems) == 7
    assert _read(said).bad
    for bad in ({"psid": "nan"}, {"opted_out": "nan"}, {"consent.kind": "loud"}, {"opted_out.at": "soon"}):
        assert read(**bad).bad, bad
    elsewhere = read(country="CA")
    assert (elsewhere.bad, elsewhere.known) == (False, {"country": "CA"})


@pytest.mark.parametrize("named", ["Germany", "Deutschland", "allemagne", "ALEMANIA", " germany ", "DEU", "deu"])
def test_a_country_may_be_named_and_is_shown_how_it_was_read(named: str) -> None:
    read = _read({"psid": "1", "country": named})
    assert (read.bad, read.known) == (False, {"country": "DE"})
    assert [(each.severity, each.problem) for each in read.problems] == [
        ("warning", f"`{named.strip()}` is read as DE")
    ]


def test_the_offsets_that_clocks_have_are_those_of_tzdata() -> None:
    offsets = {
        int(offset.total_seconds() // 60)
        for name in zone_names()
        for month in range(1, 13)
        if (offset := datetime(2026, month, 15, tzinfo=ZoneInfo(name)).utcoffset()) is not None
    }
    assert offsets <= OFFSETS_IN_USE
    assert {each for each in OFFSETS_IN_USE if each % 60} == {each for each in offsets if each % 60}


def test_nobody_is_an_error() -> None:
    (problem,) = _read({"psid": "", "name": "Ana"}).problems
    assert problem.problem == "nothing tells who the row is about"


def test_a_consent_is_whole() -> None:
    whole: dict[str, Any] = {
        "topic": "offers", "kind": "express", "source": "checkout form", "wording": "Send me offers.",
        "granted_at": 1_774_684_800, "expires_at": None,
    }  # fmt: skip
    assert _read({"psid": "1", "consent.topic": "offers", **CONSENT}).known["consents"] == [whole]


@pytest.mark.parametrize("member", ["kind", "source", "wording", "granted_at"])
def test_a_consent_without_source_wording_or_time_is_an_error(member: str) -> None:
    said = {**CONSENT, f"consent.{member}": ""}
    (problem,) = _read({"psid": "1", "consent.topic": "offers", **said}).problems
    assert problem.field == f"consent.{member}"
    assert "is missing" in problem.problem


def test_a_consent_without_the_columns_is_an_error_too() -> None:
    problems = _read({"psid": "1", "consent.topic": "offers"}).problems
    assert [each.field for each in problems] == [
        "consent.kind", "consent.source", "consent.wording", "consent.granted_at",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("member", "cell", "words"),
    [
        ("granted_at", "2036-01-01T00:00:00Z", "has not passed yet"),
        ("granted_at", "2026-01-01 00:00", "has no offset"),
        ("expires_at", "2026-03-28T08:00:00Z", "is not after granted_at"),
        ("kind", "sure", "is not a kind of consent"),
        ("wording", "sha256:abc", "names a text instead of giving it"),
    ],
)
def test_a_consent_that_cannot_be_is_an_error(member: str, cell: str, words: str) -> None:
    (problem,) = _read({"psid": "1", **CONSENT, f"consent.{member}": cell}).problems
    assert words in problem.problem


def test_what_is_said_once_is_so_for_whoever_consented() -> None:
    fixed = {"consent__kind": "express", "consent__source": "form", "consent__wording": "Yes."}
    one = _read({"psid": "1", "consent.granted_at": "2026-03-28T08:00:00Z"}, **fixed)
    assert one.known["consents"][0]["source"] == "form"
    # Nothing in the row tells that this person agreed to anything.
    assert "consents" not in _read({"psid": "1", "consent.granted_at": ""}, **fixed).known
    # Without a column everybody did.
    assert "consents" in _read({"psid": "1"}, consent__granted_at="2026-03-28T08:00:00Z", **fixed).known


def test_opt_outs_are_of_topics_or_everything() -> None:
    assert _read({"psid": "1", "opted_out": "yes"}).known["opt_outs"] == [{"topic": None, "category": None, "at": None}]
    some = _read({"psid": "1", "opted_out": "x", "opted_out.topic": "a|b", "opted_out.at": "2026-03-28T08:00:00Z"})
    assert [(each["topic"], each["at"]) for each in some.known["opt_outs"]] == [
        ("a", 1_774_684_800),
        ("b", 1_774_684_800),
    ]
    assert _read({"psid": "1", "opted_out.topic": "*"}).known["opt_outs"][0]["topic"] is None
    assert _read({"psid": "1", "opted_out": "no"}).known == {}
    (problem,) = _read({"psid": "1", "opted_out": "no", "opted_out.topic": "a"}).problems
    assert problem.problem == "is given, but the row does not say that they opted out"


def test_a_constant_that_cannot_be_read_is_refused_at_once() -> None:
    with pytest.raises(Invalid, match=r"set\.country: .*is not an ISO 3166-1"):
        _read({"psid": "1"}, country="Atlantis")


def test_a_name_that_stands_for_none_is_warned_about_and_left_out_where_bad_cells_are() -> None:
    read = _read({"psid": "1", "first_name": "NaN", "name": "-"})
    assert (read.bad, read.known) == (False, {"first_name": "NaN", "name": "-"})
    assert [(each.field, each.severity) for each in read.problems] == [("first_name", "warning")]
