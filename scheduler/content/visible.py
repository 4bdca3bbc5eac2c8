"""Whether a text shows anything: people see an empty bubble where it does not."""

from __future__ import annotations

import unicodedata

#: Drawn as nothing though Unicode counts them among letters, marks or symbols: fillers of Hangul, the joiner of
#: graphemes, Khmer's inherent vowels, the empty Braille pattern (Unicode, Default_Ignorable_Code_Point and U+2800).
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159")
#: Spaces, controls, format characters, and marks without a letter to be on. Not what this Python's Unicode does not
#: know: it may be a newer emoji.
_BLANK_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Mn", "Me"})


def shows_nothing(text: str) -> bool:
    """Whether ``text`` is empty for the eye: without characters, or with none that is drawn."""
    return all(character in _BLANK or unicodedata.category(character) in _BLANK_CATEGORIES for character in text)
