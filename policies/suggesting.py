"""What a message that is no keyword may have asked for. Only for a person to look at.

Four ways lead here, each over words that the keyword packs name: a phrase anywhere in the message; a keyword alone
between punctuation, or in a message of three words; a refusal near what is refused (``no more … texts``); a keyword
with nothing but courtesy beside it. None of them counts where the words are part of a phrase about something else
(``bus stop``) or follow a negation (``don't stop``).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from policies.folding import fold, letters, normalise, stretches
from policies.lexicon import LATIN, Entry, Suggestion, Tree, is_another_word, lexicon, rank
from policies.misspelt import keyword_behind

#: What separates one thing said from the next: all but letters, digits, marks, spaces, and what stands inside words.
_BREAKS = re.compile(
    "[^\\w\\s'’‘`´ʼ\\-‐‑\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u064b-\u0652\u0900-\u0d7f\u0e00-\u0e7f"
    "\u200b-\u200f\u2060\ufe00-\ufe0f]+|[\r\n_]+"
)
#: Letters one by one with signs between them: ``s.t.o.p``.
_SPELT = re.compile(r"(?<!\w)[^\W\d_](?:[.\-_*·•~|][^\W\d_]){2,}(?!\w)")
_APOSTROPHES = str.maketrans("", "", "'’‘`´ʼ")
_SIGNS = str.maketrans({"$": "s", "@": "a", "🛑": " stop "})

#: So many words may stand between a refusal and what is refused; letters in a script without spaces.
_BETWEEN = 5
_BETWEEN_LETTERS = 10
#: So many letters at the beginning of a message and at its end are looked at; the platform lets people send 2,000.
_MOST = 4_000
#: A message of so many words suggests what its one strong word means; of so many letters in a script without spaces.
_FEW = 3
_FEW_LETTERS = 8


@dataclass(slots=True)
class _Reading:
    """The words of a message, with what they are."""

    words: list[str]
    #: Per word: the number of the stretch between punctuation that it stands in.
    stretch: list[int]
    #: Runs of words that may suggest something: start, end, what.
    found: list[tuple[int, int, Entry]] = field(default_factory=list)
    #: Where negations end: what begins there is negated.
    negated: set[int] = field(default_factory=set)
    #: Word → the phrase about something else that it belongs to: where that begins and ends. Of several the longest.
    product: dict[int, tuple[int, int]] = field(default_factory=dict)
    courtesy: bytearray = field(default_factory=bytearray)
    #: Per word: it is a keyword, or what one may be said about.
    told: bytearray = field(default_factory=bytearray)
    #: Word → the languages in which it is something that may be refused.
    objects: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))


def look_closely(text: str, *, words: bool = True, unspaced: bool = True) -> Suggestion | None:
    """The strongest suggestion in ``text``: an opt-out first, then the longest phrase. Bounded in its length.

    ``words`` and ``unspaced`` say what is worth looking at: what stands between spaces, and scripts without spaces.
    """
    if len(text) > 2 * _MOST:
        text = f"{text[:_MOST]}\n{text[-_MOST:]}"
    hits = set(_in_words(_read(text))) if words else set()
    if unspaced:
        hits.update(_unspaced(text))
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
            for entry in node.get("", ()):
                _note(reading, start, end + 1, entry)
        if words[start].isdigit():
            reading.courtesy[start] = 1


def _note(reading: _Reading, start: int, end: int, entry: Entry) -> None:
    ones = b"\1" * (end - start)
    match entry.kind:
        case "negation":
            reading.negated.add(end)
        case "product":
            _claim(reading, start, end)
        case "courtesy":
            reading.courtesy[start:end] = ones
        case "signature":
            # "Sent from my iPhone" and whatever else stands on that line.
            last = end
            while last < len(reading.words) and reading.stretch[last] == reading.stretch[start]:
                last += 1
            reading.courtesy[start:last] = b"\1" * (last - start)
            _claim(reading, start, last)
        case "object":
            reading.told[start:end] = ones
            for at in range(start, end):
                reading.objects[at].add(entry.language)
        case _:
            reading.found.append((start, end, entry))
            if entry.kind != "refusal" and entry.suggestion is not None and entry.suggestion.meaning == "opt_out":
                reading.told[start:end] = ones


def _claim(reading: _Reading, start: int, end: int) -> None:
    for at in range(start, end):
        before = reading.product.get(at, (at, at))
        if end - start > before[1] - before[0]:
            reading.product[at] = (start, end)


def _in_words(reading: _Reading) -> Iterator[Suggestion]:
    if not reading.found:
        return
    plain = _plain_stretches(reading)
    all_plain = len(plain) == len(set(reading.stretch))
    few = len(reading.words) - sum(reading.courtesy) <= _FEW
    for start, end, entry in reading.found:
        if entry.suggestion is None or not _meant(reading, start, end):
            continue
        match entry.kind:
            case "anywhere":
                yield entry.suggestion
            case "short" if few or all_plain or reading.stretch[start] in plain:
                yield entry.suggestion
            case "alone" if all_plain:
                yield entry.suggestion
            case "refusal" if reading.objects and _of_messages(reading, start, end, entry):
                yield entry.suggestion


def _meant(reading: _Reading, start: int, end: int) -> bool:
    if reading.product and any(_is_of(reading.product.get(at), start, end) for at in range(start, end)):
        return False
    return start not in reading.negated or reading.stretch[start - 1] != reading.stretch[start]


def _is_of(product: tuple[int, int] | None, start: int, end: int) -> bool:
    """Whether what was found belongs to ``product``; a longer phrase around that says more (*sair da lista*)."""
    return product is not None and not (start <= product[0] and product[1] <= end and product != (start, end))


def _plain_stretches(reading: _Reading) -> set[int]:
    """The stretches that have nothing but keywords, courtesy and what keywords are said about."""
    plain = set(reading.stretch)
    for at, number in enumerate(reading.stretch):
        if not reading.told[at] and not reading.courtesy[at]:
            plain.discard(number)
    return plain


def _of_messages(reading: _Reading, start: int, end: int, entry: Entry) -> bool:
    """Whether something that may be refused stands near the refusal."""
    near = range(max(0, start - _BETWEEN - 1) if entry.either_way else end, min(end + _BETWEEN + 1, len(reading.words)))
    return any(
        entry.language in reading.objects[at]
        and reading.stretch[at] == reading.stretch[start]
        and at not in reading.product
        for at in near
        if at in reading.objects
    )


def _unspaced(text: str) -> Iterator[Suggestion]:
    whole = "\n".join(stretches(text))
    runs = list(_unspaced_runs(whole))
    if not any(entry.suggestion for _, _, entry in runs):
        return
    # The longest come first.
    products: dict[int, tuple[int, int]] = {}
    for product in _spans(whole, _possible(lexicon().unspaced_product, whole)):
        for at in range(*product):
            products.setdefault(at, product)
    bare = _bare(whole)
    said = set(bare.split("\n"))
    few = len(bare) - bare.count("\n") <= _FEW_LETTERS
    found = [
        (start, end, entry)
        for start, end, entry in runs
        if not products or not any(_is_of(products.get(at), start, end) for at in range(start, end))
    ]
    objects = [(start, end, entry.language) for start, end, entry in found if entry.kind == "object"]
    starts = [start for start, _, _ in objects]
    for start, end, entry in found:
        if entry.suggestion is None:
            continue
        word = _bare_phrase(whole[start:end])
        match entry.kind:
            case "anywhere":
                yield entry.suggestion
            case "short" if few or word in said:
                yield entry.suggestion
            case "alone" if said <= {word, ""}:
                yield entry.suggestion
            case "refusal":
                first = bisect_left(starts, start - _BETWEEN_LETTERS if entry.either_way else end)
                last = bisect_left(starts, end + _BETWEEN_LETTERS)
                if any(
                    language == entry.language and "\n" not in whole[min(at, start) : max(ends, end)]
                    for at, ends, language in objects[first:last]
                ):
                    yield entry.suggestion


def _spans(text: str, phrases: list[str]) -> Iterator[tuple[int, int]]:
    for phrase in phrases:
        start = text.find(phrase)
        while start >= 0:
            yield start, start + len(phrase)
            start = text.find(phrase, start + len(phrase))


def _possible(phrases: list[str], text: str) -> list[str]:
    """The phrases all of whose letters occur in the text: few, and no other can be part of it."""
    return list(filter(set(text).issuperset, phrases))


def _bare(text: str) -> str:
    for phrase in _possible(lexicon().unspaced_courtesy, text):
        text = text.replace(phrase, "")
    return text


@lru_cache(maxsize=16_384)
def _bare_phrase(phrase: str) -> str:
    """The same for a pack's phrase, which a long message may say hundreds of times."""
    return _bare(phrase)


def _unspaced_runs(whole: str) -> Iterator[tuple[int, int, Entry]]:
    begins = lexicon().unspaced
    for at in range(len(whole) - 1):
        for phrase, entry in begins.get(whole[at : at + 2], ()):
            if whole.startswith(phrase, at):
                yield at, at + len(phrase), entry
