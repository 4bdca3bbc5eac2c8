"""What a message in a script without spaces may have asked for: the packs' phrases, wherever in it they stand.

Somebody may send thousands of letters that are one phrase over and over, so the work is linear in the message: each
phrase is judged once, and of its places no more are looked at than decide.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from policies.folding import stretches
from policies.lexicon import Entry, Suggestion, lexicon

#: So many letters may stand between a refusal and what is refused.
_BETWEEN = 10
#: A message of so many letters suggests what its one strong word means.
_FEW = 8


def unspaced_suggestions(text: str) -> set[Suggestion]:
    """Everything that ``text`` may have asked for in a script without spaces."""
    message = _Message("\n".join(stretches(text)))
    known = lexicon().unspaced
    return {
        entry.suggestion
        for phrase in message.places
        for entry in known.get(phrase, ())
        if entry.suggestion is not None and _suggests(message, phrase, entry)
    }


def is_of(product: tuple[int, int] | None, start: int, end: int) -> bool:
    """Whether what was found belongs to ``product``; a longer phrase around that says more (*sair da lista*)."""
    return product is not None and not (start <= product[0] and product[1] <= end and product != (start, end))


@dataclass
class _Message:
    """A message's stretches between punctuation, a line each, and what is known of them. Worked out when asked."""

    lines: str

    @cached_property
    def places(self) -> Mapping[str, list[int]]:
        """Phrase of a pack → where it begins."""
        lines, size, first = self.lines, len(self.lines), lexicon().letters
        found: dict[str, list[int]] = {}
        for start, letter in enumerate(lines):
            node = first.get(letter)
            at = start + 1
            while node is not None:
                if "" in node:
                    found.setdefault(node[""], []).append(start)
                if at == size:
                    break
                node = node.get(lines[at])
                at += 1
        return found

    @cached_property
    def products(self) -> dict[int, tuple[int, int]]:
        """Letter → the phrase about something else, or the negation, that it belongs to. Of several the longest."""
        found: dict[int, tuple[int, int]] = {}
        # The longest come first. A phrase does not overlap with itself.
        for phrase in lexicon().unspaced_product:
            end = 0
            for start in self.places.get(phrase, ()):
                if start >= end:
                    end = start + len(phrase)
                    for at in range(start, end):
                        found.setdefault(at, (start, end))
        return found

    @cached_property
    def bare(self) -> str:
        """What is left without courtesy."""
        return _bare(self.lines)

    @cached_property
    def said(self) -> set[str]:
        """The lines of what is left."""
        return set(self.bare.split("\n"))

    @cached_property
    def objects(self) -> dict[str, list[int]]:
        """Language → where something begins that may be refused."""
        found: dict[str, list[int]] = {}
        for phrase in self.places:
            for entry in lexicon().unspaced.get(phrase, ()):
                if entry.kind == "object":
                    found.setdefault(entry.language, []).extend(self.meant(phrase))
        return {language: sorted(starts) for language, starts in found.items()}

    @cached_property
    def breaks(self) -> list[int]:
        """Where lines end."""
        return [at for at, letter in enumerate(self.lines) if letter == "\n"]

    def meant(self, phrase: str) -> Iterator[int]:
        """Where the phrase begins without being part of one about something else."""
        products, size = self.products, len(phrase)
        for start in self.places[phrase]:
            for at in range(start, start + size) if products else ():
                if is_of(products.get(at), start, start + size):
                    break
            else:
                yield start


def _suggests(message: _Message, phrase: str, entry: Entry) -> bool:
    if entry.kind == "refusal":
        return any(_of_messages(message, start, start + len(phrase), entry) for start in message.meant(phrase))
    if next(message.meant(phrase), None) is None:
        return False
    if entry.kind == "short":
        few = len(message.bare) - message.bare.count("\n") <= _FEW
        return few or _bare_phrase(phrase) in message.said
    if entry.kind == "alone":
        return message.said <= {_bare_phrase(phrase), ""}
    return entry.kind == "anywhere"


def _of_messages(message: _Message, start: int, end: int, entry: Entry) -> bool:
    """Whether something that may be refused begins near the refusal, on the same line."""
    starts = message.objects.get(entry.language, [])
    line = bisect_right(message.breaks, start)
    begin = message.breaks[line - 1] if line else 0
    until = message.breaks[line] if line < len(message.breaks) else len(message.lines)
    first = bisect_left(starts, max(begin, start - _BETWEEN if entry.either_way else end))
    return first < len(starts) and starts[first] < min(until, end + _BETWEEN)


def _bare(text: str) -> str:
    # Only phrases all of whose letters occur can be part of it: few.
    for phrase in filter(set(text).issuperset, lexicon().unspaced_courtesy):
        text = text.replace(phrase, "")
    return text


@lru_cache(maxsize=16_384)
def _bare_phrase(phrase: str) -> str:
    return _bare(phrase)
