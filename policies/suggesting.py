"""What a message that is not a keyword may have asked for. Only for a person to look at.

Four ways lead here, each over words that the keyword packs name: a phrase anywhere in the message; a keyword alone
between punctuation, or in a message of three words; a refusal near what is refused (``no more … texts``); a keyword
with nothing but courtesy beside it. None of them counts where the words are part of a phrase about something else
(``bus stop``) or follow a negation (``don't stop``).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from policies.folding import fold, letters, normalise
from policies.lexicon import LATIN, Entry, Suggestion, Tree, is_another_word, lexicon, rank
from policies.misspelt import keyword_behind
from policies.unspaced import is_of, unspaced_suggestions

#: What separates one thing said from the next: all but letters, digits, marks, spaces, and what stands inside words.
_BREAKS = re.compile(
    "[^\\w\\s'’‘`´ʼ\\-‐‑\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u064b-\u0652\u0900-\u0d7f\u0e00-\u0e7f"
    "\u200b-\u200f\u2060\ufe00-\ufe0f]+|[\r\n_]+"
)
#: Letters one by one with signs between them: ``s.t.o.p``.
_SPELT = re.compile(r"(?<!\w)[^\W\d_](?:[.\-_*·•~|][^\W\d_]){2,}(?!\w)")
_APOSTROPHES = str.maketrans("", "", "'’‘`´ʼ")
_SIGNS = str.maketrans({"$": "s", "@": "a", "🛑": " stop "})

#: So many words may stand between a refusal and what is refused.
_BETWEEN = 5
#: So many letters at the beginning of a message and at its end are looked at; the platform lets people send 2,000.
_MOST = 4_000
#: A message of so many words suggests what its one strong word means.
_FEW = 3


@dataclass(slots=True, frozen=True)
class _Found:
    """A run of words that the packs know. A long message may say it hundreds of times, and is judged for it once."""

    #: What it may suggest.
    suggests: list[Entry]
    #: The languages in which it is something that may be refused.
    objects: set[str]
    #: What it is besides.
    parts: list[Entry]
    #: It is a keyword, or something that one may be said about.
    told: bool
    #: Where it stands: start, end.
    places: list[tuple[int, int]]


@dataclass(slots=True)
class _Reading:
    """The words of a message, with what they are."""

    words: list[str]
    #: Per word: the number of the stretch between punctuation that it stands in.
    stretch: list[int]
    #: What may suggest something, each with its places; by the identity of the lexicon's entries.
    found: dict[int, _Found] = field(default_factory=dict)
    #: Where negations end: what begins there is negated.
    negated: set[int] = field(default_factory=set)
    #: Word → the phrase about something else that it belongs to: where that begins and ends. Of several the longest.
    product: dict[int, tuple[int, int]] = field(default_factory=dict)
    courtesy: bytearray = field(default_factory=bytearray)
    #: Per word: it is a keyword, or what one may be said about.
    told: bytearray = field(default_factory=bytearray)


def look_closely(text: str, *, words: bool = True, unspaced: bool = True) -> Suggestion | None:
    """The strongest suggestion in ``text``: an opt-out first, then the longest phrase. Bounded in its length.

    ``words`` and ``unspaced`` say what is worth looking at: what stands between spaces, and scripts without spaces.
    """
    if len(text) > 2 * _MOST:
        text = f"{text[:_MOST]}\n{text[-_MOST:]}"
    hits = set(_in_words(_read(text))) if words else set()
    if unspaced:
        hits.update(unspaced_suggestions(text))
    if not hits:
        return None
    return min(hits, key=lambda each: (rank(each.meaning), -len(normalise(each.word)), each.language, each.word))


def joined(words: list[str]) -> list[str]:
    """``s t o p`` as one word; ``st op`` where nothing more is said."""
    if in_pieces(words):
        return ["".join(words)]
    if not any(len(word) == 1 for word in words):
        return words
    kept: list[str] = []
    run: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1 and not word.isdigit():
            run.append(word)
            continue
        together = "".join(run)
        spelt = len(run) > 2 and (together in lexicon().whole or keyword_behind(together) is not None)
        kept += [together] if spelt else run
        run = []
        kept.append(word)
    return kept[:-1]


def in_pieces(words: list[str]) -> bool:
    """Whether nothing but one keyword is said, cut up: ``un sub scribe``. (``s top`` is a size and a top.)"""
    if not 1 < len(words) < 5:
        return False
    whole = "".join(words)
    if whole == "stop":
        return len(words[0]) > 1 or len(words) > 2
    return whole in lexicon().keywords and (len(whole) > 6 or max(map(len, words)) < 3)


def _read(text: str) -> _Reading:
    if any(sign in text for sign in "$@🛑"):
        text = text.translate(_SIGNS)
    text = _SPELT.sub(lambda found: "".join(filter(str.isalnum, found[0])), letters(text))
    words: list[str] = []
    stretch: list[int] = []
    known = lexicon().known
    for number, piece in enumerate(_BREAKS.split(text)):
        for word in joined(_words(piece.translate(_APOSTROPHES))):
            words.append(word if word in known else keyword_behind(word) or word)
            stretch.append(number)
    if in_pieces(words):
        words, stretch = ["".join(words)], [0]
    size = len(words)
    reading = _Reading(words, stretch, courtesy=bytearray(size), told=bytearray(size))
    _find(reading)
    return reading


def _words(piece: str) -> list[str]:
    folded = fold(piece, " ").split()
    if piece.isascii() or not LATIN.search(piece):
        return folded
    written = piece.replace("-", " ").split()
    if len(written) != len(folded):
        return folded
    return [each if is_another_word(word, each) else word for word, each in zip(folded, written, strict=True)]


def _find(reading: _Reading) -> None:
    """Look up every run of words that the packs know."""
    words, tree = reading.words, lexicon().tree
    for start in range(len(words)):
        node: Tree | None = tree
        for end in range(start, len(words)):
            node = node.get(words[end]) if node else None
            if node is None:
                break
            if "" in node:
                _note(reading, start, end + 1, node[""])
        if words[start].isdigit():
            reading.courtesy[start] = 1


def _note(reading: _Reading, start: int, end: int, entries: list[Entry]) -> None:
    found = reading.found.get(id(entries))
    if found is None:
        found = reading.found[id(entries)] = _found(entries)
    for entry in found.parts:
        _note_part(reading, start, end, entry)
    if found.suggests or found.objects:
        found.places.append((start, end))
    if found.told:
        reading.told[start:end] = b"\1" * (end - start)


def _found(entries: list[Entry]) -> _Found:
    suggests = [entry for entry in entries if entry.suggestion is not None]
    objects = {entry.language for entry in entries if entry.kind == "object"}
    parts = [entry for entry in entries if entry.suggestion is None and entry.kind != "object"]
    keyword = any(
        entry.kind != "refusal" and entry.suggestion is not None and entry.suggestion.meaning == "opt_out"
        for entry in suggests
    )
    return _Found(suggests, objects, parts, told=keyword or bool(objects), places=[])


def _note_part(reading: _Reading, start: int, end: int, entry: Entry) -> None:
    match entry.kind:
        case "negation":
            reading.negated.add(end)
        case "product":
            _claim(reading, start, end)
        case "courtesy":
            reading.courtesy[start:end] = b"\1" * (end - start)
        case "signature":
            # "Sent from my iPhone" and whatever else stands on that line.
            last = end
            while last < len(reading.words) and reading.stretch[last] == reading.stretch[start]:
                last += 1
            reading.courtesy[start:last] = b"\1" * (last - start)
            _claim(reading, start, last)


def _claim(reading: _Reading, start: int, end: int) -> None:
    for at in range(start, end):
        before = reading.product.get(at, (at, at))
        if end - start > before[1] - before[0]:
            reading.product[at] = (start, end)


def _in_words(reading: _Reading) -> Iterator[Suggestion]:
    found = [each for each in reading.found.values() if each.suggests]
    if not found:
        return
    plain = _plain_stretches(reading)
    all_plain = len(plain) == len(set(reading.stretch))
    few = len(reading.words) - sum(reading.courtesy) <= _FEW
    objects = _objects(
        reading, {entry.language for each in found for entry in each.suggests if entry.kind == "refusal"}
    )
    for each in found:
        meant = [place for place in each.places if _meant(reading, *place)]
        for entry in each.suggests if meant else ():
            match entry.kind:
                case "anywhere":
                    suggests = True
                case "short":
                    suggests = few or all_plain or any(reading.stretch[start] in plain for start, _ in meant)
                case "alone":
                    suggests = all_plain
                case _:
                    near = objects[entry.language]
                    suggests = near != [] and any(_of_messages(reading, near, place, entry) for place in meant)
            if suggests and entry.suggestion is not None:
                yield entry.suggestion


def _objects(reading: _Reading, languages: set[str]) -> dict[str, list[int]]:
    """For each of the languages the words, in order, that are something that may be refused in it."""
    words: dict[str, set[int]] = {language: set() for language in languages}
    for found in reading.found.values():
        concerned = found.objects & languages
        if concerned:
            places = {at for start, end in found.places for at in range(start, end) if at not in reading.product}
            for language in concerned:
                words[language] |= places
    return {language: sorted(places) for language, places in words.items()}


def _meant(reading: _Reading, start: int, end: int) -> bool:
    if reading.product and any(is_of(reading.product.get(at), start, end) for at in range(start, end)):
        return False
    return start not in reading.negated or reading.stretch[start - 1] != reading.stretch[start]


def _plain_stretches(reading: _Reading) -> set[int]:
    """The stretches that have nothing but keywords, courtesy and what keywords are said about."""
    plain = set(reading.stretch)
    for at, number in enumerate(reading.stretch):
        if not reading.told[at] and not reading.courtesy[at]:
            plain.discard(number)
    return plain


def _of_messages(reading: _Reading, objects: list[int], place: tuple[int, int], entry: Entry) -> bool:
    """Whether one of ``objects``, in order, stands near the refusal, in the same stretch."""
    start, end = place
    stretch = reading.stretch
    begin = max(bisect_left(stretch, stretch[start]), start - _BETWEEN - 1 if entry.either_way else end)
    until = min(bisect_right(stretch, stretch[start]), end + _BETWEEN + 1)
    first = bisect_left(objects, begin)
    return first < len(objects) and objects[first] < until
