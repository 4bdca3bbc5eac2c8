"""Text of others made harmless for a terminal: what would move the cursor, recolour, rename the window or turn the line
round is written out as ``\\u001b``.
"""

from __future__ import annotations

import re

#: Control characters save line ends and tabs, halves of surrogate pairs, line separators, and what overrides the
#: direction of writing.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: What colours text, and nothing else: our own styles.
_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")


def plain(text: str) -> str:
    """``text`` with each character that a terminal would obey written out."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain_line(text: str) -> str:
    """The same, in one line."""
    return plain(text).replace("\n", "\\n").replace("\t", " ")


def plain_but_styles(text: str) -> str:
    """The same, but colours stay: for text that was styled here, around parts that are ``plain`` already."""
    return "".join(part if _STYLE.fullmatch(part) else plain(part) for part in _STYLE.split(text))
