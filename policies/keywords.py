"""Words that opt out, opt in or ask for help: a message counts when the whole of it is one of them.

Case, accents, punctuation, emoji and spacing do not matter. A word inside a sentence is left to people.
"""

from __future__ import annotations

import unicodedata
from datetime import date
from functools import cache
from importlib import resources
from typing import Literal

from policies.toml_source import Table, read_toml

Meaning = Literal["opt_out", "opt_in", "help"]

_MEANINGS: tuple[Meaning, ...] = ("opt_out", "opt_in", "help")

#: No keyword is longer; longer messages need no look.
_LONGEST = 100


def match_keyword(text: str) -> Meaning | None:
    """What the message means as a keyword of any language we know, or None."""
    return _keywords().get(normalise(text)) if len(text) <= _LONGEST else None


def normalise(text: str) -> str:
    """The text as keywords are compared: NFKC, casefolded, without accents, punctuation, emoji and doubled spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = (
        letter
        for letter in unicodedata.normalize("NFD", folded)
        if letter.isspace() or unicodedata.category(letter)[0] in "LN"
    )
    return " ".join("".join(letters).split())


@cache
def _keywords() -> dict[str, Meaning]:
    folder = resources.files("policies").joinpath("packs", "keywords")
    found: dict[str, Meaning] = {}
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        for word, meaning in _read(read_toml(file.read_text(encoding="utf-8"), where=f"packs/keywords/{file.name}")):
            # The same word in two languages must mean the same; an opt-out wins, to be safe.
            if found.get(word) != "opt_out":
                found[word] = meaning
    return found


def _read(document: Table) -> list[tuple[str, Meaning]]:
    document.text("language")
    document.texts("sources")
    document.choice("confidence", ("high", "medium", "low"))
    if not isinstance(document.raw("reviewed_on"), date):
        raise document.error("reviewed_on", "must be a date, such as 2026-11-21")
    document.text("note", "")
    words = [(normalise(word), meaning) for meaning in _MEANINGS for word in document.texts(meaning, ())]
    document.done()
    return words
