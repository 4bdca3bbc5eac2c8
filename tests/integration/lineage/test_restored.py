"""A database that went back in time: real dumps, real marks, no message twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.campaigns.tables import Campaign
from scheduler.facts.event_kinds import BACK_IN_STOCK
from scheduler.followups.tables import BusinessEvent, Recipe
from scheduler.lineage.guard import FOLDER
from scheduler.outbox.priorities import REQUESTED
from scheduler.settings import get_settings
from tests.integration.lineage.conftest import Lost
from tests.integration.lineage.steps import (
    Dump,
    begin_all,
    duly,
    forget,
    may_send,
    no_faults,
    on,
    opt_out,
    plan,
    refused,
    release,
    rows,
    run,
    send,
    staged,
    states,
)
from tests.unit.delivery.stage import HOUR, NOON, Stage

pytestmark = pytest.mark.usefixtures("own_marks", "clock_stands")


def test_what_was_sent_since_the_dump_is_not_sent_again(lost: Lost) -> None:
    plan(6)
    with lost():
        send(3)
        send(2, settled=None)
    assert states() == {"due": 6}
    # Also for another process.
    forget()
    assert not may_send()
    found = duly("restore", "status", code=1)
    assert found["held"]
    assert "behind its marks" in found["why"]
    assert found["to_settle"] == {"sent": 3, "untold": 2}
    assert duly("restore", "settle")["settled"] == {"sent": 3, "unconfirmed": 2}
    assert states() == {"sent": 3, "unconfirmed": 2, "due": 1}
    release()
    assert may_send()
    assert duly("restore", "status")["held"] is False
    send(1)
    assert states() == {"sent": 4, "unconfirmed": 2}
    no_faults()


def test_settling_may_break_off_anywhere_and_is_repeated_without_harm(lost: Lost) -> None:
    plan(4)
    with lost():
        send(2)
    for attempts in (2, 0):
        told = duly("restore", "settle")
        assert (told["attempts"], told["settled"]) == (attempts, {"sent": 2})
    assert rows("SELECT count(*) FROM attempt") == [(2,)]
    no_faults()


def test_nothing_is_released_before_it_is_settled(lost: Lost) -> None:
    plan(2)
    with lost():
        send(1)
    assert "duly restore settle" in refused("restore", "release", "--why", "in a hurry", "--yes")
    assert not may_send()


def test_what_was_refused_or_given_back_waits_as_it_did(lost: Lost) -> None:
    plan(2)
    with lost():
        send(1, settled="not_sent")
    assert duly("restore", "settle")["settled"] == {"nothing": 1}
    assert states() == {"due": 2}


def test_the_same_dump_may_be_restored_twice(dumped: Callable[[], Dump]) -> None:
    plan(4)
    dump = dumped()
    send(2)
    for sent in (2, 3):
        dump.load()
        assert not may_send()
        duly("restore", "settle")
        assert states() == {"sent": sent, "due": 4 - sent}
        release()
        assert may_send()
        send(1)
    no_faults()


def _campaign(stage: Stage, **more: object) -> Campaign:
    return Campaign(
        id=7, page_id=stage.page, name="news", template_id=stage.templates[stage.page, "promotional"],
        audience="everyone", status="planning", created_at=NOON - HOUR, **more,
    )  # fmt: skip


def test_a_message_made_after_the_dump_is_made_again_so_that_it_is_not_planned_twice(lost: Lost) -> None:
    with staged() as stage:
        contact = stage.contact()
        stage.session.add(_campaign(stage))
    with lost():
        with on(stage):
            message = stage.message(contact, campaign_id=7)
        [(attempt, _)] = send(1)
    assert states() == {}
    assert duly("restore", "settle")["settled"] == {"sent": 1}
    assert rows("SELECT id, campaign_id, contact_id, state, mid FROM message") == [
        (message, 7, contact, "sent", f"m_{attempt}")
    ]
    no_faults()


def test_what_is_made_again_has_the_end_and_the_rank_of_its_campaign_or_event(lost: Lost) -> None:
    with staged() as stage:
        reader, asker = stage.contact(), stage.contact()
        stage.session.add(_campaign(stage, expires_at=NOON + 5 * HOUR, priority=40))
        template = stage.templates[stage.page, "promotional"]
        stage.session.add(Recipe(page_id=stage.page, kind=BACK_IN_STOCK, template_id=template, expires_after=2 * HOUR))
        lamp = {"sku": "42", "name": "Lamp"}
        stage.session.add(
            BusinessEvent(
                id=9, page_id=stage.page, kind=BACK_IN_STOCK, key="k", body=lamp, occurred_at=NOON, received_at=NOON
            )
        )
    with lost():
        with on(stage):
            stage.message(reader, campaign_id=7)
            stage.message(asker, event_id=9)
        send(2, settled=None)
    assert duly("restore", "settle")["settled"] == {"unconfirmed": 2}
    assert rows(
        "SELECT state, priority, expires_at, may_wait, variables FROM message ORDER BY event_id NULLS FIRST"
    ) == [
        ("unconfirmed", 40, NOON + 5 * HOUR, True, {}),
        ("unconfirmed", REQUESTED, NOON + 2 * HOUR, True, {"product": lamp}),
    ]


def test_numbers_that_were_given_away_are_not_given_again(lost: Lost) -> None:
    stage = plan(3)
    with lost():
        with on(stage):
            stage.messages(2)
        sent = send(5)
    for table, given in zip(("attempt", "message"), map(max, zip(*sent, strict=True)), strict=True):
        [(next_one,)] = rows(f"SELECT nextval(pg_get_serial_sequence('{table}', 'id'))")
        assert next_one > given


def test_an_opt_out_that_was_acknowledged_since_the_dump_is_in_force(lost: Lost) -> None:
    plan(1)
    with lost():
        opt_out()
    assert "people chose or did something" in duly("restore", "status", code=1)["why"]
    assert duly("restore", "settle")["choices"] == 1
    release()
    assert may_send()
    assert begin_all() == []
    assert rows("SELECT state, reason FROM message") == [("denied", "opted_out")]


def test_what_people_did_since_the_dump_is_told_so_that_it_is_done_again(lost: Lost) -> None:
    plan(1)
    with lost():
        assert run("ops", "stop", "--why", "wrong price", "--yes").exit_code == 0
    acts = duly("restore", "status", code=1)["acts"]
    assert [(act["action"], act["actor"]) for act in acts] == [("kill_switch.engage", "cli")]


def test_a_dump_of_before_the_first_start_is_held_in_the_same_place(database_url: str, tmp_path: Path) -> None:
    plan(2)
    # As an older version left it: it has no lineage.
    dump = Dump(database_url, tmp_path / "dump")
    assert may_send()
    send(2)
    dump.load()
    assert not may_send()
    assert duly("restore", "settle")["settled"] == {"sent": 2}


def test_what_is_handed_in_is_read_again_only_when_there_is_more(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(3)
    with lost():
        [(attempt, message)] = send(1, settled=None)
    with monkeypatch.context() as patch:
        patch.setattr("scheduler.lineage.watch.look", lambda *_: pytest.fail("the marks were read again"))
        assert not may_send()
    assert duly("restore", "status", code=1)["to_settle"] == {"untold": 1}
    # Another process of this machine still wrote how it ended.
    [file] = (get_settings().data_dir / FOLDER).glob("*.jsonl")
    with file.open("a") as marks:
        marks.write(json.dumps({"at": NOON, "ended": [[attempt, message, "sent", "m_late"]]}) + "\n")
    assert not may_send()
    assert duly("restore", "status", code=1)["to_settle"] == {"sent": 1}
