"""A template's source is checked before it is kept: its shape, its syntax, and that something fills every name."""

from __future__ import annotations

import re

from liquid.exceptions import LiquidError

from scheduler.content.liquid_environment import compile_source, knows_filter
from scheduler.content.liquid_shape import Misshapen, markup_of
from scheduler.content.variables import KNOWN, OPEN, listed
from scheduler.errors import Invalid

#: The dead message tags and the living one that forbids automation: none may be asked for.
_TAGS = re.compile(r"\b(CONFIRMED_EVENT_UPDATE|ACCOUNT_UPDATE|POST_PURCHASE_UPDATE|HUMAN_AGENT|MESSAGE_TAG)\b")


def check_source(source: str, *, field: str) -> frozenset[str]:
    """The roots (``contact``, ``order``, …) that ``source`` names.

    Raises Invalid naming ``field`` and the place in it: bad syntax, an unknown variable or filter, a message tag.
    """
    refuse_tags(source, field=field)
    if "\x00" in source:
        raise Invalid("a NUL character cannot be stored or sent", field=field, way_out="remove it")
    try:
        markup_of(source)
        analysis = compile_source(source).analyze()
    except Misshapen as error:
        place = "" if error.index is None else f" at {_place(source, error.index)}"
        raise Invalid(error.words + place, field=field, way_out=error.way_out) from error
    except LiquidError as error:
        raise Invalid(_words(error), field=field, way_out=_way_out(error)) from error
    except RecursionError as error:
        raise Invalid("is nested too deeply", field=field, way_out="say it more simply") from error
    for name, spans in analysis.filters.items():
        if not knows_filter(name):
            raise Invalid(
                f"unknown filter `{name}` at {_place(source, spans[0].index)}",
                field=field,
                way_out="Liquid's own filters are known, save those that read the clock",
            )
    for root, uses in analysis.globals.items():
        for use in uses:
            _check_name(root, list(use.segments), source, use.span.index, field)
    return frozenset(analysis.globals)


def refuse_tags(text: str, *, field: str) -> None:
    """Raise Invalid when ``text`` names a message tag: Duly never sends one."""
    found = _TAGS.search(text)
    if found:
        raise tag_refused(found.group(), field=field)


def tag_refused(tag: object, *, field: str) -> Invalid:
    """Why Duly sends no message tag, and what to use instead."""
    return Invalid(
        f"`{str(tag)[:64]}` is a message tag, and Duly never sends one: the platform retired CONFIRMED_EVENT_UPDATE, "
        "ACCOUNT_UPDATE and POST_PURCHASE_UPDATE on 2026-04-27, and HUMAN_AGENT forbids automation",
        field=field,
        way_out="use category utility with an approved utility template (utility_name) for news of orders, accounts "
        "and events; everything else goes within 24 hours of the person's last message",
    )


def _check_name(root: str, segments: list[object], source: str, index: int, field: str) -> None:
    shown = ".".join(str(segment) for segment in segments)
    place = _place(source, index)
    if root not in KNOWN:
        raise Invalid(f"unknown variable `{shown}` at {place}", field=field, way_out=f"known are {listed()}")
    if len(segments) == 1:
        raise Invalid(
            f"`{shown}` at {place} is not a text",
            field=field,
            way_out=f"name one of {', '.join(f'{root}.{member}' for member in KNOWN[root])}",
        )
    member = segments[1]
    if member not in KNOWN[root]:
        raise Invalid(
            f"unknown variable `{shown}` at {place}",
            field=field,
            way_out=f"known are {', '.join(f'{root}.{member}' for member in KNOWN[root])}",
        )
    opened = (root, member) in OPEN
    if opened and len(segments) == 2:
        raise Invalid(
            f"`{shown}` at {place} is not a text", field=field, way_out=f"name one of them, {shown}.size, say"
        )
    if not opened and len(segments) > 2:
        raise Invalid(f"unknown variable `{shown}` at {place}", field=field, way_out=f"{root}.{member} is a plain text")


def _place(source: str, index: int) -> str:
    before = source[:index]
    return f"line {before.count(chr(10)) + 1}, column {index - (before.rfind(chr(10)) + 1) + 1}"


def _words(error: LiquidError) -> str:
    message = str(error.args[0]) if error.args else "bad Liquid"
    token = error.token
    if token is None:
        return message
    return f"{message} at {_place(token.source, max(token.start_index, 0))}"


def _way_out(error: LiquidError) -> str:
    if error.args and error.args[0] == "a range":
        return "a message needs no counting: write the words out, or loop over an attribute"
    return "correct the Liquid at that place"
