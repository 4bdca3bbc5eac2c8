from __future__ import annotations

import pytest

from scheduler.errors import Invalid
from scheduler.imports.mapping import check_constants, check_person, corrected, guess_mapping, parse_assignment

HEADERS = [
    "PSID",
    "First Name",
    "E-Mail",
    "Mobile",
    "Time Zone",
    "Points",
    "attributes.tier:text",
    "consent granted_at",
]


def test_headers_name_fields() -> None:
    assert guess_mapping(HEADERS) == {
        "PSID": "psid",
        "First Name": "first_name",
        "E-Mail": "email",
        "Mobile": "phone",
        "Time Zone": "timezone",
        "attributes.tier:text": "attributes.tier:text",
        "consent granted_at": "consent.granted_at",
    }


def test_of_two_columns_for_one_field_the_first_is_taken() -> None:
    assert guess_mapping(["phone", "mobile", "attributes.a", "attributes.a:number"]) == {
        "phone": "phone", "attributes.a": "attributes.a",
    }  # fmt: skip


def test_what_is_said_wins_over_what_was_guessed() -> None:
    mapping = corrected(
        HEADERS, guess_mapping(HEADERS), {"points": "attributes.points:number", "Mobile": "", "PSID": "psid"}
    )
    assert mapping["Points"] == "attributes.points:number"
    assert "Mobile" not in mapping
    moved = corrected(["phone", "mobile"], {"phone": "phone"}, {"mobile": "phone"})
    assert moved == {"mobile": "phone"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"Emial": "email"}, "the file has no column `Emial`; did you mean `E-Mail`?"),
        ({"Points": "emial"}, "`emial` is not a field; did you mean email?"),
        ({"Points": "attributes.points:integer"}, "attributes are read as text, number, bool, json"),
        ({"Points": "attributes.my points"}, "letters, digits and underscores"),
        ({"E-Mail": "name", "Points": "name"}, "`name` is what `E-Mail` is mapped to already"),
    ],
)
def test_a_mapping_that_cannot_be_names_the_column_and_the_way_out(said: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid) as refused:
        corrected(HEADERS, guess_mapping(HEADERS), said)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"psid": "1"}, "set.psid: differs from person to person"),
        ({"timezone": "Europe/Berlin"}, "set.timezone: is what column `Time Zone` says already"),
        ({"country": " "}, "set.country: is empty"),
        ({"nothing": "x"}, "`nothing` is not a field"),
    ],
)
def test_a_constant_that_cannot_be_is_refused(constants: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_constants(guess_mapping(HEADERS), constants)
    assert words in str(refused.value)


def test_somebody_must_be_told_by_a_column() -> None:
    check_person({"x": "email"})
    with pytest.raises(Invalid, match="no column tells who a row is about"):
        check_person({"x": "name"})


def test_a_header_may_hold_an_equals_sign() -> None:
    assert parse_assignment("a=b = email", option="--map") == ("a=b", "email")
    with pytest.raises(Invalid, match="--map: `email` has no `=`"):
        parse_assignment("email", option="--map")
