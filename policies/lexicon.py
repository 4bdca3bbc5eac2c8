"""What all keyword packs say, laid out for looking messages up in it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from policies.folding import forms_of_phrase, is_unspaced, normalise, squeezed
from policies.keyword_packs import KeywordPack, Meaning, Part, PartList, Reach, WordList, keyword_packs


@dataclass(slots=True, frozen=True)
class Suggestion:
    """What somebody may have meant, for a person to judge: nothing is done about it."""

    meaning: Meaning
    #: The keyword or phrase that was found, as its pack writes it.
    word: str
    #: The pack, by its language code; of several, the first by name.
    language: str


@dataclass(slots=True, frozen=True)
class Entry:
    """What a run of words is: a word or phrase with its meaning, or a part of the language."""

    kind: Reach | Part
    language: str
    suggestion: Suggestion | None = None
    #: Of a refusal: what is refused may also stand before it.
    either_way: bool = False


#: In longer words a wrong accent is a slip, in these it makes another word.
_SHORT_WORD = 6
#: Letters with marks of the Latin script.
LATIN = re.compile("[\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff]")

#: Where what ends here may suggest something by itself, or where it stands near something of ``objects``.
SUGGESTS, REFUSES = "\n", "\r"
#: Word → what may come after it; under the empty word, what ends here.
Tree = dict[str, Any]


@dataclass(slots=True)
class Lexicon:
    """The packs, folded."""

    #: Folded message → what it means.
    whole: dict[str, Meaning] = field(default_factory=dict)
    #: Of those that opt out: how surely, and as which word.
    sure: dict[str, Entry] = field(default_factory=dict)
    #: Folded word that decides only with its marks → as it is written with them, in small letters.
    marked: dict[str, tuple[Suggestion, set[str]]] = field(default_factory=dict)
    #: Folded message → what somebody may have meant by it.
    perhaps: dict[str, Suggestion] = field(default_factory=dict)
    #: Runs of words between spaces.
    tree: Tree = field(default_factory=dict)
    #: For scripts without spaces, found anywhere: first two letters → phrases that begin so.
    unspaced: dict[str, list[tuple[str, Entry]]] = field(default_factory=dict)
    #: The same scripts: what is taken out before anything is looked for, the longest first.
    unspaced_product: list[str] = field(default_factory=list)
    unspaced_courtesy: list[str] = field(default_factory=list)
    #: Single words that may be refused.
    objects: set[str] = field(default_factory=set)
    #: Short folded word or message → its spellings with their marks: people leave marks out, but add none.
    spelt: dict[str, set[str]] = field(default_factory=dict)
    #: Every word that a pack knows: none of them is a misspelling of another.
    known: set[str] = field(default_factory=set)
    #: Single words of four letters or more that opt out or suggest it: what may stand behind a disguised word.
    keywords: set[str] = field(default_factory=set)
    #: Those of them that decide: what misspellings are measured against.
    deciding: set[str] = field(default_factory=set)
    #: Single words that may follow a keyword without a space: ``stopsms``.
    glued: set[str] = field(default_factory=set)


@cache
def lexicon() -> Lexicon:
    """Every pack's words. Read once."""
    found = Lexicon()
    for pack in keyword_packs():
        for each in pack.lists:
            _words(found, pack, each)
        for part in pack.parts:
            _part(found, pack, part)
        for ordinary in pack.ordinary:
            for form in forms_of_phrase(ordinary.word):
                found.known.update(form.split())
                if ordinary.may_mean is not None:
                    found.perhaps[form] = Suggestion(ordinary.may_mean, ordinary.word, pack.language)
    found.unspaced_product.sort(key=len, reverse=True)
    found.unspaced_courtesy.sort(key=len, reverse=True)
    return found


def rank(meaning: Meaning) -> int:
    """Which of several meanings counts, lowest first.

    Where languages disagree about a word, an opt-out too many is better than one too few; and asking for help changes
    nothing, where opting in would.
    """
    return ("opt_out", "help", "opt_in").index(meaning)


def with_marks(text: str) -> str:
    """The text in small letters with its accents, without what else a keyboard adds; the dot on an i is no accent."""
    small = unicodedata.normalize("NFC", as_written(text).replace("i\u0307", "i").replace("ı", "i"))
    return "".join(small.split())


def is_another_word(folded: str, written: str) -> bool:
    """Whether a short word has marks that no pack's word has that folds to the same: Swedish BÄSTA is no BASTA."""
    if written.isascii() or len(folded) > _SHORT_WORD or not LATIN.search(written):
        return False
    marked = with_marks(written)
    return not marked.isascii() and marked not in lexicon().spelt.get(squeezed(folded), ())


def as_written(text: str) -> str:
    """The text in small letters with its marks, without what else a keyboard adds."""
    small = unicodedata.normalize("NFC", text).casefold()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in small).split())


def _words(lexicon: Lexicon, pack: KeywordPack, words: WordList) -> None:
    for word, folded in zip(words.words, words.folded, strict=True):
        _spell(lexicon, word)
        suggestion = Suggestion(words.meaning, word, pack.language)
        entry = Entry(words.reach, pack.language, suggestion)
        for form in folded:
            if words.decides and pack.marks_matter and " " not in form and not word.isascii():
                lexicon.marked.setdefault(form, (suggestion, set()))[1].add(as_written(word))
                lexicon.known.add(form)
                continue
            if words.decides:
                before = lexicon.whole.get(form, words.meaning)
                lexicon.whole[form] = min(before, words.meaning, key=rank)
                if words.meaning == "opt_out":
                    _sure(lexicon, form, entry)
            if words.reach == "alone" and (words.meaning != "opt_out" or _short(form)):
                # TD is a touchdown, T a size, START a question: with anything beside them they say nothing.
                if not words.decides:
                    lexicon.perhaps.setdefault(form, suggestion)
                lexicon.known.update(form.split())
                continue
            _add(lexicon, form, entry)
            if words.meaning == "opt_out" and words.reach != "alone" and len(form) > 3 and _one_word(form):
                lexicon.keywords.add(form)
                if words.decides:
                    lexicon.deciding.add(form)


def _spell(lexicon: Lexicon, phrase: str) -> None:
    if phrase.isascii():
        return
    for word in {*phrase.split(), phrase}:
        form, marked = _spelling(word)
        if len(form) <= _SHORT_WORD:
            lexicon.spelt.setdefault(form, set()).add(marked)


@lru_cache(maxsize=16_384)
def _spelling(word: str) -> tuple[str, str]:
    return squeezed(normalise(word)), with_marks(word)


def _one_word(form: str) -> bool:
    return " " not in form and not is_unspaced(form)


def _short(form: str) -> bool:
    return len(form) < 3 and not is_unspaced(form)


def _sure(lexicon: Lexicon, form: str, entry: Entry) -> None:
    order = ("anywhere", "short", "alone")
    before = lexicon.sure.get(form)
    if before is None or order.index(entry.kind) < order.index(before.kind):
        lexicon.sure[form] = entry


def _part(lexicon: Lexicon, pack: KeywordPack, part: PartList) -> None:
    for word, folded in zip(part.words, part.folded, strict=True):
        _spell(lexicon, word)
        suggestion = Suggestion("opt_out", word, pack.language) if part.part == "refusal" else None
        entry = Entry(part.part, pack.language, suggestion, part.either_way)
        for form in folded:
            _add(lexicon, form, entry)
            if part.part in ("courtesy", "object") and " " not in form and len(form) > 1:
                lexicon.glued.add(form)


def _same(one: Entry, other: Entry) -> bool:
    """Whether ``one`` adds nothing to ``other``: packs are read by name, and the first has the word."""
    if one.kind != other.kind or (one.kind in ("object", "refusal") and one.language != other.language):
        return False
    return one.suggestion is None or other.suggestion is None or one.suggestion.meaning == other.suggestion.meaning


def _add(lexicon: Lexicon, form: str, entry: Entry) -> None:
    if is_unspaced(form):
        form = squeezed(form)
        if len(form) == 1 and entry.suggestion is not None:
            lexicon.perhaps.setdefault(form, entry.suggestion)
        if entry.kind in ("product", "negation"):
            lexicon.unspaced_product.append(form)
        elif entry.kind == "courtesy":
            lexicon.unspaced_courtesy.append(form)
        else:
            here = lexicon.unspaced.setdefault(form[:2], [])
            if not any(form == before and _same(entry, other) for before, other in here):
                here.append((form, entry))
        return
    words = form.split()
    node = lexicon.tree
    for word in words:
        node = node.setdefault(word, {})
    here = node.setdefault("", [])
    if not any(_same(entry, other) for other in here):
        here.append(entry)
    lexicon.known.update(words)
    if entry.kind == "object":
        lexicon.objects.update(words)
    elif entry.suggestion is not None:
        node[REFUSES if entry.kind == "refusal" else SUGGESTS] = True
