"""A database that went back in time: real dumps, real marks, no message twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.campaigns.tables import Campaign
from scheduler.cli.main import app
from scheduler.consent.choices import record_opt_out
from scheduler.facts.event_kinds import BACK_IN_STOCK
from scheduler.followups.tables import BusinessEvent, Recipe
from scheduler.lineage.guard import FOLDER
from scheduler.lineage.watch import watch
from scheduler.outbox.begin import begin
from scheduler.outbox.ledger import faults
from scheduler.outbox.priorities import REQUESTED
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.tick import tick
from scheduler.settings import get_settings
from scheduler.store import database, dumps, migrate
from tests.unit.delivery.stage import HOUR, NOON, Stage


@pytest.fixture(autouse=True)
def _own_marks(tmp_path: Path, redis_url: str, set_environment: Callable[..., None]) -> None:
    set_environment(DULY_DATA_DIR=str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.clock.now", lambda: NOON + HOUR)


def duly(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if result.stdout.strip() else result.stderr


@contextmanager
def staged() -> Iterator[Stage]:
    with Session(database.engine(), expire_on_commit=False) as session:
        yield Stage(session)


def may_send() -> bool:
    with database.session() as session:
        return watch().may_send(session, NOON)


def send(count: int, *, settled: str | None = "sent", now: int = NOON, page: int = 1) -> list[tuple[int, int]]:
    """Begin as many, mark them, and settle them where ``settled`` says how; (attempt, message) of each."""
    with database.session() as session:
        assert watch().may_send(session, now)
        batch = begin(session, "promotional", {page: 10}, now, limit=count)
    watch().begun([each.mark for each in batch], now)
    if settled is not None:
        outcomes = [
            Outcome(
                message_id=each.message_id, attempt_id=each.attempt_id, contact_id=each.contact_id,
                page_id=each.page_id, result=settled, mid=f"m_{each.attempt_id}" if settled == "sent" else None,
            )
            for each in batch
        ]  # fmt: skip
        with database.session() as session:
            settle(session, outcomes, now)
        watch().ended([[one.attempt_id, one.message_id, one.result, one.mid] for one in outcomes], now)
    return [(each.attempt_id, each.message_id) for each in batch]


class Dump:
    """A dump of the test's database, and the way back to it."""

    def __init__(self, url: str, file: Path) -> None:
        self.url, self.file = url, file
        dumps.dump(url, file)

    def load(self) -> None:
        """Back to the dump, in the same place; other processes start anew."""
        database.dispose()
        dumps.load(self.url, self.file)
        forget()


def forget() -> None:
    """A new process: it has no memory of what it began."""
    from scheduler.lineage import watch as module

    module._watches.clear()


@pytest.fixture
def dumped(database_url: str, tmp_path: Path) -> Callable[[], Dump]:
    return lambda: Dump(database_url, tmp_path / "dump")


def states() -> dict[str, int]:
    with Session(database.engine()) as session:
        return {
            row.state: row.n for row in session.execute(text("SELECT state, count(*) AS n FROM message GROUP BY state"))
        }


def no_faults() -> None:
    with Session(database.engine()) as session:
        assert faults(session) == []


def plan_messages(count: int) -> list[int]:
    with staged() as stage:
        messages = stage.messages(count, state="scheduled")
        tick(stage.session, NOON)
        stage.commit()
    return messages


def test_what_was_sent_since_the_dump_is_not_sent_again(dumped: Callable[[], Dump]) -> None:
    plan_messages(6)
    assert may_send()
    dump = dumped()
    send(3)
    send(2, settled=None)
    dump.load()
    assert states() == {"due": 6}
    assert not may_send()
    # Also for whoever asks again, and for another process.
    forget()
    assert not may_send()
    found = duly("restore", "status", code=1)
    assert found["held"]
    assert "behind its marks" in found["why"]
    assert found["to_settle"] == {"sent": 3, "untold": 2}
    assert duly("restore", "settle")["settled"] == {"sent": 3, "unconfirmed": 2}
    assert states() == {"sent": 3, "unconfirmed": 2, "due": 1}
    duly("restore", "release", "--why", "the disk broke", "--yes")
    assert may_send()
    assert duly("restore", "status")["held"] is False
    send(6)
    assert states() == {"sent": 4, "unconfirmed": 2}
    no_faults()


def test_settling_may_break_off_anywhere_and_is_repeated_without_harm(dumped: Callable[[], Dump]) -> None:
    plan_messages(4)
    assert may_send()
    dump = dumped()
    send(2)
    dump.load()
    assert not may_send()
    first = duly("restore", "settle")
    assert (first["attempts"], first["settled"]) == (2, {"sent": 2})
    again = duly("restore", "settle")
    assert (again["attempts"], again["settled"]) == (0, {"sent": 2})
    with Session(database.engine()) as session:
        assert session.execute(text("SELECT count(*) FROM attempt")).scalar_one() == 2
    no_faults()


def test_nothing_is_released_before_it_is_settled(dumped: Callable[[], Dump]) -> None:
    plan_messages(2)
    assert may_send()
    dump = dumped()
    send(1)
    dump.load()
    refused = CliRunner().invoke(app, ["restore", "release", "--why", "in a hurry", "--yes"])
    assert refused.exit_code == 5
    assert "duly restore settle" in refused.stderr
    assert not may_send()


def test_what_was_refused_or_given_back_waits_as_it_did(dumped: Callable[[], Dump]) -> None:
    plan_messages(2)
    assert may_send()
    dump = dumped()
    send(1, settled="not_sent")
    dump.load()
    assert not may_send()
    assert duly("restore", "settle")["settled"] == {"nothing": 1}
    assert states() == {"due": 2}


def test_the_same_dump_may_be_restored_twice(dumped: Callable[[], Dump]) -> None:
    plan_messages(4)
    assert may_send()
    dump = dumped()
    send(2)
    for sent in (2, 3):
        dump.load()
        assert not may_send()
        duly("restore", "settle")
        assert states() == {"sent": sent, "due": 4 - sent}
        duly("restore", "release", "--why", "again", "--yes")
        assert may_send()
        send(1)
    no_faults()


def test_a_message_made_after_the_dump_is_made_again_so_that_it_is_not_planned_twice(
    dumped: Callable[[], Dump],
) -> None:
    with staged() as stage:
        contact = stage.contact()
        template = stage.templates[stage.page, "promotional"]
        stage.session.add(
            Campaign(
                id=7,
                page_id=stage.page,
                name="news",
                template_id=template,
                audience="everyone",
                status="planning",
                created_at=NOON - HOUR,
            )
        )
        stage.commit()
    assert may_send()
    dump = dumped()
    with Session(database.engine(), expire_on_commit=False) as session:
        made = Stage.__new__(Stage)
        made.session, made.now, made.templates = session, NOON, {(1, "promotional"): 1}
        message = made.message(contact, campaign_id=7)
        session.commit()
    [(attempt, _)] = send(1)
    dump.load()
    assert states() == {}
    assert not may_send()
    assert duly("restore", "settle")["settled"] == {"sent": 1}
    with Session(database.engine()) as session:
        row = session.execute(text("SELECT id, campaign_id, contact_id, state, mid FROM message")).one()
        assert tuple(row) == (message, 7, contact, "sent", f"m_{attempt}")
    no_faults()


def test_what_is_made_again_has_the_end_and_the_rank_of_its_campaign_or_event(dumped: Callable[[], Dump]) -> None:
    with staged() as stage:
        contacts = [stage.contact(), stage.contact()]
        template = stage.templates[stage.page, "promotional"]
        stage.session.add(
            Campaign(
                id=7, page_id=stage.page, name="news", template_id=template, audience="everyone", status="planning",
                expires_at=NOON + 5 * HOUR, priority=40, created_at=NOON - HOUR,
            )
        )  # fmt: skip
        stage.session.add(Recipe(page_id=stage.page, kind=BACK_IN_STOCK, template_id=template, expires_after=2 * HOUR))
        stage.session.add(
            BusinessEvent(
                id=9, page_id=stage.page, kind=BACK_IN_STOCK, key="k", body={"sku": "42", "name": "Lamp"},
                occurred_at=NOON, received_at=NOON,
            )
        )  # fmt: skip
        stage.commit()
    assert may_send()
    dump = dumped()
    with Session(database.engine(), expire_on_commit=False) as session:
        made = Stage.__new__(Stage)
        made.session, made.now, made.templates = session, NOON, {(1, "promotional"): 1}
        made.message(contacts[0], campaign_id=7)
        made.message(contacts[1], event_id=9)
        session.commit()
    send(2, settled=None)
    dump.load()
    assert not may_send()
    assert duly("restore", "settle")["settled"] == {"unconfirmed": 2}
    with Session(database.engine()) as session:
        rows = session.execute(
            text("SELECT state, priority, expires_at, may_wait, variables FROM message ORDER BY event_id NULLS FIRST")
        )
        assert [tuple(row) for row in rows] == [
            ("unconfirmed", 40, NOON + 5 * HOUR, True, {}),
            ("unconfirmed", REQUESTED, NOON + 2 * HOUR, True, {"product": {"sku": "42", "name": "Lamp"}}),
        ]


def test_numbers_that_were_given_away_are_not_given_again(dumped: Callable[[], Dump]) -> None:
    plan_messages(3)
    assert may_send()
    dump = dumped()
    plan_messages_later = plan_messages_of_others(2)
    sent = send(5)
    dump.load()
    assert not may_send()
    with Session(database.engine()) as session:
        for table in ("attempt", "message"):
            given = session.execute(text(f"SELECT nextval(pg_get_serial_sequence('{table}', 'id'))")).scalar_one()
            assert given > max(pair[table == "message"] for pair in sent)
    assert plan_messages_later


def plan_messages_of_others(count: int) -> list[int]:
    """More messages, on the stage that is there."""
    made = []
    with Session(database.engine(), expire_on_commit=False) as session:
        stage = Stage.__new__(Stage)
        stage.session, stage.now, stage.templates, stage.pages = session, NOON, {(1, "promotional"): 1}, [1]
        stage._psids = 8_000_000_000_000_000
        made = [stage.message(stage.contact(page=1)) for _ in range(count)]
        session.commit()
    return made


def test_an_opt_out_that_was_acknowledged_since_the_dump_is_in_force(dumped: Callable[[], Dump]) -> None:
    [message] = plan_messages(1)
    assert may_send()
    dump = dumped()
    with database.session() as session:
        contact = session.execute(text("SELECT contact_id FROM message")).scalar_one()
        record_opt_out(session, contact, source="message", at=NOON, now=NOON)
    dump.load()
    assert not may_send()
    assert "people chose or did something" in duly("restore", "status", code=1)["why"]
    assert duly("restore", "settle")["choices"] == 1
    duly("restore", "release", "--why", "done", "--yes")
    assert may_send()
    assert begin_all() == []
    with Session(database.engine()) as session:
        found = session.execute(text("SELECT state, reason FROM message WHERE id = :id"), {"id": message}).one()
    assert tuple(found) == ("denied", "opted_out")


def begin_all() -> list[int]:
    with database.session() as session:
        return [each.message_id for each in begin(session, "promotional", {1: 10}, NOON)]


def test_a_new_database_in_an_old_folder_is_not_held(
    new_database: Callable[[], str], set_environment: Callable[..., None], database_url: str
) -> None:
    plan_messages(2)
    assert may_send()
    send(2)
    database.dispose()
    set_environment(DULY_DATABASE_URL=new_database())
    forget()
    plan_messages(2)
    assert may_send()
    database.dispose()


def test_a_database_that_was_emptied_and_filled_anew_is_not_held(database_url: str) -> None:
    plan_messages(2)
    assert may_send()
    send(2)
    database.dispose()
    migrate.downgrade(database_url, "base")
    migrate.upgrade(database_url)
    forget()
    # Later than what the marks tell of.
    with staged() as stage:
        stage.messages(1, created_at=NOON + HOUR)
        stage.commit()
    assert may_send()


def test_a_dump_of_before_the_first_start_is_held_in_the_same_place(
    dumped: Callable[[], Dump], database_url: str
) -> None:
    plan_messages(2)
    # As an older version left it: it has no lineage.
    dump = dumped()
    assert may_send()
    send(2)
    dump.load()
    assert not may_send()
    assert duly("restore", "settle")["settled"] == {"sent": 2}


def test_what_is_handed_in_is_read_again_only_when_there_is_more(
    dumped: Callable[[], Dump], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_messages(3)
    assert may_send()
    dump = dumped()
    send(1)
    dump.load()
    assert not may_send()
    with monkeypatch.context() as patch:
        patch.setattr("scheduler.lineage.watch.look", lambda *_: pytest.fail("the marks were read again"))
        assert not may_send()
    # Another process of this machine still wrote how its attempt ended.
    late = next((get_settings().data_dir / FOLDER).glob("*.jsonl"))
    late.write_text(late.read_text() + '{"at":1,"ended":[[1,1,"sent","m_late"]]}\n')
    assert not may_send()
    assert watch()._handed is not None


def test_a_copy_of_a_database_is_held_until_somebody_says_which_one_sends(
    servers: Any, new_database: Callable[[], str], set_environment: Callable[..., None], database_url: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    plan_messages(2)
    assert may_send()
    send(1)
    database.dispose()
    dump = Dump(database_url, tmp_path / "dump")
    copy = new_database()
    dumps.load(copy, dump.file)
    # On another machine: no marks of the first.
    set_environment(DULY_DATABASE_URL=copy, DULY_DATA_DIR=str(tmp_path / "elsewhere"))
    forget()
    assert not may_send()
    found = duly("restore", "status", code=1)
    assert "another place" in found["why"]
    refused = CliRunner().invoke(app, ["restore", "release", "--why", "moved", "--yes"])
    assert refused.exit_code == 5
    assert "were not handed in" in refused.stderr
    duly("restore", "release", "--why", "moved", "--yes", "--assume", "unsent")
    assert may_send()
    database.dispose()


def test_where_all_marks_are_lost_somebody_says_what_counts_as_sent(
    dumped: Callable[[], Dump], new_database: Callable[[], str], set_environment: Callable[..., None], tmp_path: Path
) -> None:
    plan_messages(3)
    assert may_send()
    dump = dumped()
    send(3)
    database.dispose()
    copy = new_database()
    dumps.load(copy, dump.file)
    set_environment(DULY_DATABASE_URL=copy, DULY_DATA_DIR=str(tmp_path / "empty"))
    forget()
    assert not may_send()
    duly("restore", "settle")
    told = duly("restore", "release", "--why", "the machine burnt", "--yes", "--assume", "sent")
    assert told["settled"] == {"assumed": 3}
    assert states() == {"unconfirmed": 3}
    no_faults()
    database.dispose()


def test_redis_alone_knows_that_the_database_is_behind_where_the_folder_was_lost(
    dumped: Callable[[], Dump], set_environment: Callable[..., None], tmp_path: Path
) -> None:
    plan_messages(2)
    assert may_send()
    dump = dumped()
    send(2)
    dump.load()
    set_environment(DULY_DATA_DIR=str(tmp_path / "another"))
    assert not may_send()
    found = duly("restore", "status", code=1)
    assert "Redis knows of 1 attempts that no marks here tell of" in found["gaps"]


def test_workers_on_other_machines_hand_in_their_own_marks(
    dumped: Callable[[], Dump], set_environment: Callable[..., None], tmp_path: Path
) -> None:
    plan_messages(4)
    sent = {}
    for host in ("one", "two"):
        set_environment(DULY_DATA_DIR=str(tmp_path / host))
        assert may_send()
    dump = dumped()
    for host in ("one", "two"):
        set_environment(DULY_DATA_DIR=str(tmp_path / host))
        sent[host] = send(2)
    dump.load()
    set_environment(DULY_DATA_DIR=str(tmp_path / "one"))
    assert not may_send()
    assert duly("restore", "status", code=1)["to_settle"] == {"sent": 2}
    duly("restore", "settle")
    refused = CliRunner().invoke(app, ["restore", "release", "--why", "too early", "--yes"])
    assert (refused.exit_code, "were not handed in" in refused.stderr) == (5, True)
    # The other worker comes.
    set_environment(DULY_DATA_DIR=str(tmp_path / "two"))
    assert not may_send()
    set_environment(DULY_DATA_DIR=str(tmp_path / "one"))
    assert duly("restore", "settle")["settled"] == {"sent": 4}
    duly("restore", "release", "--why", "all here", "--yes")
    assert may_send()
    assert begin_all() == []


def test_what_people_did_since_the_dump_is_told_so_that_it_is_done_again(dumped: Callable[[], Dump]) -> None:
    plan_messages(1)
    assert may_send()
    dump = dumped()
    stop = CliRunner().invoke(app, ["ops", "stop", "--why", "wrong price", "--yes"])
    assert stop.exit_code == 0
    send_one_anyway()
    dump.load()
    assert not may_send()
    acts = duly("restore", "status", code=1)["acts"]
    assert [(act["action"], act["actor"]) for act in acts] == [("kill_switch.engage", "cli")]


def send_one_anyway() -> None:
    """Something begins that the switch does not stop: here by its attempt alone."""
    with database.session() as session:
        [row] = session.execute(text("SELECT id, contact_id, page_id FROM message")).all()
        attempt = session.execute(
            text("""INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome)
                    VALUES (:m, :c, :p, 'promotional', :now, 'not_sent') RETURNING id"""),
            {"m": row.id, "c": row.contact_id, "p": row.page_id, "now": NOON},
        ).scalar_one()
    mark = (attempt, row.id, row.contact_id, row.page_id, 1, None, None, "promotional", "promotional", None, None, None)
    watch().begun([mark], NOON)


def test_marks_name_nobody(database_url: str) -> None:
    plan_messages(2)
    send(2)
    with database.session() as session:
        contact = session.execute(text("SELECT contact_id FROM message LIMIT 1")).scalar_one()
        record_opt_out(session, contact, source="message", at=NOON, now=NOON)
    folder = get_settings().data_dir / FOLDER
    kept = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    assert '"begun"' in kept
    assert '"chosen"' in kept
    with Session(database.engine()) as session:
        for psid in session.execute(text("SELECT psid FROM contact")).scalars():
            assert psid not in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.jsonl"))


def test_where_marks_cannot_be_kept_nothing_is_sent(
    database_url: str, set_environment: Callable[..., None], tmp_path: Path
) -> None:
    plan_messages(1)
    (tmp_path / "file").write_text("in the way")
    set_environment(DULY_DATA_DIR=str(tmp_path / "file"))
    assert not may_send()


def test_a_dump_that_is_no_dump_changes_nothing(database_url: str, tmp_path: Path) -> None:
    plan_messages(2)
    database.dispose()
    whole = tmp_path / "whole"
    dumps.dump(database_url, whole)
    broken = tmp_path / "broken"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    for file in (broken, tmp_path / "none"):
        result = CliRunner().invoke(app, ["db", "load", str(file), "--yes"])
        assert result.exit_code in (2, 6), result.output
        assert result.stderr.count("\n") == 1
    assert states() == {"due": 2}


def test_a_dump_is_loaded_only_while_nobody_works_with_the_database(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "dump"
    assert CliRunner().invoke(app, ["db", "dump", str(file)]).exit_code == 0
    assert file.stat().st_mode & 0o077 == 0
    with database.session() as session:
        session.connection()
        assert CliRunner().invoke(app, ["db", "load", str(file), "--yes"]).exit_code == 5
    database.dispose()
    assert CliRunner().invoke(app, ["db", "load", str(file), "--yes"]).exit_code == 0
    with psycopg.connect(database_url) as connection:
        assert connection.execute(sql.SQL("SELECT count(*) FROM page")).fetchone() == (0,)
