"""The arrows are one table: the code, the database, the documents and the log know no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from scheduler.outbox import arrows, states
from scheduler.outbox.begin import begin
from scheduler.outbox.ledger import faults
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.states import LogRow, append_log
from scheduler.outbox.tick import tick
from tests.unit.delivery.stage import NOON, Stage

ROOT = Path(__file__).resolve().parents[2]
#: A statement that moves messages, up to the end of its text.
_MOVES = re.compile(r"UPDATE message(?: m)?\s+SET(?P<sets>.*?)\bWHERE\b(?P<where>.*?)(?=RETURNING|\"\"\"|$)", re.DOTALL)


def test_the_table_speaks_of_every_state_and_of_no_other() -> None:
    assert {arrow.to for arrow in arrows.TABLE} == set(states.STATES)
    assert {arrow.came for arrow in arrows.TABLE} <= {None, *states.STATES}
    assert len({(arrow.came, arrow.to, arrow.cause) for arrow in arrows.TABLE}) == len(arrows.TABLE)


def test_nothing_leads_out_of_what_the_platform_has_but_forward() -> None:
    order = {state: place for place, state in enumerate(states.ACCEPTED)}
    for came, to in arrows.PAIRS:
        if came in order:
            assert order.get(to, -1) > order[came]


def test_the_document_is_rendered_from_the_table() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert arrows.render_into(document) == document, "run: python -m scheduler.outbox.arrows docs/architecture.md"
    with pytest.raises(ValueError, match="there is no"):
        arrows.render_into("nothing here")


def test_every_statement_that_moves_a_message_names_where_it_moves_from() -> None:
    moving = 0
    for place in sorted((ROOT / "scheduler").rglob("*.py")):
        if "migrations" in place.parts:
            continue
        for found in _MOVES.finditer(place.read_text(encoding="utf-8")):
            if not re.search(r"(?<![a-z_])state = ", found["sets"]):
                continue
            moving += 1
            # In the statement itself, or in the locked rows that it takes them from.
            locked = re.search(r"\bFROM\s+(\w+)\s*$", found["sets"])
            assert re.search(r"\bm?\.?state = ", found["where"]) or locked, f"{place.name}: {found[0]}"
    assert moving >= 10


def test_the_database_has_the_same_table(session: Session) -> None:
    stored = session.execute(
        text("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'message_arrow'")
    ).scalar_one()
    # What the migrations left is what the code would make today.
    for statement in arrows.trigger_ddl():
        session.execute(text(statement))
    made = session.execute(
        text("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'message_arrow'")
    ).scalar_one()
    assert made == stored


def test_the_database_refuses_every_other_arrow(session: Session) -> None:
    stage = Stage(session)
    contact = stage.contact()
    messages = {state: stage.message(contact, state=state) for state in states.STATES}
    move = text("UPDATE message SET state = :to WHERE id = :id")
    refused = 0
    for came, message in messages.items():
        for to in states.STATES:
            if came == to:
                continue
            savepoint = session.begin_nested()
            if (came, to) in arrows.PAIRS:
                session.execute(move, {"to": to, "id": message})
            else:
                with pytest.raises(IntegrityError, match=f"may not go from {came} to {to}"):
                    session.execute(move, {"to": to, "id": message})
                refused += 1
            savepoint.rollback()
    assert refused == len(states.STATES) * (len(states.STATES) - 1) - len([1 for came, _ in arrows.PAIRS if came])


def test_the_log_is_only_ever_added_to(session: Session) -> None:
    stage = Stage(session)
    stage.message(stage.contact())
    with pytest.raises(IntegrityError, match="only ever added"):
        session.execute(text("UPDATE message_log SET reason = 'other'"))


def _planned(stage: Stage) -> int:
    message = stage.message(stage.contact(), state="scheduled")
    tick(stage.session, NOON)
    return message


def test_a_log_along_the_arrows_has_no_faults(session: Session) -> None:
    stage = Stage(session)
    message = _planned(stage)
    [begun] = begin(session, "promotional", {stage.page: 10}, NOON)
    outcome = Outcome(
        message_id=message, attempt_id=begun.attempt_id, contact_id=begun.contact_id, page_id=stage.page, result="sent",
        mid="m_1",
    )  # fmt: skip
    settle(session, [outcome], NOON + 1)
    assert faults(session) == []


def test_the_check_names_what_is_wrong_with_a_log(session: Session) -> None:
    stage = Stage(session)
    jumped, forged, silent, empty, unproven = (_planned(stage) for _ in range(5))
    rows = [
        LogRow(message_id=jumped, at=NOON, from_state="due", to_state="sent", actor="sweep"),
        LogRow(message_id=forged, at=NOON, from_state="in_doubt", to_state="unconfirmed", actor="sweep"),
    ]
    append_log(session, rows)
    stage.put(jumped, "sent")
    stage.put(forged, "unconfirmed")
    stage.put(silent, "cancelled")
    session.execute(text("SELECT set_config('duly.pruning', 'on', true)"))
    session.execute(text("DELETE FROM message_log WHERE message_id = :id"), {"id": empty})
    stage.put(unproven, "read")
    found = {(fault.message_id, fault.kind) for fault in faults(session)}
    assert found == {
        (jumped, "no such arrow"),
        (jumped, "sent without an attempt that was"),
        (forged, "a row is missing"),
        (forged, "an arrow without its attempt"),
        (silent, "the log ends elsewhere"),
        (empty, "the log ends elsewhere"),
        (unproven, "the log ends elsewhere"),
        (unproven, "sent without an attempt that was"),
    }
