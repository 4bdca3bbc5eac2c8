"""What options are written in: instants, spans of time, consents, tokens and earlier sends."""

from __future__ import annotations

import re

from policies.facts import CATEGORIES, Consent, Send, Token
from policies.terms import duration
from scheduler.api.instants import parse_instant
from scheduler.errors import Invalid

WHEN = "an instant like 2026-03-28T08:00Z, or how long before --at: 90m, 2h, 3d (+2h: after it)"
CONSENTS = ("express", "implied", "night")
TOKENS = ("marketing", "recurring", "one_time")
#: How long before ``--at``, or after it.
_SPAN = re.compile(r"(\+?)(?=\d)(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?( ago)?")
#: An instant as people write it, without its seconds.
_NO_SECONDS = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d)([Zz]|[+-]\d\d:\d\d)")


def read_instant(option: str, given: str, at: int) -> int:
    """Epoch seconds of an instant told on the command line; ``90m`` is so long before ``at``, ``+90m`` after it."""
    span = _SPAN.fullmatch(given.strip())
    if span is not None:
        return at + _seconds(span) if span[1] else at - _seconds(span)
    try:
        found = parse_instant(_NO_SECONDS.sub(r"\1:00\2", given.strip()))
    except ValueError as error:
        way_out = "or say how long ago it was: 90m, 2h, 3d"
        raise Invalid(f"`{given}` {error}", field=option, way_out=way_out) from error
    assert isinstance(found, int)
    return found


def read_span(option: str, given: str, *, longest: int) -> int:
    """Seconds of a span such as 48h or 90d, at most ``longest``. Raises Invalid."""
    found = _SPAN.fullmatch(given.strip())
    seconds = _seconds(found) if found else 0
    if not found or found[1] or found[6] or not 0 < seconds <= longest:
        raise Invalid(
            f"`{given}` is not a span of time",
            field=option,
            way_out=f"write it like 48h or 7d, at most {duration(longest)}",
        )
    return seconds


def _seconds(span: re.Match[str]) -> int:
    return sum(
        int(count) * size for count, size in zip(span.groups()[1:5], (86_400, 3600, 60, 1), strict=True) if count
    )


def read_consent(written: str, at: int) -> Consent:
    """A consent written ``KIND,granted=WHEN,expires=WHEN,topic=TOPIC``. Raises Invalid."""
    kind, more = _parts("consent", written, ("granted", "expires", "topic"))
    granted, expires = more.get("granted"), more.get("expires")
    return Consent(
        kind=among("consent", kind, CONSENTS),
        topic=more.get("topic"),
        granted_at=at if granted is None else read_instant("consent", granted, at),
        expires_at=None if expires is None else read_instant("consent", expires, at),
    )


def read_token(written: str, at: int) -> Token:
    """A token written ``KIND,used=WHEN,expires=WHEN,topic=TOPIC``. Raises Invalid."""
    kind, more = _parts("token", written, ("used", "expires", "topic"))
    used, expires = more.get("used"), more.get("expires")
    return Token(
        kind=among("token", kind, TOKENS),
        topic=more.get("topic"),
        last_used_at=None if used is None else read_instant("token", used, at),
        expires_at=None if expires is None else read_instant("token", expires, at),
    )


def read_send(written: str, at: int, category: str) -> Send:
    """A send written ``WHEN,category=…,ground=…``; it was of this category if not told. Raises Invalid."""
    when, more = _parts("sent", written, ("category", "ground"))
    return Send(
        at=read_instant("sent", when, at),
        category=among("sent", more["category"], CATEGORIES) if "category" in more else category,
        ground=more.get("ground"),
    )


def _parts(option: str, written: str, known: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """``first,key=value,key=value`` taken apart."""
    first, *rest = (part.strip() for part in written.split(","))
    found: dict[str, str] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals or key not in known or key in found or not value:
            raise Invalid(
                f"`{part}` of `{written}` says nothing",
                field=option, way_out=f"write {', '.join(f'{name}=…' for name in known)}, each once",
            )  # fmt: skip
        found[key] = value
    return first, found


def among(option: str, given: str, known: tuple[str, ...]) -> str:
    """What was given, if it is one of those known. Raises Invalid."""
    if given not in known:
        what = "is not a category" if known is CATEGORIES else "is not a kind"
        raise Invalid(f"`{given}` {what}", field=option, way_out=f"use one of {', '.join(known)}")
    return given
