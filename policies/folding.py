"""Text as keywords are compared: what a keyboard, a phone or a mood adds is taken away, what makes the word stays.

Case, Latin and Greek accents, punctuation, emoji, invisible characters and doubled spaces go. Of Arabic and Hebrew go
the marks that most people leave out; the vowels of Hindi and Thai, and the marks of Japanese, are letters and stay.
"""

from __future__ import annotations

import unicodedata

#: Letters of one word that people write in several ways and that no decomposition brings together.
_SAME = str.maketrans(
    {
        # Turkish: whoever types without its keyboard writes IPTAL, and casefold() makes two letters of İ.
        "ı": "i",
        # Vietnamese đ, Polish ł and Scandinavian ø have no accent to take away.
        "đ": "d",
        "ł": "l",
        "ø": "o",
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

#: Signs that NFKC would turn into letters: STOP™ is no STOPTM.
_SIGNS = str.maketrans("", "", "™℠")

#: Marks to take away, as ranges: Latin, Greek and Cyrillic accents (also Arabic carriers' hamza, madda), Hebrew points,
#: Arabic vowels. Every other mark (Devanagari, Thai, kana voicing) is part of its word.
_MARKS = ((0x0300, 0x036F), (0x0591, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06ED))

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
_UNSPACED = ((0x0E00, 0x0E7F), (0x1100, 0x11FF), (0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF))


def normalise(text: str) -> str:
    """The text as one keyword is: punctuation is taken out, so ``s.t.o.p`` is ``stop``."""
    return fold(text, "")


def fold(text: str, punctuation: str) -> str:
    """The folded text, with ``punctuation`` (nothing or a space) in the place of punctuation, symbols and emoji."""
    if text.isascii():
        return " ".join(text.translate(_ASCII[punctuation]).split())
    plain = unicodedata.normalize("NFKC", text.translate(_SIGNS)).casefold()
    kept: list[str] = []
    for letter in unicodedata.normalize("NFD", plain):
        kind = unicodedata.category(letter)
        if kind[0] in "LN":
            kept.append(letter)
        elif letter.isspace():
            kept.append(" ")
        elif kind in ("Mn", "Mc"):
            # й is a letter of its own; variation selectors and keycaps belong to emoji.
            short_i = letter == "\u0306" and kept[-1:] == ["и"]
            if short_i or not (_within(letter, _MARKS) or "\ufe00" <= letter <= "\ufe0f"):
                kept.append(letter)
        elif kind not in ("Cf", "Me"):
            # Zero-width characters and soft hyphens stand between letters of one word: they go without a trace.
            kept.append(punctuation)
    folded = "".join(kept).translate(_SAME)
    return unicodedata.normalize("NFC", " ".join(folded.split()))


def forms(text: str) -> tuple[str, ...]:
    """The ways in which the text can be a keyword: ``S'ABONNER`` as ``sabonner`` and ``s abonner``; none if empty."""
    found = [fold(text, ""), fold(text, " ")]
    found += [squeezed(each) for each in found if is_unspaced(each)]
    return tuple(dict.fromkeys(form for form in found if form))


def is_unspaced(folded: str) -> bool:
    """Whether some of it is written in a script that needs no spaces between its words."""
    return not folded.isascii() and any(_within(letter, _UNSPACED) for letter in folded)


def squeezed(folded: str) -> str:
    """Without any space."""
    return folded.replace(" ", "")


def _within(letter: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= ord(letter) <= last for first, last in ranges)
