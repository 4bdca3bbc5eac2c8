"""What there is in the model of the ledger: messages, attempts, workers, and how much of each trouble is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from scheduler.outbox.states import ACCEPTED, DEAD_LETTERS

_T = TypeVar("_T")

LIVE = ("sending", "in_doubt", "unconfirmed")
#: Outcomes of attempts that did not use what they went on.
UNUSED = frozenset({"refused", "not_sent"})
OVER = frozenset({*ACCEPTED, *DEAD_LETTERS, "denied", "expired", "cancelled"})


class Message(NamedTuple):
    """A message; ``heard``: 1 of a delivery, 2 of a read; ``note``: what is kept of that for its acceptance."""

    state: str
    parked: bool = False
    crashes: int = 0
    heard: int = 0
    note: int = 0
    logged: bool = True


class Attempt(NamedTuple):
    """An attempt; ``has``: whether the platform has it; ``told``: whether evidence of that reached us."""

    message: int
    outcome: str
    has: bool = False
    told: bool = False


class Worker(NamedTuple):
    """Where a worker is: idle, chosen, locked, decided, begun, posted, and with what in its hands."""

    phase: str = "idle"
    message: int = -1
    attempt: int = -1
    holds: str = ""


class World(NamedTuple):
    """Everything there is, and how much of each trouble is left."""

    messages: tuple[Message, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    workers: tuple[Worker, ...] = (Worker(), Worker())
    #: 0 nothing, 1 its transaction is open (the contact is locked), 2 committed, 3 acknowledged with 200; 4, in a
    #: mutant: acknowledged and lost.
    opt_out: int = 0
    #: The attempt that the sweep has seen and not yet written to; -1: none.
    swept: int = -1
    over_time: bool = False
    #: Whether the token that the messages go on is used up; see ``Scope.token``.
    spent: bool = False
    crashes: int = 0
    noes: int = 0
    cancels: int = 0
    resends: int = 0
    #: Whether the person who sent again was told that it may arrive twice.
    warned: bool = False
    #: What went wrong in a step, where the world that it leaves does not show it.
    wrong: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may happen: the troubles that are let loose, and how often."""

    name: str
    workers: int = 1
    crashes: int = 0
    #: How often an attempt may be answered with a no, given back, or a decision put off.
    noes: int = 0
    cancels: int = 0
    resends: int = 0
    opt_out: bool = False
    time: bool = False
    #: Deliveries and reads, too.
    deliveries: bool = False
    #: The platform may call the window closed; the person may write.
    window: bool = False
    #: The only ground is a token that the person granted for one message.
    token: bool = False
    #: The platform may answer with a no and have the message all the same.
    errs: bool = False


Step = tuple[str, bool, World]


def put(row: tuple[_T, ...], place: int, value: _T) -> tuple[_T, ...]:
    """The row with another value in that place."""
    return (*row[:place], value, *row[place + 1 :])


def name(m: int) -> str:
    """What a trace calls a message."""
    return "the message" if m == 0 else "the re-send"
