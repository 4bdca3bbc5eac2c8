"""What may be a page-scoped id, and what programs write where they have none, or have spoiled it."""

from __future__ import annotations

import re

from scheduler.errors import Invalid

#: The shape of an id. The platform's are decimal numbers of 15 to 17 digits; what is not must at least be addressable:
#: nothing that a path could not hold, and no `..`, which clients take for the folder above.
PSID_PATTERN = r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,127}"
_SHAPE = re.compile(PSID_PATTERN)
_WAY_OUT = "give the id as the platform gave it: plain digits, like 7000000000000001"

#: What programs write for "there is none" (pandas, SQL, Python, JavaScript, Excel), and headers repeated as a row.
_PLACEHOLDERS = frozenset({
    "nan", "null", "none", "nil", "na", "n/a", "n.a.", "n.a", "undefined", "unknown", "true", "false", "#n/a", "#na",
    "#ref!", "#value!", "#name?", "#null!", "#num!", "#div/0!", "(null)", "(none)", "(blank)", "<null>", "<na>", "\\n",
    "[object object]", "-1", "-1.0", "nul", "tbd", "anonymous", "keine", "ninguno", "aucun",
})  # fmt: skip
#: 7.00000000E+15, 7.0E15, 7000000000000001.0: a program took the id for a number.
_AS_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]?\d+|[+-]?\d+[.,]0*", re.IGNORECASE)
#: 24.987.123.456: digits in groups of three.
_GROUPED = re.compile(r"\d{1,3}(?:([.,'’_\s\u00a0\u202f-])\d{3})(?:\1\d{3})+")
#: Digits that a spreadsheet or JavaScript keeps of a number.
_KEPT_DIGITS = 15
#: Zeros at the end from which one id alone looks rounded: one in a thousand ends so by chance.
_ZEROS = 3
#: Share of a column's long ids that end as rounded ones do. By chance it is one in ten, at most.
_SHARE = 0.5
_FEW = 5

ROUNDED = (
    "looks rounded: a spreadsheet keeps 15 digits of a number and writes zeros for the rest; export the ids as text"
)


def is_addressable(value: str) -> bool:
    """Whether ``value`` has the shape of an id, so that an address can name it."""
    return _SHAPE.fullmatch(value) is not None


def is_placeholder(value: str) -> bool:
    """Whether ``value`` is what programs write where there is no value: ``nan``, ``NULL``, ``-``, ``0``."""
    folded = value.strip().casefold()
    return not folded.strip("0") or folded in _PLACEHOLDERS or not any(each.isalnum() for each in folded)


def is_word_for_nothing(value: str) -> bool:
    """Whether ``value`` is a word of programs for no value: ``nan``, ``NULL``; ``0`` and ``-`` may be meant."""
    return value.strip().casefold() in _PLACEHOLDERS


def check_psid(value: str, *, field: str | None = None) -> str:
    """``value`` if it may be a page-scoped id. Raises Invalid naming ``field``."""
    if _AS_NUMBER.fullmatch(value):
        raise Invalid(
            "a spreadsheet took this id for a number and rounded it, perhaps; export the column as text",
            field=field, way_out=_WAY_OUT,
        )  # fmt: skip
    if _GROUPED.fullmatch(value):
        raise Invalid("has its digits in groups; export the column as text", field=field, way_out=_WAY_OUT)
    if is_placeholder(value):
        raise Invalid(f"`{value[:16]}` stands for no id", field=field, way_out=_WAY_OUT)
    if _SHAPE.fullmatch(value) is None:
        raise Invalid("is not a page-scoped id", field=field, way_out=_WAY_OUT)
    return value


def looks_rounded(psid: str) -> bool:
    """Whether one id alone looks as if a program had rounded it: only zeros behind the 15th digit, three at least."""
    return _is_cut(psid) and psid.endswith("0" * _ZEROS)


def are_rounded(cut: int, long: int) -> bool:
    """Whether a column was rounded, when ``cut`` of its ``long`` ids (over 15 digits) have zeros behind the 15th."""
    return cut >= _FEW and cut > long * _SHARE


def _is_cut(psid: str) -> bool:
    return len(psid) > _KEPT_DIGITS and psid.isdecimal() and not psid[_KEPT_DIGITS:].strip("0")
