"""Words that opt out, opt in or ask for help: a message counts when the whole of it is one of them.

Case, accents, punctuation, emoji and spacing do not matter. A word inside a sentence decides nothing: "please stop by"
is no STOP. It may suggest to a person that somebody should look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from policies.folding import forms, is_unspaced, normalise
from policies.keyword_packs import Meaning, keyword_packs

__all__ = ["Meaning", "Suggestion", "match_keyword", "normalise", "suggest"]

#: Nobody types more into Messenger; what is longer is not looked at.
_LONGEST = 20_000


@dataclass(slots=True, frozen=True)
class Suggestion:
    """What somebody may have meant, for a person to judge: nothing is done about it."""

    meaning: Meaning
    #: The keyword or phrase that was found, as its pack writes it.
    word: str
    #: The pack, by its language code; of several, the first by name.
    language: str


@dataclass(slots=True)
class _Lexicon:
    #: Folded message → what it means.
    whole: dict[str, Meaning] = field(default_factory=dict)
    #: Folded message → what somebody may have meant by it.
    perhaps: dict[str, Suggestion] = field(default_factory=dict)
    #: Folded words that stand between spaces → what they suggest.
    spaced: dict[str, Suggestion] = field(default_factory=dict)
    #: The same for scripts without spaces, to be found anywhere.
    unspaced: dict[str, Suggestion] = field(default_factory=dict)
    #: First word of entries of ``spaced`` → the most words that one of them has.
    openings: dict[str, int] = field(default_factory=dict)


def match_keyword(text: str) -> Meaning | None:
    """What the message means as a keyword of any language we know, or None.

    A keyword said several times over ("STOP STOP") is still nothing but the keyword.
    """
    return None if len(text) > _LONGEST else _whole(forms(text))


def suggest(text: str) -> Suggestion | None:
    """What a message that is no keyword seems to ask for, by a phrase inside it; only for a person to look at.

    An opt-out comes before anything else, then the longest phrase counts. None for a message that is a keyword as a
    whole (it has been acted upon) and for one that says nothing we know.
    """
    return read(text)[1]


def read(text: str) -> tuple[Meaning | None, Suggestion | None]:
    """``match_keyword`` and ``suggest`` at once, for half of the work: one of the two is None."""
    if len(text) > _LONGEST:
        return None, None
    found = forms(text)
    meaning = _whole(found)
    return meaning, _suggested(found) if meaning is None else None


def _whole(folded: tuple[str, ...]) -> Meaning | None:
    whole = _lexicon().whole
    found = {whole.get(_once(form)) for form in folded}
    return _strongest(meaning for meaning in found if meaning is not None)


def _suggested(folded: tuple[str, ...]) -> Suggestion | None:
    lexicon = _lexicon()
    found = {each for form in folded for each in _inside(form, lexicon)}
    found |= {lexicon.perhaps[form] for form in folded if form in lexicon.perhaps}
    if not found:
        return None
    return min(found, key=lambda each: (_rank(each.meaning), -len(normalise(each.word)), each.language, each.word))


def _inside(folded: str, lexicon: _Lexicon) -> Iterator[Suggestion]:
    words = folded.split()
    # Few words begin a phrase that we know; most messages have none of them.
    known = () if lexicon.openings.keys().isdisjoint(words) else words
    for start, word in enumerate(known):
        for end in range(start + 1, min(start + lexicon.openings.get(word, 0), len(words)) + 1):
            if suggestion := lexicon.spaced.get(" ".join(words[start:end])):
                yield suggestion
    if is_unspaced(folded):
        yield from (suggestion for phrase, suggestion in lexicon.unspaced.items() if phrase in folded)


def _once(folded: str) -> str:
    words = folded.split()
    # A single letter is no cry: "T T" are tears.
    return words[0] if len(set(words)) == 1 and len(words[0]) > 1 else folded


def _strongest(meanings: Iterable[Meaning]) -> Meaning | None:
    return min(meanings, key=_rank, default=None)


def _rank(meaning: Meaning) -> int:
    # Where languages disagree about a word, an opt-out too many is better than one too few; and asking for help
    # changes nothing, where opting in would.
    return ("opt_out", "help", "opt_in").index(meaning)


@cache
def _lexicon() -> _Lexicon:
    lexicon = _Lexicon()
    for pack in keyword_packs():
        for each in pack.lists:
            for word in each.words:
                for form in forms(word):
                    if each.decides:
                        before = lexicon.whole.get(form, each.meaning)
                        lexicon.whole[form] = min(before, each.meaning, key=_rank)
                    if each.suggests:
                        _add(lexicon, form, Suggestion(each.meaning, word, pack.language))
        for ordinary in pack.ordinary:
            if ordinary.may_mean is not None:
                suggestion = Suggestion(ordinary.may_mean, ordinary.word, pack.language)
                lexicon.perhaps |= dict.fromkeys(forms(ordinary.word), suggestion)
    return lexicon


def _add(lexicon: _Lexicon, form: str, suggestion: Suggestion) -> None:
    shelf = lexicon.unspaced if is_unspaced(form) else lexicon.spaced
    before = shelf.get(form, suggestion)
    shelf[form] = min(before, suggestion, key=lambda each: (_rank(each.meaning), each.language))
    words = form.split()
    lexicon.openings[words[0]] = max(lexicon.openings.get(words[0], 0), len(words))
