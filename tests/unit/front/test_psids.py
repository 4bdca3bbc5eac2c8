from __future__ import annotations

import pytest

from scheduler.contacts.identities import uniform
from scheduler.contacts.psids import are_rounded, check_psid, is_addressable, looks_rounded
from scheduler.errors import Invalid
from scheduler.followups.kinds import check_data


@pytest.mark.parametrize(
    "given",
    [
        "nan",
        "NaN",
        "NULL",
        "null",
        "None",
        "nil",
        "N/A",
        "#N/A",
        "#REF!",
        "undefined",
        "tbd",
        "keine",
        "anonymous",
        "unknown",
        "0",
        "000",
        "-",
        "--",
        ".",
        "_",
        "(null)",
        "[object Object]",
        "\\N",
        "-1",
        "FALSE",
    ],
)
def test_what_stands_for_no_value_is_neither_an_id_nor_an_identity(given: str) -> None:
    with pytest.raises(Invalid, match="stands for no"):
        check_psid(given)
    with pytest.raises(Invalid, match="stands for no value"):
        uniform("crm_id", given)
    with pytest.raises(Invalid) as refused:
        check_data("order.shipped", {"order": "1", "psid": given})
    assert refused.value.field == "data.psid"


@pytest.mark.parametrize(
    "given",
    [
        "24.987.123.456.789.000",
        "24,987,123,456,789,000",
        "24 987 123",
        "24'987'123",
        "24_987_123",
        "24\u00a0987\u00a0123",
    ],
)
def test_digits_in_groups_are_not_an_id(given: str) -> None:
    with pytest.raises(Invalid, match="digits in groups"):
        check_psid(given)


@pytest.mark.parametrize("given", ["2.49871E+16", "2,49871e16", "24987123456789000.0", "7.", "-7E3"])
def test_an_id_that_went_through_a_number_is_refused(given: str) -> None:
    with pytest.raises(Invalid, match="took this id for a number"):
        check_psid(given)


@pytest.mark.parametrize(
    "given", ["7000000000000001", "ada", "t_24.987", "nancy", "null-1", "10", "A0", "24987123456789012"]
)
def test_what_may_be_an_id_is_one(given: str) -> None:
    assert check_psid(given) == given


def test_one_id_looks_rounded_by_three_zeros_behind_the_fifteenth_digit() -> None:
    assert looks_rounded("24987123456789000")
    assert looks_rounded("249871234567890000")
    assert not looks_rounded("24987123456789100")
    assert not looks_rounded("2498712345678900")  # one zero behind the fifteenth: one id in ten
    assert not looks_rounded("700000000000000")  # fifteen digits are kept whole


def test_a_column_looks_rounded_when_most_of_its_long_ids_do() -> None:
    assert are_rounded(20, 20)
    assert are_rounded(5, 9)
    assert not are_rounded(5, 10)
    assert not are_rounded(4, 4)  # by chance
    assert not are_rounded(0, 0)


def test_a_number_where_text_belongs_is_told_so() -> None:
    with pytest.raises(Invalid, match="is not text"):
        check_data("order.shipped", {"order": 1001, "psid": "7000000000000001"})
    with pytest.raises(Invalid, match="is not a usable text"):
        check_data("order.shipped", {"order": " ", "psid": "7000000000000001"})


@pytest.mark.parametrize(
    "given", ["a/b", "a?b", "a#b", "100%", "a%2Fb", "..", "../7", ".7", "a b", "", "x" * 129, "ü", "7\n"]
)
def test_an_id_that_no_address_can_name_is_no_id(given: str) -> None:
    assert not is_addressable(given)
    with pytest.raises(Invalid):
        check_psid(given)


@pytest.mark.parametrize("given", ["7000000000000001", "a.b", "U_1-2:3", "7.."])
def test_other_ids_are_addressable(given: str) -> None:
    assert is_addressable(given)
