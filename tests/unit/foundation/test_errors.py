from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler import errors
from scheduler.errors import EXIT_CODES, DulyError, Invalid, NotFound


def _tree(root: type[DulyError] = DulyError) -> Iterator[type[DulyError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child)


@pytest.mark.parametrize("kind", list(_tree()), ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_documented_tree_with_a_documented_exit_code(kind: type[DulyError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.exit_code in EXIT_CODES
    assert str(kind()) == kind.__doc__


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in _tree()]
    assert len(codes) == len(set(codes))


def test_an_error_says_the_place_what_is_wrong_and_the_way_out() -> None:
    error = Invalid("`Mars/Olympus` is not a time zone", field="timezone", way_out="use an IANA name")
    assert str(error) == "timezone: `Mars/Olympus` is not a time zone; use an IANA name"
    assert str(NotFound("no page `7`")) == "no page `7`"
