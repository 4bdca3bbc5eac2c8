"""``-k``: which scenarios to run, by words of their names, joined by ``and``, ``or``, ``not`` and parentheses.

A word matches where the name holds it, upper or lower case; several words in quotation marks are one phrase.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Chooser = Callable[[str], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<mark>[()])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s()"']+))""")


def chooser(expression: str) -> Chooser:
    """Whether a name is chosen. Raises ValueError saying what is wrong with the expression."""
    reader = _Reader(_tokens(expression), expression)
    found = reader.either()
    if reader.next is not None:
        raise reader.error(
            f"`{reader.next[1]}` is not expected here; join words by and, or, not, or put them in quotes"
        )
    return found


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    place = 0
    expression = expression.rstrip()
    while place < len(expression):
        found = _TOKEN.match(expression, place)
        if found is None:
            raise ValueError(f"`{expression}` has a quotation mark that is not closed")
        place = found.end()
        kind = found.lastgroup or ""
        text = found[kind]
        operator = kind == "word" and text in ("and", "or", "not")
        tokens.append(("operator" if operator or kind == "mark" else "name", text))
    return tokens


class _Reader:
    """Recursive descent.

    either = both ("or" both)*, both = one ("and" one)*, one = "not" one | "(" either ")" | word
    """

    def __init__(self, tokens: list[tuple[str, str]], expression: str) -> None:
        self._tokens = tokens
        self._expression = expression
        self._place = 0

    @property
    def next(self) -> tuple[str, str] | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def error(self, message: str) -> ValueError:
        return ValueError(f"`{self._expression}`: {message}")

    def either(self) -> Chooser:
        found = [self._both()]
        while self._take("or"):
            found.append(self._both())
        return found[0] if len(found) == 1 else lambda name: any(each(name) for each in found)

    def _both(self) -> Chooser:
        found = [self._one()]
        while self._take("and"):
            found.append(self._one())
        return found[0] if len(found) == 1 else lambda name: all(each(name) for each in found)

    def _one(self) -> Chooser:
        if self._take("not"):
            negated = self._one()
            return lambda name: not negated(name)
        if self._take("("):
            found = self.either()
            if not self._take(")"):
                raise self.error("`)` is missing")
            return found
        token = self.next
        if token is None or token[0] == "operator":
            raise self.error(f"a word is missing {'at the end' if token is None else f'before `{token[1]}`'}")
        self._place += 1
        word = token[1].casefold()
        return lambda name: word in name.casefold()

    def _take(self, operator: str) -> bool:
        if self.next != ("operator", operator):
            return False
        self._place += 1
        return True
