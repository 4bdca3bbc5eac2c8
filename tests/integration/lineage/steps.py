"""What happens to a database between its dump and its restoration, step by step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import Result
from sqlalchemy import text
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.cli import ops
from scheduler.cli.main import app
from scheduler.consent.choices import record_opt_out
from scheduler.lineage import watch as watching
from scheduler.lineage.watch import watch
from scheduler.outbox.begin import begin
from scheduler.outbox.ledger import faults
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.tick import tick
from scheduler.store import database, dumps
from tests.unit.delivery.stage import HOUR, NOON, Stage

#: Its commands derive classes from ``datetime``: they are loaded before a test makes the clock stand.
LOADED = ops.app
#: What the clock of every process says while a database is restored.
NOW = NOON + HOUR


def run(*words: str) -> Result:
    """A command, as somebody at a terminal gives it."""
    return CliRunner().invoke(app, words)


def duly(*words: str, code: int = 0) -> Any:
    """What a command says as JSON."""
    result = run(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def refused(*words: str) -> str:
    """Why a command is refused: the present state does not allow it."""
    result = run(*words)
    assert result.exit_code == 5, result.output
    return result.stderr


def release(*words: str, why: str = "the disk broke") -> Any:
    """Let the database send again."""
    return duly("restore", "release", "--why", why, "--yes", *words)


@contextmanager
def staged() -> Iterator[Stage]:
    """A shop in the empty database of the test; committed at the end."""
    with Session(database.engine(), expire_on_commit=False) as session:
        made = Stage(session)
        yield made
        made.commit()


@contextmanager
def on(stage: Stage) -> Iterator[Stage]:
    """The same shop later; committed at the end."""
    with Session(database.engine(), expire_on_commit=False) as stage.session:
        yield stage
        stage.commit()


def plan(count: int) -> Stage:
    """A shop with as many messages that are due."""
    with staged() as made:
        made.messages(count, state="scheduled")
        tick(made.session, NOON)
    return made


def may_send() -> bool:
    with database.session() as session:
        return watch().may_send(session, NOON)


def begin_all() -> list[int]:
    """The messages that policy lets go now."""
    with database.session() as session:
        return [each.message_id for each in begin(session, "promotional", {1: 10}, NOON)]


def send(count: int, *, settled: str | None = "sent") -> list[tuple[int, int]]:
    """Begin as many, mark them, and settle them where ``settled`` says how; (attempt, message) of each."""
    with database.session() as session:
        assert watch().may_send(session, NOON)
        batch = begin(session, "promotional", {1: 10}, NOON, limit=count)
    assert len(batch) == count
    watch().begun([each.mark for each in batch], NOON)
    if settled is not None:
        outcomes = [
            Outcome(
                message_id=each.message_id, attempt_id=each.attempt_id, contact_id=each.contact_id,
                page_id=each.page_id, result=settled, mid=f"m_{each.attempt_id}" if settled == "sent" else None,
            )
            for each in batch
        ]  # fmt: skip
        with database.session() as session:
            settle(session, outcomes, NOON)
        watch().ended([[one.attempt_id, one.message_id, one.result, one.mid] for one in outcomes], NOON)
    return [(each.attempt_id, each.message_id) for each in batch]


def opt_out() -> None:
    """The one person whom a message is for wants no more."""
    with database.session() as session:
        contact = session.execute(text("SELECT contact_id FROM message LIMIT 1")).scalar_one()
        record_opt_out(session, contact, source="message", at=NOON, now=NOON)


def rows(statement: str) -> list[tuple[Any, ...]]:
    with Session(database.engine()) as session:
        return [tuple(row) for row in session.execute(text(statement))]


def states() -> dict[str, int]:
    return dict(rows("SELECT state, count(*) FROM message GROUP BY state"))  # type: ignore[arg-type]


def no_faults() -> None:
    with Session(database.engine()) as session:
        assert faults(session) == []


def forget() -> None:
    """A new process: it has no memory of what it began."""
    watching._watches.clear()


class Dump:
    """A dump of a database, and the way back to it."""

    def __init__(self, url: str, file: Path) -> None:
        self.url, self.file = url, file
        dumps.dump(url, file)

    def load(self) -> None:
        """Back to the dump, in the same place; other processes start anew."""
        self.load_into(self.url)

    def load_into(self, url: str) -> None:
        """The same in the database at ``url``."""
        database.dispose()
        dumps.load(url, self.file)
        forget()
