"""The keyword packs: words of one language a file, each list with where it comes from and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Literal, get_args

from policies.folding import forms
from policies.toml_source import PolicyError, Table, read_toml

Meaning = Literal["opt_out", "opt_in", "help"]

MEANINGS: tuple[Meaning, ...] = get_args(Meaning)

#: How a list was checked, surest first.
CHECKED = ("statute", "carrier", "vendor", "community", "memory")
CONFIDENCE = ("high", "medium", "low")

_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(slots=True, frozen=True, kw_only=True)
class WordList:
    """Words of one meaning and one source."""

    meaning: Meaning
    #: As a person writes them; a message that is one of them means it.
    words: tuple[str, ...]
    #: Said inside a sentence, they suggest the meaning to a person. Words of a ``suggest`` list do nothing else.
    suggests: bool
    decides: bool
    source: str
    checked: str
    confidence: str


@dataclass(slots=True, frozen=True)
class OrdinaryWord:
    """A word that looks like a keyword and is none here, and why."""

    word: str
    because: str
    #: What a message that is nothing but this word may mean; only a person can tell.
    may_mean: Meaning | None


@dataclass(slots=True, frozen=True, kw_only=True)
class KeywordPack:
    """What is known of one language."""

    language: str
    reviewed_on: date
    note: str
    lists: tuple[WordList, ...]
    #: Words that look like keywords and are none.
    ordinary: tuple[OrdinaryWord, ...]

    def deciding(self) -> Iterator[tuple[str, Meaning]]:
        """The words that decide as a whole message, with their meaning."""
        return ((word, each.meaning) for each in self.lists if each.decides for word in each.words)


@cache
def keyword_packs() -> tuple[KeywordPack, ...]:
    """The packs that come with Duly, by language. Raises PolicyError naming file, line and key."""
    folder = resources.files("policies").joinpath("packs", "keywords")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda each: each.name)
    return tuple(
        read_keyword_pack(
            file.read_text(encoding="utf-8"), where=f"packs/keywords/{file.name}", language=file.name[: -len(".toml")]
        )
        for file in files
    )


def read_keyword_pack(text: str, *, where: str, language: str | None = None) -> KeywordPack:
    """The pack in a document; ``language`` is the one its file is named after.

    Raises PolicyError with line and key: an unknown key, a list without a source, a word twice, a word of which nothing
    is left to compare, a word that means two things.
    """
    document = read_toml(text, where=where)
    said = document.text("language")
    if _LANGUAGE.fullmatch(said) is None or said != (language or said):
        raise document.error("language", f"`{said}` must be the language code that the file is named after")
    reviewed_on = document.raw("reviewed_on")
    if type(reviewed_on) is not date:
        raise document.error("reviewed_on", "must be a date, such as 2026-11-21")
    note = document.text("note")
    taken: dict[str, tuple[str, str]] = {}
    lists = [_list(table, meaning, taken) for meaning in MEANINGS for table in document.tables(meaning)]
    lists += [_phrases(table, taken) for table in document.tables("suggest")]
    ordinary = [each for table in document.tables("ordinary") for each in _ordinary(table, taken)]
    document.done()
    if not any(each.meaning == "opt_out" and each.decides for each in lists):
        raise PolicyError(where, 0, "opt_out", "a pack needs at least one word that opts out")
    return KeywordPack(language=said, reviewed_on=reviewed_on, note=note, lists=tuple(lists), ordinary=tuple(ordinary))


def _list(table: Table, meaning: Meaning, taken: dict[str, tuple[str, str]]) -> WordList:
    words = _words(table, meaning, taken)
    alone = table.has("alone") and table.flag("alone")
    return _sourced(table, meaning, words, suggests=not alone, decides=True)


def _phrases(table: Table, taken: dict[str, tuple[str, str]]) -> WordList:
    return _sourced(table, _meaning(table, "meaning"), _words(table, "suggest", taken), suggests=True, decides=False)


def _sourced(table: Table, meaning: Meaning, words: tuple[str, ...], *, suggests: bool, decides: bool) -> WordList:
    found = WordList(
        meaning=meaning,
        words=words,
        suggests=suggests,
        decides=decides,
        source=table.text("source"),
        checked=table.choice("checked", CHECKED),
        confidence=table.choice("confidence", CONFIDENCE),
    )
    table.done()
    return found


def _ordinary(table: Table, taken: dict[str, tuple[str, str]]) -> list[OrdinaryWord]:
    because = table.text("because")
    may_mean = _meaning(table, "may_mean") if table.has("may_mean") else None
    words = _words(table, "ordinary", taken)
    table.done()
    return [OrdinaryWord(word, because, may_mean) for word in words]


def _meaning(table: Table, key: str) -> Meaning:
    said = table.choice(key, MEANINGS)
    return next(meaning for meaning in MEANINGS if meaning == said)


def _words(table: Table, use: str, taken: dict[str, tuple[str, str]]) -> tuple[str, ...]:
    words = table.texts("words")
    if not words:
        raise table.error("words", "must name at least one word")
    for word in words:
        folded = forms(word)
        if not folded:
            raise table.error("words", f"nothing of `{word}` is left to compare: a keyword needs letters or digits")
        for form in folded:
            if form not in taken:
                continue
            before, other_use = taken[form]
            if other_use != use:
                raise table.error("words", f"`{word}` means two things: it is in `{other_use}` and in `{use}`")
            raise table.error("words", f"`{word}` is there twice: `{before}` is compared as the same")
        taken.update((form, (word, use)) for form in folded)
    return words
