"""``matrix = { at = […], timezone = […] }``: one scenario, every combination of the values its own result."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, datetime, time
from math import prod

from policies.scenarios.people import is_contact_key, is_message_key, matrix_keys
from policies.toml_source import Table

_MOST = 10_000

#: The value of each key in one combination.
Combination = dict[str, object]


def read_matrix(table: Table) -> dict[str, list[object]]:
    """The keys and their values. Raises PolicyError naming the key."""
    found: dict[str, list[object]] = {}
    for key in table:
        if key != "at" and not is_contact_key(key) and not is_message_key(key):
            raise table.error(key, f"is not known here; known are {', '.join(sorted(('at', *matrix_keys())))}")
        values = table.raw(key)
        if not isinstance(values, list) or not values:
            raise table.error(key, "must be a list of the values to try")
        shown = [_shown(value) for value in values]
        if len(set(shown)) != len(shown):
            raise table.error(key, "names a value twice")
        found[key] = values
    if not found:
        raise table.error("", "names no key to try values of")
    if prod(len(values) for values in found.values()) > _MOST:
        raise table.error("", f"has more than {_MOST} combinations")
    return found


def combinations(matrix: dict[str, list[object]]) -> Iterator[Combination]:
    """Every combination, the last key's values changing fastest."""
    for values in itertools.product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))


def name_of(name: str, combination: Combination) -> str:
    """The name of a combination's result: ``name [at=…, timezone=…]``."""
    return f"{name} [{', '.join(f'{key}={_shown(value)}' for key, value in combination.items())}]"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(_shown(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={_shown(each)}' for key, each in value.items())}}}"
    return str(value)
