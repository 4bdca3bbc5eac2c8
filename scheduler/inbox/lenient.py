"""Reads values of the platform as they come in life: ids as numbers, times as strings or in seconds, odd characters."""

from __future__ import annotations

import json
import math
import re

#: A number below it is seconds: as milliseconds it would be March 1973, as seconds it is the year 5138.
_SECONDS_BELOW = 100_000_000_000

#: Whole numbers up to it survive every JSON reader.
_MOST = 2**53

_SURROGATE = re.compile("[\ud800-\udfff]")

#: The platform nests a dozen levels.
_DEEPEST = 200
_BRACKETS = re.compile(rb"[\[\]{}]")
#: A text that is never closed goes on to the end: else each of its quotes would be tried to the end anew.
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)

#: What could become a NUL or a lone surrogate, as an escape and as bytes: without any of it nothing is looked at twice.
_ESCAPED = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ENCODED = re.compile(rb"\xed[\xa0-\xbf]")


class Unreadable(ValueError):
    """the body is not JSON that can be kept"""


def read_json(raw: bytes) -> object:
    """The JSON in ``raw``, made storable. Raises Unreadable."""
    try:
        if _too_deep(raw):
            raise Unreadable
        if raw.startswith(b"{") and b"\x00" not in raw:
            said = _DECODER.decode(raw.decode("utf-8", "surrogatepass"))
            return storable(said) if _suspect(raw) else said
        # In another encoding, or nothing that the platform sends.
        return storable(json.loads(raw, parse_float=_finite, parse_constant=_nothing))
    except (ValueError, RecursionError) as error:
        raise Unreadable from error


def _suspect(raw: bytes) -> bool:
    # To look for one byte costs a hundredth of what a search for all of it at once does.
    if b"\\u" in raw and _ESCAPED.search(raw):
        return True
    return b"\xed" in raw and _ENCODED.search(raw) is not None


def _finite(written: str) -> float | None:
    number = float(written)
    return number if math.isfinite(number) else None


def _nothing(_: str) -> None:
    return None


#: No infinity, whether it is called so or only too large to be kept.
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_nothing)


def _too_deep(raw: bytes) -> bool:
    """Whether it nests deeper than anything anybody means: deeper than what reads and writes it could go."""
    if raw.count(b"{") + raw.count(b"[") <= _DEEPEST:
        return False
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > _DEEPEST


def storable(value: object) -> object:
    """``value`` as PostgreSQL can keep it: no NUL, no lone surrogate, no infinity."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(str(name)): storable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [storable(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def identifier(value: object) -> str | None:
    """An id, however it was written; None when there is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if 0 < len(value) <= 128 else None


def message_id(value: object) -> str | None:
    """A message's id as it is stored, whatever it contains and however long; None when there is none.

    The same text for the same id wherever it is told: in the answer to a message, in its echo, in deliveries.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _clean(value) if isinstance(value, str) and value else None


def id_of(party: object) -> str | None:
    """The id in ``{"id": …}``; None when there is none."""
    return identifier(party.get("id")) if isinstance(party, dict) else None


def milliseconds(value: object) -> int | None:
    """An instant in epoch milliseconds, from milliseconds or seconds, number or string; None when it is neither."""
    if isinstance(value, str):
        try:
            value = float(value) if value.strip() else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    whole = int(value * 1000) if 0 < value < _SECONDS_BELOW else int(value)
    return whole if 0 < whole <= _MOST else None


def _clean(text: str) -> str:
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return _SURROGATE.sub("\ufffd", text)
