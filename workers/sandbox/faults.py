"""Faults that a test asks for: what is between us and the platform breaks after so much was done."""

from __future__ import annotations

import socket
import struct
from asyncio import Transport
from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["hang", "reset", "http500_after_accept", "error", "drip", "none"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """The next ``count`` messages of a page (or of any) meet this."""

    kind: FaultKind
    page_id: str | None = None
    count: int = 1
    #: Whether the platform took the message before things broke; then its echo comes, unless ``echo`` is false.
    accepted: bool = True
    echo: bool = True
    #: Of an ``error``: its code (None: an answer without one) and subcode, the HTTP status, and the seconds to wait.
    code: int | None = None
    subcode: int | None = None
    status: int = 400
    retry_after: int | None = None
    #: Of a ``drip``: real seconds until the whole answer is out.
    seconds: float = 12.0


class Faults:
    """Those that wait for a message."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def ask(self, fault: Fault) -> None:
        """Add one. ``none`` takes back what waits for the page, or for all."""
        if fault.kind == "none":
            self._waiting = [each for each in self._waiting if fault.page_id not in (None, each.page_id)]
        else:
            self._waiting.append(fault)

    def take(self, page_id: str) -> Fault | None:
        """The fault that a message of the page meets now."""
        for fault in self._waiting:
            if fault.page_id in (None, page_id):
                fault.count -= 1
                if fault.count <= 0:
                    self._waiting.remove(fault)
                return fault
        return None


def reset(transport: Transport) -> None:
    """Break the connection as a crash would: the other side reads "connection reset by peer"."""
    opened = transport.get_extra_info("socket")
    if opened is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
