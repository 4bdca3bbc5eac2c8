"""What may be said in an event of no shape that is known: whether a person should look before anything is sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from policies.keywords import read

#: Texts that are looked at in one event, and the longest of them: whoever says STOP says little.
_MOST_TEXTS = 100
_LONGEST_TEXT = 300


def may_say_stop(value: object) -> bool:
    """Whether a text anywhere in it is one with which somebody opts out, or one that a person would have to judge."""
    for text in _texts(value):
        meaning, suggestion = read(text)
        if meaning == "opt_out" or suggestion is not None:
            return True
    return False


def _texts(value: object) -> Iterator[str]:
    """Its texts, without the names they have: the first hundred that are short, the outer ones first."""
    waiting, found = deque([value]), 0
    while waiting and found < _MOST_TEXTS:
        each = waiting.popleft()
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, str) and len(each) <= _LONGEST_TEXT:
            found += 1
            yield each
