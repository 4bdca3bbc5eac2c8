"""A keyword behind a slip of the finger, a stretched vowel, a digit for a letter or a letter of another script."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from policies.lexicon import lexicon

_RUNS = re.compile(r"(.)\1+")
_LONG_RUNS = re.compile(r"(.)\1{2,}")
#: Digits and signs that stand for letters.
_DIGITS = str.maketrans("013457", "oieast")
_ONE_AS_L = str.maketrans("013457", "oleast")

#: Cyrillic and Greek small letters that look like Latin ones (in small or capital form).
_LOOKS = str.maketrans(
    "аеорсухѕіјтвнкмпгԁԛԝһьοαερτυικνβηχσςζμγδω",
    "aeopcyxsijtbhkmnrdqwhboaeptyiknbnxsszmydw",
)
#: The same, with С and П for the letters that they sound like.
_LOOKS_AND_SOUNDS = _LOOKS | str.maketrans("сп", "sp")
#: Cyrillic and Greek small letters that sound like Latin ones.
_SOUNDS = str.maketrans(
    "абвгдезиклмнопрстуфхіјѕαβγδεζηικλμνοπρσςτυφχω", "abvgdeziklmnoprstufhijsabgdeziiklmnoprsstufho"
)
#: Latin small letters as the Cyrillic ones that look like their capitals or sound like them.
_AS_CYRILLIC = str.maketrans("aeopcyxtbhkmsn", "аеорсухтвнкмсн")
_AS_CYRILLIC_BY_SOUND = str.maketrans("aeoprstkmniudlc", "аеопрсткмниудлс")

#: Slips are looked for in words of this many letters; in shorter ones every slip is another word (``stop``, ``shop``).
_LEAST = 8
_LONGEST = 32


@lru_cache(maxsize=32_768)
def keyword_behind(word: str) -> str | None:
    """The keyword that ``word`` (folded, without spaces) seems to be written for; None for a word with nothing behind.

    Never for a word that a pack knows.
    """
    if not 3 < len(word) <= _LONGEST or word.isdigit() or word in lexicon().known:
        return None
    return _stretched(word) or _disguised(word) or _glued(word) or _slipped(word)


def _stretched(word: str) -> str | None:
    plain = _LONG_RUNS.sub(r"\1", word)
    found = plain if plain != word and plain in lexicon().keywords else None
    # `stoop`, `sttop`; of other short words the doubled letter makes another word (PARE, German Paare).
    return found or ("stop" if _RUNS.sub(r"\1", word) == "stop" else None)


def _disguised(word: str) -> str | None:
    keywords = lexicon().keywords
    if word.isascii():
        if word.isalpha():
            return None
        for table in (_DIGITS, _ONE_AS_L):
            found = word.translate(table)
            if found in keywords or _LONG_RUNS.sub(r"\1", found) in keywords:
                return _LONG_RUNS.sub(r"\1", found)
        return None
    for table in (_LOOKS, _LOOKS_AND_SOUNDS, _SOUNDS, _AS_CYRILLIC, _AS_CYRILLIC_BY_SOUND):
        found = word.translate(table)
        if found != word and found in keywords:
            return found
    return None


def _glued(word: str) -> str | None:
    # `stopsms`, `stop2quit`, `stop12`: the keyword first, then what is said with it.
    words = lexicon()
    for end in range(4, len(word)):
        if word[:end] in words.deciding:
            rest = word[end:].lstrip("0123456789")
            if not rest or (len(rest) > 2 and (rest in words.glued or words.whole.get(rest) == "opt_out")):
                return word[:end]
    return None


def _slipped(word: str) -> str | None:
    if len(word) < _LEAST - 1 or not word.isalpha():
        return None
    beginnings, ends = _edges()
    # One slip leaves the first three letters or the last three as they were.
    if word[:3] not in beginnings and word[-3:] not in ends:
        return None
    shortened = _shortened()
    for candidate in {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}:
        for keyword in shortened.get(candidate, ()):
            if _one_slip(word, keyword):
                return keyword
    return None


def _one_slip(word: str, keyword: str) -> bool:
    """One letter more, less or other, or two neighbours swapped."""
    start = 0
    while start < min(len(word), len(keyword)) and word[start] == keyword[start]:
        start += 1
    first, second = word[start:], keyword[start:]
    return (
        first[1:] == second[1:]
        or first[1:] == second
        or first == second[1:]
        or (first[:2] == second[1::-1] and first[2:] == second[2:])
    )


@cache
def _edges() -> tuple[frozenset[str], frozenset[str]]:
    long = [keyword for keyword in lexicon().deciding if len(keyword) >= _LEAST]
    return frozenset(each[:3] for each in long), frozenset(each[-3:] for each in long)


@cache
def _shortened() -> dict[str, list[str]]:
    """Each long keyword with one letter left out, and whole."""
    found: dict[str, list[str]] = {}
    for keyword in lexicon().deciding:
        if len(keyword) >= _LEAST:
            for each in {keyword, *(keyword[:at] + keyword[at + 1 :] for at in range(len(keyword)))}:
                found.setdefault(each, []).append(keyword)
    return found
