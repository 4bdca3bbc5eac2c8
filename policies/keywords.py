"""Words that opt out, opt in or ask for help: a message counts when the whole of it is one of them.

Case, accents, punctuation, emoji and spacing do not matter. A word inside a sentence decides nothing: "please stop by"
is not a STOP. What else sounds like one suggests to a person that somebody should look: see ``policies.suggesting``.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.folding import fold_both_ways, forms, forms_of_folded, is_unspaced, normalise
from policies.keyword_packs import Meaning
from policies.lexicon import REFUSES, SUGGESTS, Suggestion, as_written, is_another_word, lexicon, rank
from policies.misspelt import keyword_behind
from policies.suggesting import in_pieces, look_closely

__all__ = [
    "Label",
    "Meaning",
    "Suggestion",
    "is_opt_out",
    "match_keyword",
    "normalise",
    "read",
    "read_label",
    "suggest",
]

#: The platform takes no more from a person; of what is longer the beginning and the end are looked at.
_LONGEST = 20_000
_HALF = _LONGEST // 2
#: Question marks: Latin and full-width, Arabic, Greek; turned, as Spanish begins with.
_QUESTIONS = frozenset("?\uff1f\u061f\u037e\u00bf")


@dataclass(slots=True, frozen=True)
class Label:
    """What the words on a button ask for. A button never opts anybody in."""

    opt_out: bool = False
    suggestion: Suggestion | None = None
    #: They are a word that also ends a booking or a game (CANCEL): what the button carries tells.
    unsure: bool = False


def match_keyword(text: str) -> Meaning | None:
    """What the message means as a keyword of any language we know, or None.

    A keyword said several times over ("STOP STOP") is still nothing but the keyword. "Start?" asks, and opts nobody in.
    """
    if len(text) > _LONGEST:
        return None
    meaning = _whole(text, forms(text))
    return None if meaning == "opt_in" and _asks(text) else meaning


def suggest(text: str) -> Suggestion | None:
    """What a message that is not a keyword seems to ask for; only for a person to look at.

    An opt-out comes before anything else, then the longest phrase counts. None for a message that is a keyword as a
    whole (it has been acted upon) and for one that says nothing we know.
    """
    return read(text)[1]


def read(text: str) -> tuple[Meaning | None, Suggestion | None]:
    """``match_keyword`` and ``suggest`` at once, for half of the work: one of the two is None."""
    if len(text) > _LONGEST:
        text = f"{text[:_HALF]}\n{text[-_HALF:]}"
        return None, look_closely(text)
    tight, spaced = fold_both_ways(text)
    found = forms_of_folded(tight, spaced)
    meaning = _whole(text, found)
    if meaning is not None:
        return (None if meaning == "opt_in" and _asks(text) else meaning), None
    for form in () if is_another_word(spaced, text) else found:
        if (perhaps := lexicon().perhaps.get(form)) is not None:
            return None, perhaps
        if text.isascii() and form in lexicon().marked:
            return None, lexicon().marked[form][0]
    words, unspaced = _worth_a_look(text, spaced), is_unspaced(spaced)
    return None, look_closely(text, words=words, unspaced=unspaced) if words or unspaced else None


def read_label(text: str) -> Label:
    """What a tap on these words asks for. Words that are also said of orders and games leave it to the payload."""
    found = forms(text[:_LONGEST])
    entries = [
        entry
        for form in found
        if (entry := lexicon().sure.get(_once(form))) is not None and not is_another_word(form, text)
    ]
    if any(entry.kind != "alone" for entry in entries):
        return Label(opt_out=True)
    if entries:
        return Label(suggestion=entries[0].suggestion, unsure=True)
    if _whole(text, found) is not None or any(form in lexicon().perhaps for form in found):
        # START, HELP; and NO, which answers the question above the button.
        return Label()
    suggestion = suggest(text)
    return Label(suggestion=suggestion if suggestion is not None and suggestion.meaning == "opt_out" else None)


def is_opt_out(text: str) -> bool:
    """Whether the words are an opt-out and can be nothing else."""
    return read_label(text).opt_out


def _asks(text: str) -> bool:
    return not _QUESTIONS.isdisjoint(text)


def _whole(text: str, folded: tuple[str, ...]) -> Meaning | None:
    words = lexicon()
    found = {words.whole.get(_once(form)) for form in folded if not is_another_word(form, text)}
    for form in folded:
        marked = words.marked.get(_once(form))
        if marked is not None and _once(as_written(text)) in marked[1]:
            found.add(marked[0].meaning)
    return min((meaning for meaning in found if meaning is not None), key=rank, default=None)


def _once(folded: str) -> str:
    words = folded.split()
    # A single letter is not a cry: "T T" are tears.
    return words[0] if len(set(words)) == 1 and len(words[0]) > 1 else folded


def _worth_a_look(text: str, spaced: str) -> bool:
    """Whether anything in the message can suggest something. Most messages end here."""
    words = spaced.split()
    if any(map(keyword_behind, words)) or "$" in text or "🛑" in text:
        return True
    tree, refusing = lexicon().tree, not lexicon().objects.isdisjoint(words)
    last = len(words) - 1
    for at, word in enumerate(words):
        node = tree.get(word)
        while node is not None:
            if SUGGESTS in node or (refusing and REFUSES in node):
                return True
            if at == last:
                break
            at += 1
            node = node.get(words[at])
    # Letters one by one, or a keyword in pieces.
    return sum(len(word) == 1 for word in words) > 2 or in_pieces(words)
