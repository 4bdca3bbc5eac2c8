"""Cells that a spreadsheet would run as a formula are written so that it shows them, and read back as they were.

A cell that begins with ``= + - @``, one of their full-width forms, a tab or a line end gets a leading apostrophe. So
does what follows a semicolon, a tab or a line end inside of a cell: where a comma is the decimal sign, a spreadsheet
divides a file of commas at semicolons, whatever the quotes say. So that nothing is lost, what already looks like it was
written so gets one more. ``read_cell`` takes one away again: ``read_cell(write_cell(text)) == text`` for every text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

#: What a spreadsheet may take for the beginning of a formula, or skip to find one.
FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_MARK = "'"
_MARKED = FORMULA | {_MARK}
#: Where a spreadsheet may begin another cell, and a formula in it.
_INSIDE = re.compile(r"([;\t\r\n])(?='*[=+\-@＝＋－＠])")
_INSIDE_MARKED = re.compile(r"([;\t\r\n])'(?='*[=+\-@＝＋－＠])")


def write_cell(text: str) -> str:
    """``text`` as a cell that opens as text everywhere."""
    text = _INSIDE.sub(r"\1'", text)
    if text[:1] in FORMULA and text:
        return _MARK + text
    if text[:1] == _MARK and text[1:2] in _MARKED and len(text) > 1:
        return _MARK + text
    return text


def read_cell(text: str) -> str:
    """What was meant by a cell: the apostrophes of ``write_cell`` are taken away, any other stays."""
    if text[:1] == _MARK and len(text) > 1 and text[1] in _MARKED:
        text = text[1:]
    return _INSIDE_MARKED.sub(r"\1", text)


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """``rows`` as RFC 4180 lines (CRLF), every cell safe to open."""
    written = io.StringIO()
    csv.writer(written).writerows([write_cell(cell) for cell in row] for row in rows)
    return written.getvalue()
