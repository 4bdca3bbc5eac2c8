"""What comes after somebody was erased, or meanwhile: webhooks, shops, files, teams, and the person."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlmodel import Session

from scheduler import clock
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.contacts.bulk import keep_people
from scheduler.contacts.newcomers import Person
from scheduler.contacts.profiles import ReadAnswer, due_profile_reads, profile_reads_done
from scheduler.contacts.registry import ensure_contacts
from scheduler.errors import Conflict
from scheduler.inbox.intake import receive
from scheduler.outbox.metadata import make_metadata
from scheduler.privacy.erasure import erase
from scheduler.privacy.suppressed import suppressed
from scheduler.store import database
from tests.integration.front.somebody import PSID, bars_of, somebody, traces, whole_database
from tests.patience import patience


def test_no_door_makes_anew_who_was_erased_after_it_looked(page: Any, session: Session) -> None:
    ensure_contacts(session, page.id, [PSID], 1_000)
    erase(session, page.id, PSID, actor="mia", reason="asked", now=2_000)
    session.commit()
    # A file whose rows were checked before.
    kept = keep_people(
        session, page.id, [Person(psid=PSID, name="Wilhelmina"), Person(psid="new")], source="import",
        observed_at=1_500, now=2_000,
    )  # fmt: skip
    assert set(kept.ids) == {"new"}
    looked: list[bool] = []

    # The erasure is committed between the first statement of PUT and the next.
    def erase_in_between(connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "SELECT psid, id FROM contact" in statement and not looked:
            looked.append(True)
            with Session(connection.engine) as other:
                erase(other, page.id, "second", actor="mia", reason="asked", now=2_000)
                other.commit()

    ensure_contacts(session, page.id, ["second"], 1_000)
    session.commit()
    event.listen(session.get_bind(), "before_cursor_execute", erase_in_between)
    try:
        with pytest.raises(Conflict):
            ensure_contacts(session, page.id, ["second"], 2_000)
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", erase_in_between)
    assert looked
    assert not session.execute(text("SELECT 1 FROM contact WHERE psid = 'second'")).all()


def test_what_was_on_the_wire_settles_by_its_echo_and_nobody_is_known_by_it(
    page: Any, deliver: Any, say: Any, happen: Any, row: Any
) -> None:
    somebody(page, deliver, say)
    with database.session() as session:
        erase(session, page.id, PSID, actor="mia", reason="asked", now=clock.now())
    flying = row("SELECT m.id, a.id FROM message m JOIN attempt a ON a.message_id = m.id WHERE m.state = 'sending'")
    echo = {"mid": "m_flying", "is_echo": True, "app_id": 900100, "metadata": make_metadata(flying[0], flying[1]),
            "text": "Wilhelmina, zitronengelb"}  # fmt: skip
    event = happen(PSID, message=echo)
    event["sender"], event["recipient"] = event["recipient"], event["sender"]
    assert deliver(event).status_code == 200
    assert deliver(happen(PSID, delivery={"mids": ["m_flying"], "watermark": 1})).status_code == 200
    assert row("SELECT state FROM message WHERE id = :id", id=flying[0])[0] == "delivered"
    assert row("SELECT count(*) FROM contact WHERE psid = :psid", psid=PSID)[0] == 0
    assert traces() == []


def test_a_webhook_of_before_the_erasure_makes_nobody_known(page: Any, deliver: Any, say: Any, row: Any) -> None:
    now = clock.now()
    deliver(say(PSID, "hello", at=now - 50))
    late = say(PSID, "I am Wilhelmina Quittenbaum", at=now - 20)
    with database.session() as session:
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now)
    for _ in range(2):
        assert deliver(late).status_code == 200
    assert row("SELECT count(*) FROM contact WHERE psid = :psid", psid=PSID)[0] == 0
    assert traces() == []
    assert row("SELECT count(*) FROM platform_event WHERE body = '{\"erased\": true}' AND psid IS NULL")[0] > 0


def test_who_writes_again_is_answered_by_people_alone_until_they_opt_in(
    page: Any, deliver: Any, say: Any, row: Any
) -> None:
    now = clock.now()
    with database.session() as session:
        one = ensure_contacts(session, page.id, [PSID], now - 100)[PSID]
        record_opt_out(session, one, topic="sales", source="api", at=now - 90, now=now - 90)
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now - 60)
    deliver(say(PSID, "where is my order?", at=now))
    back = row("SELECT id, last_inbound_at FROM contact WHERE psid = :psid", psid=PSID)
    assert back[0] != one
    assert back[1] == now
    assert bars_of(back[0]) == {("erased", None), ("opted_out", "sales")}
    # Nobody reads their profile, and no shop and no file fills it in.
    assert row("SELECT count(*) FROM profile_read")[0] == 0
    with database.session() as session, pytest.raises(Conflict, match="erased"):
        ensure_contacts(session, page.id, [PSID], now)
    deliver(say(PSID, "START", at=now))
    assert bars_of(back[0]) == set()
    with database.session() as session:
        assert suppressed(session, page.id, [PSID]) == {}
        assert ensure_contacts(session, page.id, [PSID], now) == {PSID: back[0]}


def test_what_is_of_before_the_erasure_is_stripped_also_when_they_have_written_again(
    page: Any, deliver: Any, say: Any, row: Any
) -> None:
    now = clock.now()
    with database.session() as session:
        ensure_contacts(session, page.id, [PSID], now - 100)
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now - 60)
    deliver(say(PSID, "where is my order?", at=now - 50))
    late = say(PSID, "I am Wilhelmina Quittenbaum", at=now - 70)
    assert deliver(late, say(PSID, "hello?", at=now)).json() == {"received": 2, "known": 0, "failed": 0}
    assert "Wilhelmina" not in whole_database()
    assert row("SELECT count(*) FROM platform_event WHERE psid = :psid", psid=PSID)[0] == 2
    assert row("SELECT count(*) FROM contact WHERE psid = :psid", psid=PSID)[0] == 1


def test_neither_shop_nor_team_brings_an_erased_person_back(page: Any, api: Any, deliver: Any, say: Any) -> None:
    now = clock.now()
    with database.session() as session:
        ensure_contacts(session, page.id, [PSID], now - 100)
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now - 60)
    answer = api("PUT", f"/pages/{page.external_id}/contacts/{PSID}", {"name": "Wilhelmina"})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert api("PUT", f"/pages/{page.external_id}/contacts/erased:1", {"name": "x"}).status_code == 409
    deliver(say(PSID, "hello", at=now))
    viewed = {"kind": "product.viewed", "key": "v1", "data": {"psid": PSID, "sku": "hat", "name": "A hat"}}
    assert api("POST", f"/pages/{page.external_id}/events", viewed).status_code == 409
    with database.session() as session:
        back = _id_of(session, PSID)
        record_opt_in(session, back, source="operator", actor="mia", at=now, now=now)
    assert bars_of(back) == {("erased", None)}
    answer = api("PATCH", f"/pages/{page.external_id}/contacts/{PSID}", {"name": "Wilhelmina"})
    assert answer.status_code == 409


def test_an_erasure_while_a_webhook_is_under_way_leaves_nothing(
    page: Any, say: Any, row: Any, eventually: Callable[..., None]
) -> None:
    """The webhook has found the contact, and waits for their row while they are erased."""
    now = clock.now()
    with database.session() as session:
        one = ensure_contacts(session, page.id, [PSID], now - 100)[PSID]
    body = {"object": "page", "entry": [{"id": page.external_id, "messaging": [say(PSID, "zitronengelb", at=now)]}]}

    def deliver_it() -> None:
        with database.session() as session:
            receive(session, page.app_id, body, now)

    with Session(database.engine()) as eraser:
        erase(eraser, page.id, PSID, actor="mia", reason="asked", now=now)
        webhook = threading.Thread(target=deliver_it)
        webhook.start()
        eventually(_waits_for_a_lock, what="the webhook waiting for their row")
        eraser.commit()
    webhook.join(patience(10))
    assert traces() == []
    assert row("SELECT last_inbound_at FROM contact WHERE id = :id", id=one)[0] is None


def test_a_profile_that_is_read_while_they_are_erased_is_not_kept(page: Any, deliver: Any, say: Any, row: Any) -> None:
    deliver(say(PSID, "hello", at=clock.now() - 50))
    now = clock.now()
    with database.session() as session:
        (read,) = due_profile_reads(session, now, 10)
    with database.session() as session:
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now)
    with database.session() as session:
        profile = {"name": "Wilhelmina Quittenbaum", "first_name": "Wilhelmina", "timezone": 1}
        profile_reads_done(session, [ReadAnswer(contact_id=read.contact_id, profile=profile, outcome="read")], now)
    assert traces() == []
    assert row("SELECT count(*) FROM place_evidence")[0] == 0


def _id_of(session: Session, psid: str) -> int:
    return int(session.execute(text("SELECT id FROM contact WHERE psid = :psid"), {"psid": psid}).scalar_one())


def _waits_for_a_lock() -> bool:
    with Session(database.engine()) as session:
        return bool(
            session.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
            ).scalar()
        )
