"""Text as keywords are compared: what a keyboard, a phone or a mood adds is taken away, what makes the word stays.

Case, Latin and Greek accents, punctuation, emoji, invisible characters and doubled spaces go. Of Arabic and Hebrew go
the marks that most people leave out; the vowels of Hindi and Thai, and the marks of Japanese, are letters and stay.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

#: Letters of one word that people write in several ways and that no decomposition brings together.
_SAME: dict[int, str | None] = str.maketrans(
    {
        # Turkish: whoever types without its keyboard writes IPTAL, and casefold() makes two letters of İ.
        "ı": "i",
        # Vietnamese đ, Polish ł and Scandinavian ø have no accent to take away.
        "đ": "d",
        "ł": "l",
        "ø": "o",
        # Small capitals, which have no capitals of their own.
        **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),
        # Arabic: the hamza alone is left out as often as the one on a carrier; the last letters and tatweel vary.
        "ء": None,
        "ـ": None,
        "ى": "ي",
        "ی": "ي",
        "ک": "ك",
        "ة": "ه",
        # Hindi: the nukta is often not typed, and chandrabindu is written as anusvara.
        "\u093c": None,
        "\u0901": "\u0902",
    }
)

#: Signs that NFKC would turn into letters (STOP™ is not STOPTM), letters that draw nothing, and letters in boxes,
#: circles and flags, which NFKC leaves alone.
_SIGNS: dict[int, int | None] = dict.fromkeys(
    [*map(ord, "™℠\u115f\u1160\u3164\uffa0\u17b4\u17b5"), *range(0x180B, 0x1810), *range(0xE0100, 0xE01F0)]
) | {first + at: ord("A") + at for first in (0x1F150, 0x1F170, 0x1F1E6) for at in range(26)}
_EACH_SIGN = frozenset(map(chr, _SIGNS))

#: Marks to take away, as ranges: Latin, Greek and Cyrillic accents (also Arabic carriers' hamza, madda), Hebrew points,
#: Arabic vowels. Every other mark (Devanagari, Thai, kana voicing) is part of its word.
_MARKS = (
    (0x0300, 0x036F), (0x0591, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06ED),
    (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF),
)  # fmt: skip

#: ASCII has no marks, no invisible letters and no second spellings: one table does what the rules below do, by what
#: stands in the place of punctuation. (Most messages are such, and every message is looked at.)
_ASCII = {
    punctuation: {
        code: " " if chr(code).isspace() else chr(code).lower() if chr(code).isalnum() else punctuation
        for code in range(128)
    }
    for punctuation in ("", " ")
}

#: Scripts that are written without spaces, or with spaces that vary: Thai, kana, Han, Hangul.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def normalise(text: str) -> str:
    """The text as one keyword is: punctuation is taken out, so ``s.t.o.p`` is ``stop``."""
    return fold(text, "")


def fold(text: str, punctuation: str) -> str:
    """The folded text, with ``punctuation`` (nothing or a space) in the place of punctuation, symbols and emoji."""
    if text.isascii():
        return " ".join(text.translate(_ASCII[punctuation]).split())
    return _folded(_apart(text), punctuation)


def fold_both_ways(text: str) -> tuple[str, str]:
    """The folded text with nothing in the place of punctuation, and with a space there."""
    if text.isascii():
        return fold(text, ""), fold(text, " ")
    apart = _apart(text)
    tight = _folded(apart, "")
    # Letters and digits alone: there is no punctuation whose place could matter.
    return tight, tight if apart.isalnum() else _folded(apart, " ")


def stretches(text: str) -> list[str]:
    """What stands between punctuation, folded, without any space: for scripts that need none."""
    folded = _apart(text).translate(_TABLES["\n"])
    pieces = ("".join(piece.split()) for piece in folded.split("\n"))
    return [unicodedata.normalize("NFC", piece) for piece in pieces if piece]


def letters(text: str) -> str:
    """The text with letters for what is drawn as letters (in boxes, circles, bold, wide); all else stays."""
    if text.isascii():
        return text
    # Few messages have such signs, and a table is looked up letter by letter.
    return unicodedata.normalize("NFKC", text if _EACH_SIGN.isdisjoint(text) else text.translate(_SIGNS))


def _apart(text: str) -> str:
    """Compatibility forms and capitals taken away."""
    return letters(text).casefold()


def _folded(apart: str, punctuation: str) -> str:
    return unicodedata.normalize("NFC", " ".join(apart.translate(_TABLES[punctuation]).split()))


class _Table(dict[int, str | None]):
    """What becomes of each character, its accents with it; asked once for each."""

    def __init__(self, punctuation: str) -> None:
        super().__init__()
        self._punctuation = punctuation

    def __missing__(self, code: int) -> str | None:
        letter = chr(code)
        # й stays the letter it is. Marks that belong to their letters are put back: が.
        parts = letter if letter == "й" else unicodedata.normalize("NFD", letter)
        whole = "".join(self._of(part) or "" for part in parts)
        found = self[code] = unicodedata.normalize("NFC", whole) or None
        return found

    def _of(self, letter: str) -> str | None:
        kind = unicodedata.category(letter)
        if kind[0] in "LN":
            return _SAME.get(ord(letter), letter)
        if letter.isspace():
            return "\n" if self._punctuation == "\n" and letter in "\r\n" else " "
        if kind in ("Mn", "Mc"):
            # Variation selectors and keycaps belong to emoji.
            gone = _within(letter, _MARKS) or "\ufe00" <= letter <= "\ufe0f"
            return None if gone else _SAME.get(ord(letter), letter)
        # Zero-width characters and soft hyphens stand between letters of one word: they go without a trace.
        return None if kind in ("Cf", "Me") else self._punctuation


_TABLES = {punctuation: _Table(punctuation) for punctuation in ("", " ", "\n")}


def forms(text: str) -> tuple[str, ...]:
    """The ways in which the text can be a keyword: ``S'ABONNER`` as ``sabonner`` and ``s abonner``; none if empty."""
    return forms_of_folded(*fold_both_ways(text))


def forms_of_folded(tight: str, spaced: str) -> tuple[str, ...]:
    """The same for text that is folded both ways: as it is, and without spaces where its script needs none."""
    if tight == spaced and not is_unspaced(tight):
        return (tight,) if tight else ()
    found = dict.fromkeys(filter(None, (tight, spaced)))
    for each in tuple(found):
        if is_unspaced(each):
            found[squeezed(each)] = None
    return tuple(found)


@lru_cache(maxsize=16_384)
def folded_word(word: str) -> tuple[str, str]:
    """``fold_both_ways`` for words that are asked for again and again."""
    return fold_both_ways(word)


def forms_of_phrase(phrase: str) -> tuple[str, ...]:
    """``forms`` for many phrases of the same words: each word is folded once."""
    words = phrase.split()
    if phrase.isascii() and "".join(words).isalnum():
        return (" ".join(words).lower(),)
    if len(words) == 1:
        return forms_of_folded(*folded_word(phrase))
    tight, spaced = zip(*map(folded_word, words), strict=True)
    return forms_of_folded(" ".join(filter(None, tight)), " ".join(filter(None, spaced)))


def is_unspaced(folded: str) -> bool:
    """Whether some of it is written in a script that needs no spaces between its words."""
    return not folded.isascii() and _UNSPACED.search(folded) is not None


def squeezed(folded: str) -> str:
    """Without any space."""
    return folded.replace(" ", "")


def _within(letter: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= ord(letter) <= last for first, last in ranges)
