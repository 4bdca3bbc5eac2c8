"""Lists as parameters, written at once where the driver writes them element by element.

A thousand ids as ``ANY(:ids)`` are in every statement that works on many; the driver's own way costs more than half a
millisecond of the processor a list, often as much as the statement.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper

#: As PostgreSQL writes them in an array, Python writes them.
_PLAIN = frozenset({int, bool, float, Decimal})


class PlainListDumper(ListDumper):
    """The driver's own, but for what ``array`` writes. Types are found as ever."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """The list as PostgreSQL reads an array."""
        written = array(obj)
        if written is None or "\0" in written:
            return super().dump(obj)
        return written.encode(self.connection.info.encoding if self.connection else "utf-8")


def write_lists_at_once(connection: Connection[Any]) -> None:
    """Have this connection write its lists so."""
    connection.adapters.register_dumper(list, PlainListDumper)


def array(values: list[Any]) -> str | None:
    """A flat list as PostgreSQL writes an array of any type; None where there is something unusual in it."""
    if _PLAIN.issuperset(kinds := set(map(type, values))):
        return f"{{{','.join(map(str, values))}}}"
    if kinds <= {int, type(None)}:
        return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"
    if kinds == {str}:
        joined = '","'.join(values)
        if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
            joined = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
        return f'{{"{joined}"}}'
    return None
