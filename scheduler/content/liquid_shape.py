"""What a Liquid source looks like, found in one pass before anything parses it.

python-liquid's lexer is one regular expression that tries again at each character: twenty thousand blanks behind an
opened ``{{`` kept a process busy for twenty seconds. What could do that is refused here, by its length and shape alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Characters of a source: far above any text the platform takes, far below what could hurt.
LONGEST_SOURCE = 20_000
#: Outputs and tags of a source, characters of one, and lines of a ``{% liquid %}`` tag.
MOST_MARKUP = 500
LONGEST_MARKUP = 5_000
_MOST_LINES = 200
#: Blanks in a row inside markup, opening brackets and filters in one piece of it.
_MOST_BLANKS = 100
_MOST_BRACKETS = 50
_MOST_FILTERS = 50

_OPENS = re.compile(r"\{[{%]")
_BLANKS = re.compile(rf"\s{{{_MOST_BLANKS + 1}}}")
_CLOSES = {"{{": "}}", "{%": "%}"}


@dataclass(frozen=True, slots=True)
class Misshapen(Exception):
    """A source that is not looked at: what is wrong, where it is (an index into the source), and what to do."""

    words: str
    index: int | None
    way_out: str


def markup_of(source: str) -> list[tuple[int, int]]:
    """Where each output and tag begins and ends (behind its ``}}`` or ``%}``). Raises Misshapen."""
    if len(source) > LONGEST_SOURCE:
        raise Misshapen(f"{len(source)} characters are too many", None, f"keep it below {LONGEST_SOURCE}")
    found: list[tuple[int, int]] = []
    opened = _OPENS.search(source)
    while opened is not None:
        start = opened.start()
        close = source.find(_CLOSES[opened[0]], start + 2)
        if close < 0:
            raise Misshapen(f"`{opened[0]}` is never closed", start, f"close it with `{_CLOSES[opened[0]]}`")
        end = close + 2
        _check(source, start, end)
        found.append((start, end))
        if len(found) > MOST_MARKUP:
            raise Misshapen(f"more than {MOST_MARKUP} outputs and tags", start, "say it with fewer")
        opened = _OPENS.search(source, end)
    return found


def _check(source: str, start: int, end: int) -> None:
    if end - start > LONGEST_MARKUP:
        raise Misshapen(f"an output or tag of {end - start} characters", start, f"keep it below {LONGEST_MARKUP}")
    for sign, most, words in (
        ("\n", _MOST_LINES, "lines"),
        ("(", _MOST_BRACKETS, "opening brackets"),
        ("[", _MOST_BRACKETS, "opening brackets"),
        ("|", _MOST_FILTERS, "filters"),
    ):
        if source.count(sign, start, end) > most:
            raise Misshapen(f"an output or tag with more than {most} {words}", start, "say it more simply")
    if _BLANKS.search(source, start, end) is not None:
        raise Misshapen(f"more than {_MOST_BLANKS} blanks in a row in an output or tag", start, "take them out")


def without_markup(source: str) -> str:
    """What of ``source`` is said as it stands: each output and tag is a blank. Nothing is left of a misshapen one."""
    try:
        spans = markup_of(source)
    except Misshapen:
        return ""
    kept, after = [], 0
    for start, end in spans:
        kept.append(source[after:start])
        after = end
    return " ".join([*kept, source[after:]])
