from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.consent.blocks import lift_blocks, suppress
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.consent.standing import suppressions
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.lock import lock_contact
from scheduler.contacts.registry import ensure_contacts
from scheduler.errors import Invalid
from scheduler.store import database
from tests.patience import patience

NOW = 1_800_000_000


@pytest.fixture
def ana(page: Any, session: Session) -> int:
    contact_id = ensure_contacts(session, page.id, ["ana"], NOW)["ana"]
    session.commit()
    return contact_id


def _standing(session: Session, contact_id: int) -> list[tuple[object, object]]:
    return [(each["reason"], each["topic"]) for each in suppressions(session, contact_id)]


def test_an_opt_out_from_a_topic_bars_the_topic_and_everything_bars_everything(ana: int, session: Session) -> None:
    assert record_opt_out(session, ana, topic="sale", source="api", actor="shop", at=NOW, now=NOW)
    assert _standing(session, ana) == [("opted_out", "sale")]
    assert record_opt_out(session, ana, source="api", at=NOW, now=NOW)
    assert _standing(session, ana) == [("opted_out", None), ("opted_out", "sale")]


def test_an_opt_in_to_a_topic_lifts_that_topic_alone_and_to_everything_lifts_all(ana: int, session: Session) -> None:
    for topic in ("sale", "news", None):
        record_opt_out(session, ana, topic=topic, source="api", at=NOW, now=NOW)
    assert record_opt_in(session, ana, topic="sale", source="api", at=NOW + 1, now=NOW + 1)
    assert _standing(session, ana) == [("opted_out", None), ("opted_out", "news")]
    assert record_opt_in(session, ana, source="api", at=NOW + 2, now=NOW + 2)
    assert _standing(session, ana) == []
    assert not record_opt_in(session, ana, source="api", at=NOW + 3, now=NOW + 3)


def test_a_late_opt_out_is_kept_but_not_in_force_against_a_newer_opt_in(ana: int, session: Session, row: Any) -> None:
    record_opt_in(session, ana, source="message", at=NOW, now=NOW)
    assert not record_opt_out(session, ana, source="message", at=NOW - 5, now=NOW + 1)
    # A newer opt-in to a topic says nothing about everything.
    record_opt_in(session, ana, topic="sale", source="optin", at=NOW + 8, now=NOW + 8)
    assert record_opt_out(session, ana, source="message", at=NOW + 7, now=NOW + 9)
    session.commit()
    assert row("SELECT count(*) FROM consent_record")[0] == 4


def test_what_a_clock_ahead_of_ours_said_is_outranked_by_what_is_said_later(ana: int, session: Session) -> None:
    record_opt_in(session, ana, source="message", at=NOW + 50_000, now=NOW)
    assert record_opt_out(session, ana, source="message", at=NOW + 10, now=NOW + 10)


def test_saying_it_twice_is_one_suppression_since_the_newest(ana: int, session: Session) -> None:
    for at in (NOW, NOW + 20, NOW + 10):
        record_opt_out(session, ana, source="message", at=at, now=NOW + 20)
    (standing,) = suppressions(session, ana)
    assert (standing["reason"], standing["topic"], standing["since"]) == ("opted_out", None, NOW + 20)
    assert not record_opt_in(session, ana, source="message", at=NOW + 15, now=NOW + 30)
    assert record_opt_in(session, ana, source="message", at=NOW + 25, now=NOW + 30)


def test_a_message_lifts_blocks_that_are_older_and_no_opt_out(ana: int, session: Session) -> None:
    suppress(session, ana, "blocked", source="send_error", now=NOW)
    suppress(session, ana, "unreachable", source="send_error", now=NOW)
    record_opt_out(session, ana, source="message", at=NOW, now=NOW)
    # Written before the block, reported after it: proves nothing.
    record_inbound(session, ana, NOW - 10, NOW + 5)
    assert _standing(session, ana) == [("blocked", None), ("opted_out", None), ("unreachable", None)]
    record_inbound(session, ana, NOW + 10, NOW + 15)
    assert _standing(session, ana) == [("opted_out", None)]


def test_a_block_is_lifted_by_the_person_alone_and_an_erasure_by_nobody(ana: int, session: Session) -> None:
    suppress(session, ana, "blocked", source="operator", actor="mia", now=NOW)
    suppress(session, ana, "erased", source="operator", actor="mia", now=NOW)
    # START is a message too: it opens the window and lifts the block; the words themselves lift neither.
    assert not record_opt_in(session, ana, source="operator", at=NOW + 1, now=NOW + 1)
    assert _standing(session, ana) == [("blocked", None), ("erased", None)]
    assert lift_blocks(session, {ana: NOW + 2}, NOW + 2) == {ana}
    assert lift_blocks(session, {ana: NOW + 3}, NOW + 3) == set()
    assert _standing(session, ana) == [("erased", None)]
    with pytest.raises(Invalid):
        suppress(session, ana, "opted_out", source="operator", now=NOW)


def test_the_ledger_keeps_blocks_and_what_lifted_them(ana: int, session: Session, row: Any) -> None:
    suppress(session, ana, "blocked", source="send_error", now=NOW)
    record_inbound(session, ana, NOW + 10, NOW + 10)
    session.commit()
    assert row("SELECT array_agg(action ORDER BY id) FROM consent_record")[0] == ["block", "unblock"]


@pytest.mark.parametrize("verb", ["record_opt_out", "suppress", "record_inbound", "record_opt_in"])
def test_every_change_waits_for_whoever_holds_the_contact(
    ana: int, session: Session, row: Any, eventually: Any, verb: str
) -> None:
    def change() -> None:
        with database.session() as other:
            match verb:
                case "record_opt_out":
                    record_opt_out(other, ana, source="api", at=NOW, now=NOW)
                case "record_opt_in":
                    record_opt_in(other, ana, source="api", at=NOW, now=NOW)
                case "suppress":
                    suppress(other, ana, "blocked", source="send_error", now=NOW)
                case _:
                    record_inbound(other, ana, NOW, NOW)

    lock_contact(session, ana)
    thread = threading.Thread(target=change)
    thread.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    eventually(lambda: row(waiting)[0] == 1, what="it waits")
    assert row("SELECT (SELECT count(*) FROM suppression) + (SELECT count(*) FROM consent_record)")[0] == 0
    session.commit()
    thread.join(patience(10))
    assert not thread.is_alive()
