"""Lists as parameters, written at once where the driver writes them element by element.

A thousand ids as ``ANY(:ids)`` are in every statement that works on many; the driver's own way costs more than half a
millisecond of the processor a list, often as much as the statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper


class PlainListDumper(ListDumper):
    """The driver's own, but for flat lists of nothing but ``int`` or nothing but ``str``. Types are found as ever."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """The list as PostgreSQL reads an array."""
        kinds = set(map(type, obj))
        if kinds == {int}:
            return b"{" + ",".join(map(str, obj)).encode() + b"}"
        if kinds == {str} and (joined := _joined(obj)) is not None:
            return joined.encode(self.connection.info.encoding if self.connection else "utf-8")
        return super().dump(obj)


def write_lists_at_once(connection: Connection[Any]) -> None:
    """Have this connection write its lists so."""
    connection.adapters.register_dumper(list, PlainListDumper)


def _joined(texts: Sequence[str]) -> str | None:
    """None where something has to be escaped, or is refused by the driver."""
    joined = '","'.join(texts)
    if "\\" in joined or "\0" in joined or joined.count('"') != 2 * (len(texts) - 1):
        return None
    return '{"' + joined + '"}'
