"""Every arrow of a message's way, as data: what moves it, who may, and what the row says that it leaves behind.

One table. The database refuses any other arrow (``trigger_ddl``), ``ledger.py`` checks the log against it, the diagram
and the table in ``docs/architecture.md`` are rendered from it, and the model check takes its steps from it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: Who moves messages. ``person`` stands for whoever has a key: the log keeps the key's name.
Mover = Literal["planner", "tick", "wake", "deliver", "sweep", "webhook", "restore", "person"]
#: What the appended row carries: the decision with its facts, the attempt, or only what happened.
Row = Literal["decision", "attempt", "event"]


@dataclass(frozen=True, slots=True)
class Arrow:
    """``came`` → ``to``: a compare-and-set on ``came`` plus one row. ``came`` is None where a message begins."""

    came: str | None
    to: str
    cause: str
    by: tuple[Mover, ...]
    row: Row


TABLE: tuple[Arrow, ...] = (
    Arrow(None, "scheduled", "permitted now or later", ("planner", "person"), "decision"),
    Arrow(None, "denied", "policy says no", ("planner", "person"), "decision"),
    Arrow("scheduled", "due", "its time has come", ("tick",), "event"),
    Arrow("scheduled", "due", "something may permit more", ("wake",), "event"),
    Arrow("scheduled", "expired", "parked until its end", ("tick",), "event"),
    Arrow("scheduled", "cancelled", "taken back", ("person", "webhook"), "event"),
    Arrow("scheduled", "cancelled", "what it repeats had arrived", ("webhook", "deliver"), "event"),
    Arrow("due", "sending", "decided anew: send", ("deliver",), "decision"),
    Arrow("due", "scheduled", "decided anew: later", ("deliver", "sweep", "wake"), "decision"),
    Arrow("due", "denied", "decided anew: no", ("deliver", "sweep", "wake"), "decision"),
    Arrow("due", "expired", "decided anew: too late", ("deliver", "sweep", "wake"), "decision"),
    Arrow("due", "refused", "cannot be rendered", ("deliver",), "decision"),
    Arrow("due", "cancelled", "taken back", ("person", "deliver", "sweep", "wake", "webhook"), "event"),
    Arrow("due", "cancelled", "what it repeats had arrived", ("webhook", "deliver"), "event"),
    Arrow("sending", "sent", "accepted", ("deliver", "webhook", "restore"), "attempt"),
    Arrow("sending", "refused", "the platform says no", ("deliver",), "attempt"),
    Arrow("sending", "due", "proven not sent", ("deliver",), "attempt"),
    Arrow("sending", "scheduled", "proven not sent, later", ("deliver",), "attempt"),
    Arrow("sending", "in_doubt", "no clear answer", ("deliver",), "attempt"),
    Arrow("sending", "in_doubt", "nobody came back", ("sweep",), "attempt"),
    Arrow("sending", "dead", "three crashes", ("sweep",), "attempt"),
    Arrow("in_doubt", "sent", "accepted", ("deliver", "webhook", "restore"), "attempt"),
    Arrow("in_doubt", "refused", "the platform says no", ("deliver",), "attempt"),
    Arrow("in_doubt", "due", "proven not sent", ("deliver",), "attempt"),
    Arrow("in_doubt", "scheduled", "proven not sent, later", ("deliver",), "attempt"),
    Arrow("in_doubt", "unconfirmed", "no evidence in time", ("sweep",), "attempt"),
    Arrow("unconfirmed", "sent", "late evidence", ("deliver", "webhook", "restore"), "attempt"),
    Arrow("dead", "sent", "late evidence", ("deliver", "webhook", "restore"), "attempt"),
    # An echo proves wrong what the platform, or the network, had told us. Evidence is never fenced.
    Arrow("scheduled", "sent", "late evidence", ("webhook", "restore"), "attempt"),
    Arrow("due", "sent", "late evidence", ("webhook", "restore"), "attempt"),
    Arrow("refused", "sent", "late evidence", ("webhook", "restore"), "attempt"),
    Arrow("denied", "sent", "late evidence", ("webhook", "restore"), "attempt"),
    Arrow("expired", "sent", "late evidence", ("webhook", "restore"), "attempt"),
    Arrow("cancelled", "sent", "late evidence", ("webhook", "restore"), "attempt"),
    # The database was restored from a dump, and marks outside it tell of attempts that it does not know.
    Arrow(None, "unconfirmed", "restored", ("restore",), "attempt"),
    Arrow(None, "sent", "restored", ("restore",), "attempt"),
    Arrow("scheduled", "unconfirmed", "restored", ("restore",), "attempt"),
    Arrow("due", "unconfirmed", "restored", ("restore",), "attempt"),
    Arrow("sending", "unconfirmed", "restored", ("restore",), "attempt"),
    Arrow("in_doubt", "unconfirmed", "restored", ("restore",), "attempt"),
    Arrow("sent", "delivered", "delivered", ("webhook", "deliver"), "event"),
    Arrow("sent", "read", "read", ("webhook", "deliver"), "event"),
    Arrow("delivered", "read", "read", ("webhook", "deliver"), "event"),
)

PAIRS: frozenset[tuple[str | None, str]] = frozenset((arrow.came, arrow.to) for arrow in TABLE)
#: Movers that sign with their own name; every other actor is a person.
MACHINES: frozenset[str] = frozenset({"planner", "tick", "wake", "deliver", "sweep", "webhook", "restore"})

_BEGIN, _END = "<!-- arrows: begin -->", "<!-- arrows: end -->"


def allowed(came: str | None, to: str, actor: str) -> bool:
    """Whether the table has an arrow ``came`` → ``to`` that ``actor`` (a machine's name, or a key's) may take."""
    mover = actor if actor in MACHINES else "person"
    return any(arrow.came == came and arrow.to == to and mover in arrow.by for arrow in TABLE)


def trigger_ddl() -> tuple[str, str]:
    """The statements by which the database refuses arrows that are not in the table: a function, and its trigger.

    The condition is evaluated inside the update, so an allowed arrow calls nothing.
    """
    moves = ", ".join(f"'{came}>{to}'" for came, to in sorted((a, b) for a, b in PAIRS if a is not None))
    return (
        """
        CREATE OR REPLACE FUNCTION refuse_arrow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'message % may not go from % to %', OLD.id, OLD.state, NEW.state
                USING ERRCODE = 'check_violation', HINT = 'the arrows are in scheduler/outbox/arrows.py';
        END $$
        """,
        f"""
        CREATE OR REPLACE TRIGGER message_arrow AFTER UPDATE OF state ON message FOR EACH ROW
        WHEN (OLD.state IS DISTINCT FROM NEW.state AND OLD.state || '>' || NEW.state NOT IN ({moves}))
        EXECUTE FUNCTION refuse_arrow()
        """,
    )


def diagram() -> str:
    """The table as a state diagram in Mermaid. Late evidence, which leads from anywhere to ``sent``, is a note."""
    labels: dict[tuple[str | None, str], list[str]] = {}
    for arrow in TABLE:
        if arrow.cause != "late evidence" or arrow.came in ("unconfirmed", "dead"):
            labels.setdefault((arrow.came, arrow.to), []).append(arrow.cause)
    lines = [f"    {came or '[*]'} --> {to}: {' / '.join(causes)}" for (came, to), causes in labels.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def as_markdown() -> str:
    """The part of ``docs/architecture.md`` that speaks of the arrows: the diagram, and the table row by row."""
    rows = [
        f"| {arrow.came or ''} | {arrow.to} | {arrow.cause} | {', '.join(arrow.by)} | {arrow.row} |" for arrow in TABLE
    ]
    head = ["| from | to | cause | who | row |", "|---|---|---|---|---|"]
    return "\n".join([_BEGIN, diagram(), "", *head, *rows, _END])


def render_into(document: str) -> str:
    """The document with its part about the arrows made anew. Raises ValueError when it has no such part."""
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"there is no {_BEGIN} … {_END} in the document")
    return before + as_markdown() + after


if __name__ == "__main__":
    for name in sys.argv[1:]:
        place = Path(name)
        place.write_text(render_into(place.read_text(encoding="utf-8")), encoding="utf-8")
