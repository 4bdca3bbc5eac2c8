"""Cells that a spreadsheet would run as a formula are written so that it shows them, and read back as they were.

A cell that begins with ``= + - @``, one of their full-width forms, a tab or a line end gets a leading apostrophe. So
that nothing is lost, a cell that already looks like one written so gets one more. ``read_cell`` takes one away again:
``read_cell(write_cell(text)) == text`` for every text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

#: What a spreadsheet may take for the beginning of a formula, or skip to find one.
FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_MARK = "'"
_MARKED = FORMULA | {_MARK}


def write_cell(text: str) -> str:
    """``text`` as a cell that opens as text everywhere."""
    if text[:1] in FORMULA and text:
        return _MARK + text
    if text[:1] == _MARK and text[1:2] in _MARKED and len(text) > 1:
        return _MARK + text
    return text


def read_cell(text: str) -> str:
    """What was meant by a cell: the apostrophe of ``write_cell`` is taken away, any other stays."""
    if text[:1] == _MARK and len(text) > 1 and text[1] in _MARKED:
        return text[1:]
    return text


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """``rows`` as RFC 4180 lines (CRLF), every cell safe to open."""
    written = io.StringIO()
    csv.writer(written).writerows([write_cell(cell) for cell in row] for row in rows)
    return written.getvalue()
