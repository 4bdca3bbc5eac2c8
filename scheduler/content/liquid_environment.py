"""Liquid, fenced: no files, no clock, no ranges, and a budget of work for each rendering."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

from liquid import BoundTemplate, Environment, Mode, RenderContext, StrictUndefined, Undefined
from liquid.ast import Node
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import FilterArgumentError, LiquidSyntaxError, ResourceLimitError
from liquid.expression import Expression
from liquid.token import Token

from scheduler.content.liquid_shape import Misshapen, markup_of

#: Characters of a value between two filters, several times what the platform takes.
_LONGEST_VALUE = 10_000

#: What one rendering may cost: about a character that a filter looks at, or a part of a loop's body that is run.
#: All of it together takes a tenth of a second at the most.
MOST_WORK = 200_000

#: What reads other files, the clock, or writes HTML.
_NO_TAGS = ("include", "render", "tablerow", "extends", "block", "macro", "call")
_NO_FILTERS = ("date",)

#: Filters that compare each element with each other, or parse anew at each sign: what they cost grows by the square.
_SQUARE = {"uniq": 10, "strip_html": 1_000}

#: Sources up to this length are kept compiled, many of them; of longer ones a few.
_SHORT = 2_000


class TooMuchWork(ResourceLimitError):
    """the template does more than a message needs"""


class _Context(RenderContext):
    """Counts what a rendering costs.

    python-liquid bounds what is written and what is assigned, not what one filter hands to the next (eight ``replace``
    in a row make 10 characters into 250 thousand million), nor how often a long body is run.
    """

    __slots__ = ("work",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.work = 0

    def spend(self, work: int) -> None:
        """Count ``work``. Raises TooMuchWork beyond the budget."""
        self.work += work
        if self.work > MOST_WORK:
            raise TooMuchWork("the template does more than a message needs", token=None)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        """The filter, refusing to make a value that no message could hold."""
        return partial(self._filtered, name, super().filter(name, token))

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Count the runs of a loop's body, which may have as many parts as the template has."""
        super().raise_for_loop_limit(length)
        self.spend(length * getattr(self.template, "parts", 1))

    def _filtered(
        self, name: str, wrapped: Callable[..., object], value: object, *arguments: object, **options: object
    ) -> object:
        length = _length(value, name, arguments)
        if length > _LONGEST_VALUE:
            raise FilterArgumentError(f"{name}: the value grows over {_LONGEST_VALUE} characters", token=None)
        self.spend(1 + length + (length * length // _SQUARE[name] if name in _SQUARE else 0))
        return wrapped(value, *arguments, **options)


class _Template(BoundTemplate):
    """A compiled template that knows how many parts it has."""

    context_class = _Context
    parts = 1


class _Environment(Environment):
    """Limits are attributes of the class in python-liquid."""

    template_class = _Template
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
    return made


def _length(value: object, name: str, arguments: Sequence[object]) -> int:
    """How many characters the filter ``name`` makes of ``value`` at most."""
    given = [str(argument) for argument in arguments if isinstance(argument, (str, int, float))]
    if isinstance(value, (list, tuple)):
        listed = sum(len(argument) for argument in arguments if isinstance(argument, (list, tuple)))
        joined = len(value) * len(given[0]) if given else len(value)
        return sum(_length(each, "", ()) for each in value) + joined + listed
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


def knows_filter(name: str) -> bool:
    """Whether a template may use the filter."""
    return name in _environment.filters


def compile_source(source: str) -> BoundTemplate:
    """The compiled form of ``source``, not kept. Raises LiquidError, also for a shape that is not looked at."""
    try:
        spans = markup_of(source)
    except Misshapen as error:
        raise LiquidSyntaxError(error.words, token=_token(source, error.index)) from error
    made = _environment.from_string(source)
    made.parts = 0  # type: ignore[attr-defined]  # the environment makes templates of our class
    for part in _parts(made):
        # A path of two thousand names is one expression, and as much work as two thousand.
        made.parts += 1 + len(getattr(part, "path", ()))  # type: ignore[attr-defined]
        if isinstance(part, RangeLiteral):
            # python-liquid writes ranges out, however long, before any limit.
            within = next((start for start, end in spans if start <= part.token.start_index < end), None)
            raise LiquidSyntaxError("a range", token=_token(source, within))
    return made


@lru_cache(maxsize=2048)
def _short(source: str) -> BoundTemplate:
    return compile_source(source)


@lru_cache(maxsize=32)
def _long(source: str) -> BoundTemplate:
    return compile_source(source)


def compiled(source: str) -> BoundTemplate:
    """The compiled form of ``source``, kept. Raises LiquidError."""
    return _short(source) if len(source) <= _SHORT else _long(source)


def _parts(template: BoundTemplate) -> Iterator[Node | Expression]:
    context = RenderContext(template)
    waiting: list[Node | Expression] = list(template.nodes)
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, Node):
            waiting += part.children(context, include_partials=False)
            waiting += part.expressions()
        else:
            waiting += part.children()


def _token(source: str, index: int | None) -> Token | None:
    return None if index is None else Token("", "", index, source)
