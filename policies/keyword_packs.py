"""The keyword packs: words of one language a file, each list with where it comes from and how sure that is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from itertools import product
from typing import Literal, get_args

from policies.folding import forms_of_phrase
from policies.toml_source import PolicyError, Table, read_toml

Meaning = Literal["opt_out", "opt_in", "help"]
#: How much of a message a word has to be before the word suggests its meaning to a person.
#: ``anywhere``: inside any sentence. ``short``: alone between punctuation, or in a message of three words.
#: ``alone``: nothing else in the message but courtesy and what such words are said about.
Reach = Literal["anywhere", "short", "alone"]
#: Words that mean nothing by themselves, and what they are there for (see docs/policies.md).
Part = Literal["refusal", "object", "courtesy", "negation", "product", "signature"]

MEANINGS: tuple[Meaning, ...] = get_args(Meaning)
PARTS: tuple[Part, ...] = get_args(Part)

#: How a list was checked, surest first.
CHECKED = ("statute", "carrier", "vendor", "community", "memory")
CONFIDENCE = ("high", "medium", "low")

#: Words as they are written, with their forms.
_Words = dict[str, tuple[str, ...]]

_LANGUAGE = re.compile(r"[a-z]{2,3}")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
#: One entry that stands for more phrases than this is a mistake.
_MOST_PHRASES = 2_500


@dataclass(slots=True, frozen=True, kw_only=True)
class WordList:
    """Words of one meaning and one source."""

    meaning: Meaning
    #: As a person writes them; where the list decides, a message that is one of them means it.
    words: tuple[str, ...]
    #: Each word as it is compared, in the order of ``words``.
    folded: tuple[tuple[str, ...], ...]
    #: Where else they suggest the meaning to a person.
    reach: Reach
    decides: bool
    source: str
    checked: str
    confidence: str


@dataclass(slots=True, frozen=True, kw_only=True)
class PartList:
    """Words that say something only beside others."""

    part: Part
    words: tuple[str, ...]
    folded: tuple[tuple[str, ...], ...]
    #: Of refusals: what is refused may also stand before them (verbs at the end of the sentence).
    either_way: bool
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
    #: A word alone decides only with its marks: without them it is another word as well.
    marks_matter: bool
    lists: tuple[WordList, ...]
    parts: tuple[PartList, ...]
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
    marks_matter = document.has("marks_matter") and document.flag("marks_matter")
    taken: dict[str, tuple[str, str]] = {}
    lists = [_list(table, meaning, taken) for meaning in MEANINGS for table in document.tables(meaning)]
    lists += [_phrases(table, taken) for table in document.tables("suggest")]
    ordinary = [each for table in document.tables("ordinary") for each in _ordinary(table, taken)]
    parts = [_part(table, part) for part in PARTS for table in document.tables(part)]
    document.done()
    if not any(each.meaning == "opt_out" and each.decides for each in lists):
        raise PolicyError(where, 0, "opt_out", "a pack needs at least one word that opts out")
    return KeywordPack(
        language=said, reviewed_on=reviewed_on, note=note, marks_matter=marks_matter, lists=tuple(lists),
        parts=tuple(parts), ordinary=tuple(ordinary),
    )  # fmt: skip


def _list(table: Table, meaning: Meaning, taken: dict[str, tuple[str, str]]) -> WordList:
    words = _words(table, meaning, taken)
    return _sourced(table, meaning, words, decides=True)


def _phrases(table: Table, taken: dict[str, tuple[str, str]]) -> WordList:
    return _sourced(table, _meaning(table, "meaning"), _words(table, "suggest", taken), decides=False)


def _sourced(table: Table, meaning: Meaning, words: _Words, *, decides: bool) -> WordList:
    found = WordList(
        meaning=meaning,
        words=tuple(words),
        folded=tuple(words.values()),
        reach=_reach(table),
        decides=decides,
        source=table.text("source"),
        checked=table.choice("checked", CHECKED),
        confidence=table.choice("confidence", CONFIDENCE),
    )
    table.done()
    return found


def _reach(table: Table) -> Reach:
    said = table.choice("suggests", get_args(Reach)) if table.has("suggests") else "anywhere"
    return next(reach for reach in get_args(Reach) if reach == said)


def _part(table: Table, part: Part) -> PartList:
    words = _words(table, part, {})
    found = PartList(
        part=part,
        words=tuple(words),
        folded=tuple(words.values()),
        either_way=part == "refusal" and table.has("either_way") and table.flag("either_way"),
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


def _words(table: Table, use: str, taken: dict[str, tuple[str, str]]) -> _Words:
    entries = table.texts("words")
    if not entries:
        raise table.error("words", "must name at least one word")
    words: _Words = {}
    for entry in entries:
        several = "[" in entry or use in PARTS
        for word in _spelt_out(entry, table):
            folded = forms_of_phrase(word)
            if not folded:
                raise table.error("words", f"nothing of `{word}` is left to compare: a keyword needs letters or digits")
            if taken.keys().isdisjoint(folded):
                taken.update(dict.fromkeys(folded, (word, use)))
            elif not _beside(word, folded, use, taken, table, several):
                continue
            words[word] = folded
    return words


def _beside(
    word: str, folded: tuple[str, ...], use: str, taken: dict[str, tuple[str, str]], table: Table, several: bool
) -> bool:
    """Whether a word is kept although another one is compared as the same. Raises PolicyError where it must not be."""
    before, other_use = next(taken[form] for form in folded if form in taken)
    if several:
        # Entries with choices overlap now and then, and parts have no meaning to be unsure of. What differs in its
        # marks alone is kept: people write huỷ and hủy.
        return other_use == use and not word.isascii() and _letters(before) != _letters(word)
    if other_use != use:
        raise table.error("words", f"`{word}` means two things: it is in `{other_use}` and in `{use}`")
    raise table.error("words", f"`{word}` is there twice: `{before}` is compared as the same")


def _letters(word: str) -> str:
    return unicodedata.normalize("NFC", word).casefold()


def _spelt_out(entry: str, table: Table) -> list[str]:
    """``stop [texting|calling] [|me]`` as the four phrases it stands for."""
    if "[" not in entry and "]" not in entry:
        return [entry]
    pieces = _CHOICE.split(entry)
    if "[" in "".join(pieces[::2]) or "]" in "".join(pieces[::2]):
        raise table.error("words", f"`{entry}`: write a choice as `[one|other]`, none inside another")
    choices = [[piece] if number % 2 == 0 else piece.split("|") for number, piece in enumerate(pieces)]
    count = 1
    for each in choices:
        count *= len(each)
    if count > _MOST_PHRASES:
        raise table.error("words", f"`{entry}` stands for {count} phrases: {_MOST_PHRASES} at most")
    return [" ".join("".join(found).split()) for found in product(*choices)]
