"""Instants on the wire: RFC 3339 with an offset in, UTC with ``Z`` out; whole epoch seconds everywhere below."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from scheduler.api.web_clock import present

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: The last second that can be written with four digits of a year.
_LAST = 253_402_300_799

#: RFC 3339, and the same without seconds, as people write it.
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d\d:\d\d)")


def parse_instant(value: object) -> object:
    """Epoch seconds of an RFC 3339 instant. Raises ValueError, in words for the person who sent it."""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be an instant with its offset, like 2026-03-28T08:00:00Z")
    day, time_of_day, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time_of_day}{'+00:00' if offset in 'Zz' else offset}")
    except ValueError:
        raise ValueError("must be an instant that exists, like 2026-03-28T08:00:00Z") from None
    # Not timestamp(): it goes by a float.
    epoch = (moment - _EPOCH) // timedelta(seconds=1)
    if not 0 <= epoch <= _LAST:
        raise ValueError("must be an instant between the years 1970 and 9999")
    return epoch


def format_instant(epoch: int) -> str:
    """``epoch`` seconds as RFC 3339 in UTC, ``2026-03-28T08:00:00Z``."""
    return (_EPOCH + timedelta(seconds=epoch)).strftime("%Y-%m-%dT%H:%M:%SZ")


#: A field that is an instant in JSON and an int in Python, both ways.
Instant = Annotated[
    int,
    BeforeValidator(lambda value: value if type(value) is int else parse_instant(value)),
    PlainSerializer(format_instant, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-28T08:00:00Z"]}),
]

#: The same in a request, where a number is refused: nobody can tell whether it means seconds or milliseconds.
GivenInstant = Annotated[
    int,
    BeforeValidator(parse_instant),
    PlainSerializer(format_instant, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-28T08:00:00Z"]}),
]

#: A parameter of a route: the present instant on Duly's clock, epoch seconds, whatever this machine shows.
Now = Annotated[int, Depends(present)]
