"""What all keyword packs say, laid out for looking messages up in it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from policies.folding import folded_word, forms_of_phrase, is_unspaced, squeezed
from policies.keyword_packs import KeywordPack, Meaning, Part, PartList, Reach, WordList, keyword_packs


class Suggestion(NamedTuple):
    """What somebody may have meant, for a person to judge: nothing is done about it."""

    meaning: Meaning
    #: The keyword or phrase that was found, as its pack writes it.
    word: str
    #: The pack, by its language code; of several, the first by name.
    language: str


class Entry(NamedTuple):
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
    #: For scripts without spaces: phrases that are found anywhere, with what each is.
    unspaced: dict[str, list[Entry]] = field(default_factory=dict)
    #: The same scripts: phrases about something else, and negations, the longest first.
    unspaced_product: list[str] = field(default_factory=list)
    #: The same scripts: what is taken out before a message counts as short, the longest first.
    unspaced_courtesy: list[str] = field(default_factory=list)
    #: All of ``unspaced`` and ``unspaced_product``: letter → what may come after it; under the empty one, the phrase
    #: that ends here.
    letters: Tree = field(default_factory=dict)
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
    found = Lexicon(spelt=_spellings())
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
    for phrase in (*found.unspaced, *found.unspaced_product):
        node = found.letters
        for letter in phrase:
            node = node.setdefault(letter, {})
        node[""] = phrase
    return found


def rank(meaning: Meaning) -> int:
    """Which of several meanings counts, lowest first.

    Where languages disagree about a word, an opt-out too many is better than one too few; and asking for help changes
    nothing, where opting in would.
    """
    return ("opt_out", "help", "opt_in").index(meaning)


def with_marks(text: str) -> str:
    """The text in small letters with its accents, without the rest of what a keyboard adds; an i's dot is not one."""
    small = unicodedata.normalize("NFC", as_written(text).replace("i\u0307", "i").replace("ı", "i"))
    return "".join(small.split())


def is_another_word(folded: str, written: str) -> bool:
    """Whether a short word has marks that no pack's word has that folds to the same: Swedish BÄSTA is not BASTA."""
    if written.isascii() or len(folded) > _SHORT_WORD or not LATIN.search(written):
        return False
    marked = with_marks(written)
    return not marked.isascii() and marked not in lexicon().spelt.get(squeezed(folded), ())


class _Alphanumerics(dict[int, str]):
    """What stays of each letter in small letters: letters and digits, else a space; asked once for each."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        found = self[code] = letter if letter.isalnum() else " "
        return found


_ALPHANUMERICS = _Alphanumerics()


def as_written(text: str) -> str:
    """The text in small letters with its marks, without what else a keyboard adds."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().translate(_ALPHANUMERICS).split())


def _words(lexicon: Lexicon, pack: KeywordPack, words: WordList) -> None:
    for word, folded in zip(words.words, words.folded, strict=True):
        suggestion = Suggestion(words.meaning, word, pack.language)
        entry = Entry(words.reach, pack.language, suggestion)
        for form in folded:
            if words.decides:
                if pack.marks_matter and " " not in form and not word.isascii():
                    lexicon.marked.setdefault(form, (suggestion, set()))[1].add(as_written(word))
                    lexicon.known.add(form)
                    continue
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


def _spellings() -> dict[str, set[str]]:
    """Every short word and message of the packs, folded, with its spellings."""
    found: dict[str, set[str]] = {}

    def keep(written: str, folded: str) -> None:
        form = squeezed(folded)
        if len(form) <= _SHORT_WORD:
            found.setdefault(form, set()).add(with_marks(written))

    words: set[str] = set()
    for pack in keyword_packs():
        lists: tuple[WordList | PartList, ...] = (*pack.lists, *pack.parts)
        for each in lists:
            for phrase, folded in zip(each.words, each.folded, strict=True):
                if phrase.isascii():
                    continue
                words.update(phrase.split())
                # A longer one is not short without its spaces either: there are fewer of them than letters.
                if len(folded[0]) < 2 * _SHORT_WORD:
                    keep(phrase, folded[0])
    for word in words:
        keep(word, folded_word(word)[0])
    return found


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
    entry = Entry(part.part, pack.language, None, part.either_way)
    for word, folded in zip(part.words, part.folded, strict=True):
        if part.part == "refusal":
            entry = Entry(part.part, pack.language, Suggestion("opt_out", word, pack.language), part.either_way)
        for form in folded:
            _add(lexicon, form, entry)
            if part.part in ("courtesy", "object") and " " not in form and len(form) > 1:
                lexicon.glued.add(form)


def _same(one: Entry, other: Entry) -> bool:
    """Whether ``one`` adds nothing to ``other``: packs are read by name, and the first has the word."""
    if one.kind != other.kind or (one.kind in ("object", "refusal") and one.language != other.language):
        return False
    return one.suggestion is None or other.suggestion is None or one.suggestion.meaning == other.suggestion.meaning


def _put(here: list[Entry], entry: Entry) -> None:
    for other in here:
        if _same(entry, other):
            return
    here.append(entry)


def _add(lexicon: Lexicon, form: str, entry: Entry) -> None:
    if is_unspaced(form):
        form = squeezed(form)
        if len(form) == 1 and entry.suggestion is not None:
            lexicon.perhaps.setdefault(form, entry.suggestion)
        if entry.kind in ("product", "negation"):
            lexicon.unspaced_product.append(form)
        elif entry.kind == "courtesy":
            lexicon.unspaced_courtesy.append(form)
        elif len(form) > 1:
            _put(lexicon.unspaced.setdefault(form, []), entry)
        return
    words = form.split(" ")
    node = lexicon.tree
    for word in words:
        after = node.get(word)
        if after is None:
            after = node[word] = {}
        node = after
    if "" in node:
        _put(node[""], entry)
    else:
        node[""] = [entry]
    lexicon.known.update(words)
    if entry.kind == "object":
        lexicon.objects.update(words)
    elif entry.suggestion is not None:
        node[REFUSES if entry.kind == "refusal" else SUGGESTS] = True
