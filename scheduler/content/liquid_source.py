"""Liquid, fenced: no files, no clock, bounded loops and output, and no name that nothing fills."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps

from liquid import BoundTemplate, Environment, Mode, StrictUndefined, Undefined
from liquid.exceptions import FilterArgumentError, LiquidError

from scheduler.content.variables import KNOWN, OPEN, listed
from scheduler.errors import Invalid

#: Characters of a source: far above any text the platform takes, far below what could hurt.
LONGEST_SOURCE = 20_000

#: Characters of a value between two filters, several times what the platform takes.
_LONGEST_VALUE = 10_000

#: What reads other files, the clock, or writes HTML.
_NO_TAGS = ("include", "render", "tablerow", "extends", "block", "macro", "call")
_NO_FILTERS = ("date",)

#: The dead message tags and the living one that forbids automation: none may be asked for.
_TAGS = re.compile(r"\b(CONFIRMED_EVENT_UPDATE|ACCOUNT_UPDATE|POST_PURCHASE_UPDATE|HUMAN_AGENT|MESSAGE_TAG)\b")

#: Liquid's markup, what is quoted in it, and a range: python-liquid writes ranges out, however long, before any limit.
_MARKUP = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class _Environment(Environment):
    """Limits are attributes of the class in python-liquid."""

    context_depth_limit = 10
    block_nesting_limit = 20
    loop_iteration_limit = 1_000
    output_stream_limit = 50_000
    local_namespace_limit = 10_000


def _make_environment() -> Environment:
    made = _Environment(undefined=StrictUndefined, tolerance=Mode.STRICT, strict_filters=True, loader=None)
    for name in _NO_TAGS:
        made.tags.pop(name, None)
    for name in _NO_FILTERS:
        made.filters.pop(name, None)
    for name, wrapped in made.filters.items():
        made.filters[name] = _bounded(name, wrapped)
    return made


def _bounded(name: str, wrapped: Callable[..., object]) -> Callable[..., object]:
    """The filter, refusing to make a value that no message could hold.

    python-liquid bounds what is written and what is assigned, not what one filter hands to the next: eight ``replace``
    in a row make 10 characters into 250 thousand million.
    """

    @wraps(wrapped)
    def filtered(value: object, *arguments: object, **options: object) -> object:
        if _length(value, name, arguments) > _LONGEST_VALUE:
            raise FilterArgumentError(f"{name}: the value grows over {_LONGEST_VALUE} characters", token=None)
        return wrapped(value, *arguments, **options)

    return filtered


def _length(value: object, name: str, arguments: Sequence[object]) -> int:
    """How many characters the filter ``name`` makes of ``value`` at most."""
    given = [str(argument) for argument in arguments if isinstance(argument, (str, int, float))]
    if isinstance(value, (list, tuple)):
        return sum(_length(each, "", ()) for each in value) + (len(value) * len(given[0]) if given else len(value))
    if isinstance(value, int) and not isinstance(value, bool):
        # A product has the digits of both; a number of this many bits is none that anybody says.
        return value.bit_length() + sum(8 * len(each) for each in given)
    if not isinstance(value, str):
        return 0
    if name.startswith("replace") and len(given) > 1:
        return len(value) + value.count(given[0]) * len(given[1])
    return len(value) + sum(len(each) for each in given)


_environment = _make_environment()


class Attributes(dict[str, object]):
    """A contact's attributes: one that the shop never gave renders empty instead of stopping the message."""

    def __missing__(self, key: str) -> object:
        return Undefined(key)


@lru_cache(maxsize=4096)
def compiled(source: str) -> BoundTemplate:
    """The compiled form of ``source``, kept. Raises LiquidError."""
    return _environment.from_string(source)


def check_source(source: str, *, field: str) -> frozenset[str]:
    """The roots (``contact``, ``order``, …) that ``source`` names.

    Raises Invalid naming ``field`` and the place in it: bad syntax, an unknown variable or filter, a message tag.
    """
    refuse_tags(source, field=field)
    if len(source) > LONGEST_SOURCE:
        raise Invalid(f"{len(source)} characters are too many", field=field, way_out=f"keep it below {LONGEST_SOURCE}")
    if "\x00" in source:
        raise Invalid("a NUL character cannot be stored or sent", field=field, way_out="remove it")
    _refuse_ranges(source, field)
    try:
        analysis = compiled(source).analyze()
    except LiquidError as error:
        raise Invalid(_words(error), field=field, way_out="correct the Liquid at that place") from error
    for name, spans in analysis.filters.items():
        if name not in _environment.filters:
            raise Invalid(
                f"unknown filter `{name}` at {_place(source, spans[0].index)}",
                field=field,
                way_out="Liquid's own filters are known, save those that read the clock",
            )
    for root, uses in analysis.globals.items():
        for use in uses:
            _check_name(root, list(use.segments), source, use.span.index, field)
    return frozenset(analysis.globals)


def _refuse_ranges(source: str, field: str) -> None:
    for markup in _MARKUP.finditer(source):
        if ".." in _QUOTED.sub("", markup.group()):
            raise Invalid(
                f"a range at {_place(source, markup.start())}",
                field=field,
                way_out="a message needs no counting: write the words out, or loop over an attribute",
            )


def without_markup(source: str) -> str:
    """What of ``source`` is said as it stands: Liquid's own markup is a blank."""
    return _MARKUP.sub(" ", source)


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
