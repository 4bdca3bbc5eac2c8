from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.errors import Malformed, TooLarge
from scheduler.imports import reading
from scheduler.imports.cells import FORMULA, csv_text, read_cell, write_cell
from scheduler.imports.reading import open_sheet

Rows = list[tuple[int, list[str]]]

#: Text as UTF-8 can hold it, with what is special in CSV and in spreadsheets made likely.
_TEXT = st.text(
    st.one_of(st.characters(codec="utf-8", exclude_characters="\x00"), st.sampled_from("'\"=+-@,;\t\r\n|")), max_size=12
)


def _read(data: bytes) -> tuple[list[str], str, Rows]:
    sheet = open_sheet(io.BytesIO(data))
    return sheet.headers, sheet.delimiter_name, list(sheet.rows)


@pytest.mark.parametrize(
    ("data", "delimiter"),
    [
        (b"psid,name\n1,Ana\n", "comma"),
        (b"psid;name\r\n1;Ana\r\n", "semicolon"),
        (b"psid\tname\n1\tAna", "tab"),  # no line end at the end
        (codecs.BOM_UTF8 + b"psid;name\n1;Ana\n", "semicolon"),
        (b'"psid";"name"\n"1";"Ana"\n', "semicolon"),
        (b'psid;"name"\n1;Ana\n\n\n;\n', "semicolon"),  # empty rows below the table
        (b"psid;name;\n1;Ana;\n", "semicolon"),  # a delimiter too many: the row keeps it, the header not
    ],
)
def test_files_of_spreadsheets_are_read(data: bytes, delimiter: str) -> None:
    headers, found, rows = _read(data)
    assert (headers, found) == (["psid", "name"], delimiter)
    assert [cells[:2] for _, cells in rows] == [["1", "Ana"]]


@pytest.mark.parametrize(
    ("first", "delimiter"),
    [("sep=;", "semicolon"), ("SEP=,", "comma"), ('"sep=;"', "semicolon"), ("sep=\\t", "tab"), ("sep=\t", "tab")],
)
def test_a_spreadsheets_own_first_line_names_the_delimiter_and_still_counts(first: str, delimiter: str) -> None:
    divides = {"comma": ",", "semicolon": ";", "tab": "\t"}[delimiter]
    data = f"\ufeff{first}\r\n\r\npsid{divides}na,me;x\r\n".replace("na,me;x", "name") + f"1{divides}Ana\r\n"
    assert _read(data.encode()) == (["psid", "name"], delimiter, [(4, ["1", "Ana"])])


def test_what_names_itself_sep_and_is_a_column_is_one() -> None:
    assert _read(b"sep=;psid\nx;1\n")[:2] == (["sep=", "psid"], "semicolon")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"sep=|\npsid|name\n1|Ana\n", "says that `|` divides"),
        (b"sep=;\n", "the file is empty"),
        (b"psid|name\n1|Ana\n", "divided by |"),
        (b"psid,name,opted_out\n1,Ana,yes\n2,Bo", "line 3: the last row has 2 of 3 cells and no line end"),
    ],
)
def test_a_file_that_is_divided_otherwise_or_cut_off_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(Malformed) as refused:
        _read(data)
    assert words in str(refused.value)
    assert refused.value.way_out


def test_a_blank_may_stand_before_a_quote() -> None:
    assert _read(b'psid, "name", note\n1, "Ana, Li",  "say ""yes"""\n')[2] == [(2, ["1", "Ana, Li", 'say "yes"'])]


def test_a_delimiter_inside_quotes_divides_nothing() -> None:
    assert _read(b'"a;b;c",d\n1,2\n')[:2] == (["a;b;c", "d"], "comma")


def test_a_row_is_told_by_the_line_that_it_begins_on() -> None:
    rows = _read('\n\npsid,note\n1,"two\nlines, ""quoted"""\n\n2,ü\n'.encode())[2]
    assert rows == [(4, ["1", 'two\nlines, "quoted"']), (7, ["2", "ü"])]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"\n \n\n", "the file is empty"),
        ("psid,name\n1,Müller\n".encode("latin-1"), "line 2: byte 4 is 0xFC, which is not UTF-8"),
        ("psid,name\n".encode("utf-16"), "line 1: the file is UTF-16"),
        ("psid,name\n".encode("utf-32"), "line 1: the file is UTF-32"),
        (b"psid,name\n1,a\x00b\n", "line 2: has a NUL character"),
        (b"psid,,name\n1,2,3\n", "line 1: column 2 has no name"),
        (b"psid,Name,name\n1,2,3\n", "line 1: columns 2 and 3 are both called `name`"),
        (b'psid,name\n1,a\n2,"open\n3,c\n', "line 3: a quote that is opened here is not closed"),
        (b'psid,name\n1,"a"b\n', "line 2: there is text after a closing quote"),
        (b"psid,name\r1,a\r", "line 1: lines end with CR alone"),
        (b"psid," + b"x" * 201 + b"\n", "line 1: the name of column 2 is too long"),
        (b",".join(b"c%d" % n for n in range(201)) + b"\n", "line 1: has 201 columns"),
        (b'psid,name\n1,"' + b"x\n" * 70_000, "line 2: a cell has more than 131072 characters"),
        (b"psid,name\n" + b"x" * (1024 * 1024 + 1), "line 2: is longer than"),
        (b"psid,name\n1,Ana\n2" + b"," * 1_000_000 + b"\n", "line 3: has 1000001 cells"),
        (b"psid,name\n1,Ana\n2" + b',"x\n"' * 300_000, "line 3: the row that begins here is longer than 1048576 bytes"),
        (b"\n" * 2_000 + b"psid,name\n1,Ana\n", "file: begins with more than 1000 empty lines"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line_and_the_way_out(data: bytes, words: str) -> None:
    with pytest.raises(Malformed) as refused:
        _read(data)
    assert words in str(refused.value)
    assert refused.value.way_out


def test_a_file_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 64)
    with pytest.raises(TooLarge, match="file: is over"):
        _read(b"psid,name\n" + b"1,Ana\n" * 20)


@pytest.mark.parametrize("part", [b',"x\n"', b","])
def test_a_row_of_millions_of_cells_is_refused_before_it_is_held(part: bytes) -> None:
    data = b"psid,name\n1,Ana\n2" + part * (8 * 1024 * 1024 // len(part))
    held = io.BytesIO(data)
    tracemalloc.start()
    with contextlib.suppress(Malformed):
        for _ in open_sheet(held).rows:
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 1024 * 1024


@given(_TEXT)
def test_a_cell_is_read_back_as_it_was_and_is_no_formula(text: str) -> None:
    written = write_cell(text)
    assert written[:1] not in FORMULA or not written
    assert read_cell(written) == text


@given(st.text(st.sampled_from("a'=+-@＝;,\t\r\n "), max_size=12))
def test_nothing_in_a_cell_is_a_formula_where_semicolons_divide(text: str) -> None:
    written = write_cell(text)
    assert not any(part[:1] in set("=+-@＝") for part in re.split(r"[;\t\r\n]", written) if part)
    assert read_cell(written) == text


@pytest.mark.parametrize("first", sorted(FORMULA))
def test_what_a_spreadsheet_would_run_opens_as_text(first: str) -> None:
    assert write_cell(f"{first}1+1") == f"'{first}1+1"


@given(
    st.lists(st.lists(_TEXT, min_size=3, max_size=3).filter(any), min_size=1, max_size=8),
    st.sampled_from([",", ";", "\t"]),
)
def test_any_text_survives_csv(rows: list[list[str]], delimiter: str) -> None:
    written = io.StringIO()
    # In quotes: a blank at the beginning of a cell without them belongs to the delimiter.
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *rows])
    assert [cells for _, cells in _read(written.getvalue().encode())[2]] == rows


@given(st.lists(st.lists(_TEXT, min_size=2, max_size=2).filter(any), min_size=1, max_size=8))
def test_any_text_survives_export_and_import(rows: list[list[str]]) -> None:
    read = _read(csv_text([["a", "b"], *rows]).encode())[2]
    assert [[read_cell(cell) for cell in cells] for _, cells in read] == rows


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_our_errors(data: bytes) -> None:
    with contextlib.suppress(Malformed, TooLarge):
        _read(data)
