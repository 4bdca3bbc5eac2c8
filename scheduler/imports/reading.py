"""Reads a CSV file as it comes from spreadsheets and shops, without ever holding more than a line of it.

UTF-8 with or without a byte order mark; comma, semicolon or tab; quoted cells may hold line ends. What cannot be read
is refused whole, with its line and the way out: half a file is nobody's intention.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from scheduler.errors import Malformed, TooLarge

#: The largest file, and the most rows and columns in it.
MAX_BYTES = 256 * 1024 * 1024
MAX_ROWS = 1_000_000
MAX_COLUMNS = 200
#: A longer line is not one: a file without line ends, or something that is not CSV at all.
_MAX_LINE = 1024 * 1024
#: Bytes of a row, whose cells may hold line ends: nothing is read on to find where one of 64 million cells ends.
_MAX_ROW = 1024 * 1024
#: Cells of a row. Some beyond the header's are a row's own mistake, told with it; with so many it is not a table.
_MAX_CELLS = 5 * MAX_COLUMNS
_MAX_EMPTY = 1000
_MAX_HEADER = 200

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_SEP = re.compile(r"sep=(\\t|.)", re.IGNORECASE)
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_UTF8 = "save the file as CSV UTF-8"


class Source(Protocol):
    """Anything that gives bytes by the line."""

    def readline(self, limit: int, /) -> bytes:
        """The next line with its end, at most ``limit`` bytes; empty at the end."""


@dataclass(slots=True, kw_only=True)
class Sheet:
    """A file whose header has been read."""

    headers: list[str]
    delimiter: str
    #: (line it begins on, cells) of each row that says anything.
    rows: Iterator[tuple[int, list[str]]]

    @property
    def delimiter_name(self) -> str:
        """comma, semicolon or tab."""
        return _DELIMITERS[self.delimiter]


def open_sheet(source: Source) -> Sheet:
    """Read the header of a file. Raises Malformed or TooLarge with the line, here and while ``rows`` is consumed."""
    lines = _Lines(source)
    # Empty lines before the header still count, or every line that an error names would be the wrong one.
    before: list[str] = []
    first = _first_line(lines, before)
    told = _told_delimiter(first)
    if told is not None:
        # A spreadsheet's own first line, for itself.
        before.append("\n")
        first = _first_line(lines, before)
    delimiter = told or _delimiter(first)
    # Some programs write a blank between a delimiter and the quote that opens the next cell.
    reader = csv.reader(chain(before, (first,), lines), delimiter=delimiter, strict=True, skipinitialspace=True)
    rows = _records(reader, lines)
    try:
        line, cells = next(rows)
    except StopIteration:
        raise Malformed("the header is empty", field="line 1", way_out="name the columns in the first line") from None
    headers = _headers(cells, line)
    return Sheet(headers=headers, delimiter=delimiter, rows=_whole(rows, lines, len(headers)))


def _first_line(lines: _Lines, before: list[str]) -> str:
    """The first line that says anything; one line end in ``before`` for each empty one. Raises Malformed."""
    for line in lines:
        if line.strip():
            return line
        before.append("\n")
        if len(before) > _MAX_EMPTY:
            raise Malformed(f"begins with more than {_MAX_EMPTY} empty lines", field="file", way_out="take them out")
    raise Malformed("the file is empty", field="file", way_out="the first line names the columns")


class _Lines:
    """The lines of a source, and how much of a row has been read: the reader asks for as many as make one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._taken = self._of_row = self._number = 0
        #: Whether the last line had its end.
        self.ended = True
        self._begins = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._source.readline(_MAX_LINE + 1)
        if not raw:
            raise StopIteration
        self._number += 1
        self._taken += len(raw)
        self._of_row += len(raw)
        place = f"line {self._number}"
        if self._taken > MAX_BYTES:
            raise TooLarge(
                f"is over {MAX_BYTES // 1024 // 1024} MiB", field="file", way_out="split it and import the parts"
            )
        if self._number == 1:
            raw = _without_mark(raw)
        if len(raw) > _MAX_LINE:
            raise Malformed(
                f"is longer than {_MAX_LINE} bytes", field=place, way_out="one line a row; is this a CSV file?"
            )
        if self._of_row > _MAX_ROW:
            raise Malformed(
                f"the row that begins here is longer than {_MAX_ROW} bytes", field=f"line {self._begins}",
                way_out="one row a person; a quote may not be closed",
            )  # fmt: skip
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            raise Malformed(
                f"byte {error.start + 1} is 0x{raw[error.start]:02X}, which is not UTF-8", field=place, way_out=_UTF8
            ) from None
        self.ended = line.endswith(("\n", "\r"))
        if "\x00" in line:
            raise Malformed("has a NUL character", field=place, way_out=_UTF8)
        return line

    def end_row(self) -> None:
        """What is read from here on is of another row."""
        self._of_row, self._begins = 0, self._number + 1


def _without_mark(raw: bytes) -> bytes:
    for mark, encoding in _OTHER_MARKS.items():
        if raw.startswith(mark):
            raise Malformed(f"the file is {encoding}", field="line 1", way_out=_UTF8)
    return raw.removeprefix(codecs.BOM_UTF8)


def _told_delimiter(line: str) -> str | None:
    """The delimiter that a line like ``sep=;`` names; None for any other line. Raises Malformed."""
    told = _SEP.fullmatch(line.strip("\r\n").strip('" '))
    if told is None:
        return None
    delimiter = "\t" if told[1] == "\\t" else told[1]
    if delimiter not in _DELIMITERS:
        raise Malformed(
            f"says that `{told[1][:8]}` divides the columns", field="line 1",
            way_out=f"save the file with {' or '.join(_DELIMITERS.values())} between columns",
        )  # fmt: skip
    return delimiter


def _delimiter(line: str) -> str:
    outside = re.sub(r'"[^"]*"?', "", line)
    found = max(_DELIMITERS, key=outside.count)
    if found not in outside and outside.count("|") > 0:
        raise Malformed(
            "the columns are divided by |", field="line 1",
            way_out=f"save the file with {' or '.join(_DELIMITERS.values())} between columns",
        )  # fmt: skip
    return found


def _whole(rows: Iterator[tuple[int, list[str]]], lines: _Lines, width: int) -> Iterator[tuple[int, list[str]]]:
    """The rows; a last one that is short and has no line end was cut off, perhaps, and is refused."""
    line, cells = 0, [""] * width
    for line, cells in rows:
        yield line, cells
    if len(cells) < width and not lines.ended:
        raise Malformed(
            f"the last row has {len(cells)} of {width} cells and no line end: the file may be cut off",
            field=f"line {line}", way_out="get the whole file; if it is whole, add a line end",
        )  # fmt: skip


class _Reader(Protocol):
    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def _records(reader: _Reader, lines: _Lines) -> Iterator[tuple[int, list[str]]]:
    line = 1
    try:
        for cells in reader:
            lines.end_row()
            if len(cells) > _MAX_CELLS:
                raise Malformed(
                    f"has {len(cells)} cells", field=f"line {line}",
                    way_out=f"one row a person, {MAX_COLUMNS} columns at most; is this a CSV file?",
                )  # fmt: skip
            # A line of nothing but delimiters is what spreadsheets put below a table.
            if any(cells) and (len(cells) > 1 or cells[0].strip()):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise Malformed(*_words(str(error)), field=f"line {line}", way_out=_way_out(str(error))) from None


def _words(said: str) -> tuple[str]:
    if "unexpected end" in said:
        return ("a quote that is opened here is not closed",)
    if "field limit" in said:
        return ("a cell has more than 131072 characters; a quote may not be closed",)
    if "new-line" in said:
        return ("lines end with CR alone",)
    return ("there is text after a closing quote",)


def _way_out(said: str) -> str:
    if "new-line" in said:
        return "save the file with line ends LF or CRLF"
    return 'a cell that holds quotes is written "say ""yes"" now"'


def _headers(cells: list[str], line: int) -> list[str]:
    place = f"line {line}"
    headers = [cell.strip() for cell in cells]
    while headers and not headers[-1]:
        # A delimiter at the end of the header is a habit of some shops; rows may have it too.
        headers.pop()
    if len(headers) > MAX_COLUMNS:
        raise Malformed(f"has {len(headers)} columns", field=place, way_out=f"use {MAX_COLUMNS} at most")
    seen: dict[str, int] = {}
    for position, header in enumerate(headers, 1):
        if not header:
            raise Malformed(f"column {position} has no name", field=place, way_out="name it, or delete the column")
        if len(header) > _MAX_HEADER:
            raise Malformed(f"the name of column {position} is too long", field=place, way_out="is the header missing?")
        before = seen.setdefault(header.casefold(), position)
        if before != position:
            raise Malformed(
                f"columns {before} and {position} are both called `{header}`", field=place, way_out="rename one of them"
            )
    return headers
