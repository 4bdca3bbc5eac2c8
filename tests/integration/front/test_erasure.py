"""Erasing a person: what goes, what stays, and what comes later all the same."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlmodel import Session

from scheduler import clock
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.consent.grants import Grant, record_grants
from scheduler.consent.tokens import grant_token
from scheduler.contacts.bulk import keep_people
from scheduler.contacts.evidence import Evidence, record_evidence
from scheduler.contacts.identities import Link, link
from scheduler.contacts.merging import merge_contacts
from scheduler.contacts.newcomers import Person
from scheduler.contacts.profiles import ReadAnswer, due_profile_reads, profile_reads_done
from scheduler.contacts.registry import ensure_contacts
from scheduler.content.templates import save_template
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.imports import registry
from scheduler.imports.staging import stage_file
from scheduler.imports.validating import validate_next
from scheduler.outbox.metadata import make_metadata
from scheduler.outbox.tables import Attempt, DeadLetterAct, Message, MessageLog
from scheduler.pages.changes import allow
from scheduler.pages.registry import get_page
from scheduler.privacy.erasure import AFTERMATH, erase, finish_erasures, preview_erasure
from scheduler.privacy.subject import everything
from scheduler.privacy.suppressed import suppressed
from scheduler.store import database

PSID = "27182818284590452"
CANARIES = (PSID, "Wilhelmina", "Quittenbaum", "zitronengelb", "+4930901820", "TOKEN-canary", "Tromsoe")


def test_nothing_personal_is_left_in_any_table(page: Any, deliver: Any, say: Any, row: Any) -> None:
    one = _somebody(page, deliver, say)
    with database.session() as session:
        before = preview_erasure(session, page.id, PSID)
        assert before.changes
        assert before.cancelled == 1
        assert before.in_flight
        assert before.rows["messages"] == 3
    with database.session() as session:
        done = erase(session, page.id, PSID, actor="mia", reason="asked by letter", now=clock.now())
        assert done.changes
        assert done.addresses == 1
        assert done.in_flight
    found = _whole_database()
    for canary in CANARIES:
        assert canary not in found, canary
    # The messages are counted as they were; what waited was taken back.
    assert [tuple(each) for each in _all("SELECT state, reason FROM message ORDER BY id")] == [
        ("cancelled", "erased"), ("sending", None), ("sent", None),
    ]  # fmt: skip
    assert row("SELECT psid, erased_at IS NOT NULL FROM contact WHERE id = :id", id=one) == (f"erased:{one}", True)
    assert row("SELECT reason FROM suppression WHERE contact_id = :id AND lifted_at IS NULL", id=one)[0] == "erased"
    audit = row("SELECT actor, subject, detail ->> 'reason' FROM audit_entry WHERE action = 'contact.erase'")
    assert audit == ("mia", f"contact:{one}", "asked by letter")


def test_a_second_time_changes_nothing(page: Any, session: Session) -> None:
    ensure_contacts(session, page.id, [PSID], 1_000)
    first = erase(session, page.id, PSID, actor="mia", reason="asked", now=2_000)
    again = erase(session, page.id, PSID, actor="mia", reason="asked", now=3_000)
    assert (first.changes, again.changes, again.erased_at) == (True, False, 2_000)
    assert preview_erasure(session, page.id, PSID).changes is False
    with pytest.raises(NotFound):
        erase(session, page.id, "nobody", actor="mia", reason="asked", now=3_000)
    with pytest.raises(Invalid, match="reason"):
        erase(session, page.id, PSID, actor="mia", reason=" ", now=3_000)


def test_all_addresses_of_a_merged_person_go(page: Any, session: Session) -> None:
    ids = ensure_contacts(session, page.id, ["one", "two", "three"], 1_000)
    merge_contacts(session, page.id, "one", "three", actor="mia", now=1_000)
    merge_contacts(session, page.id, "two", "three", actor="mia", now=1_000)
    assert erase(session, page.id, "one", actor="mia", reason="asked", now=2_000).addresses == 3
    assert set(suppressed(session, page.id, ["one", "two", "three", "four"])) == {"one", "two", "three"}
    left = session.execute(text("SELECT psid FROM contact ORDER BY id")).scalars().all()
    assert left == [f"erased:{each}" for each in sorted(ids.values())]


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
    _somebody(page, deliver, say)
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
    for canary in CANARIES:
        assert canary not in _whole_database(), canary


def test_an_erasure_is_finished_when_its_messages_are_told_of_no_more(
    page: Any, deliver: Any, say: Any, session: Session
) -> None:
    _somebody(page, deliver, say)
    now = clock.now()
    erase(session, page.id, PSID, actor="mia", reason="asked", now=now)
    assert finish_erasures(session, now) == 0
    # Something is in the air still.
    assert finish_erasures(session, now + AFTERMATH) == 0
    session.execute(text("UPDATE attempt SET outcome = 'sent' WHERE outcome = 'sending'"))
    assert finish_erasures(session, now + AFTERMATH) == 1
    assert finish_erasures(session, now + AFTERMATH) == 0
    mids = session.execute(text("SELECT mid FROM message UNION ALL SELECT mid FROM attempt")).scalars()
    assert set(mids) == {None}


def test_a_webhook_of_before_the_erasure_makes_nobody_known(page: Any, deliver: Any, say: Any, row: Any) -> None:
    now = clock.now()
    deliver(say(PSID, "hello", at=now - 50))
    late = say(PSID, "I am Wilhelmina Quittenbaum", at=now - 20)
    with database.session() as session:
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now)
    for _ in range(2):
        assert deliver(late).status_code == 200
    assert row("SELECT count(*) FROM contact WHERE psid = :psid", psid=PSID)[0] == 0
    for canary in CANARIES:
        assert canary not in _whole_database(), canary
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
    assert _bars(back[0]) == {("erased", None), ("opted_out", "sales")}
    # Nobody reads their profile, and no shop and no file fills it in.
    assert row("SELECT count(*) FROM profile_read")[0] == 0
    with database.session() as session, pytest.raises(Conflict, match="erased"):
        ensure_contacts(session, page.id, [PSID], now)
    deliver(say(PSID, "START", at=now))
    assert _bars(back[0]) == set()
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
    assert "Wilhelmina" not in _whole_database()
    assert row("SELECT count(*) FROM platform_event WHERE psid = :psid", psid=PSID)[0] == 2
    assert row("SELECT count(*) FROM contact WHERE psid = :psid", psid=PSID)[0] == 1


def test_events_without_a_page_or_a_person_go_with_whom_they_name(page: Any, deliver: Any, row: Any) -> None:
    now = clock.now()
    with database.session() as session:
        ensure_contacts(session, page.id, [PSID], now)
    said = {"sender": {"id": PSID}, "timestamp": now * 1000, "message": {"mid": "m1", "text": "Wilhelmina"}}
    others = {"sender": {"id": "31415926535897932"}, "message": {"mid": "m2", "text": "of somebody else"}}
    for body in (
        {"object": "page", "entry": [{"id": "not-registered-yet", "messaging": [said]}]},
        {"object": "page", "entry": [{"id": page.external_id, "messaging": said}]},
        {"object": "page", "entry": [{"id": page.external_id, "messaging": [[said]]}]},
        {"object": "page", "entry": [{"id": page.external_id, "messaging": others}]},
    ):
        assert deliver(raw=json.dumps(body).encode()).json()["failed"] == 1
    assert deliver(raw=f'{{"sender": {{"id": {PSID}}}, "text": "Wilhelmina'.encode()).json()["failed"] == 1
    with database.session() as session:
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now)
    for canary in CANARIES:
        assert canary not in _whole_database(), canary
    assert row("SELECT count(*) FROM platform_event")[0] == 1


def test_rows_of_a_file_go_that_name_them_by_their_address_alone(page: Any, session: Session) -> None:
    one = ensure_contacts(session, page.id, [PSID], 1_000)[PSID]
    link(session, page.id, [Link(contact_id=one, kind="email", value="w@example.com")], 1_000)
    rows = b"email,first_name\nw@example.com,Wilhelmina\nnobody@example.com,Otto\n"
    made = stage_file(session, page.id, BytesIO(rows), name="people.csv", actor="mia", now=1_000)
    assert made.id is not None
    registry.start_validation(session, made.id)
    while (step := validate_next(session, 1_000, import_id=made.id)) is not None and step.status == "validating":
        pass
    assert erase(session, page.id, PSID, actor="mia", reason="asked", now=2_000).rows["import_rows"] == 2
    session.commit()
    left = _whole_database()
    assert "Otto" in left
    for canary in (*CANARIES, "w@example.com"):
        assert canary not in left, canary


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
        back = ensure_id(session, PSID)
        record_opt_in(session, back, source="operator", actor="mia", at=now, now=now)
    assert _bars(back) == {("erased", None)}
    answer = api("PATCH", f"/pages/{page.external_id}/contacts/{PSID}", {"name": "Wilhelmina"})
    assert answer.status_code == 409


def test_an_erasure_while_a_webhook_is_under_way_leaves_nothing(page: Any, say: Any, row: Any) -> None:
    """The webhook has found the contact, and waits for their row while they are erased."""
    import threading

    from scheduler.inbox.intake import receive

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
        deadline = 100
        while deadline and not _waits_for_a_lock():
            deadline -= 1
            webhook.join(0.05)
        assert deadline, "the webhook did not wait"
        eraser.commit()
    webhook.join(10)
    for canary in CANARIES:
        assert canary not in _whole_database(), canary
    assert row("SELECT last_inbound_at FROM contact WHERE id = :id", id=one)[0] is None


def test_a_profile_that_is_read_while_they_are_erased_is_not_kept(page: Any, deliver: Any, say: Any, row: Any) -> None:
    now = clock.now()
    deliver(say(PSID, "hello", at=now - 50))
    with database.session() as session:
        (read,) = due_profile_reads(session, now, 10)
    with database.session() as session:
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now)
    with database.session() as session:
        profile = {"name": "Wilhelmina Quittenbaum", "first_name": "Wilhelmina", "timezone": 1}
        profile_reads_done(session, [ReadAnswer(contact_id=read.contact_id, profile=profile, outcome="read")], now)
    for canary in CANARIES:
        assert canary not in _whole_database(), canary
    assert row("SELECT count(*) FROM place_evidence")[0] == 0


def test_everything_known_is_one_json(page: Any, api: Any, deliver: Any, say: Any) -> None:
    one = _somebody(page, deliver, say)
    with database.session() as session:
        found = everything(session, one, clock.now())
    text_of = json.dumps(found)
    assert found["psids"] == [PSID]
    assert found["page"]["id"] == page.external_id
    assert "zitronengelb" in text_of
    assert "TOKEN-canary" not in text_of
    assert [each["kind"] for each in found["identities"]] == ["crm_id", "phone"]
    empty = {"activity", "threads", "import_people", "import_rows", "kept_suppressions", "erasures", "audiences"}
    assert {name for name, rows in found.items() if not rows} <= empty | {"interests", "product_signals",
        "business_events", "reviews", "profile_reads", "audit"}  # fmt: skip
    answer = api("GET", f"/pages/{page.external_id}/contacts/{PSID}/everything")
    assert answer.status_code == 200
    assert answer.json()["psids"] == [PSID]
    assert answer.headers["cache-control"] == "no-store"


def test_erasing_over_rest(page: Any, api: Any, deliver: Any, say: Any) -> None:
    _somebody(page, deliver, say)
    place = f"/pages/{page.external_id}/contacts/{PSID}"
    assert api("DELETE", place).status_code == 422
    answer = api("DELETE", f"{place}?reason=asked")
    assert answer.status_code == 200
    assert answer.json()["changes"] is True
    assert answer.json()["rows"]["platform_events"] == 1
    assert api("DELETE", f"{place}?reason=asked").json()["changes"] is False
    assert api("DELETE", f"/pages/{page.external_id}/contacts/nobody?reason=asked").status_code == 404


def ensure_id(session: Session, psid: str) -> int:
    return int(session.execute(text("SELECT id FROM contact WHERE psid = :psid"), {"psid": psid}).scalar_one())


def _somebody(page: Any, deliver: Any, say: Any) -> int:
    """Somebody of whom much is known, with a message that waits, one on the wire, one that arrived; their contact."""
    now = clock.now()
    deliver(say(PSID, "zitronengelb, please", at=now - 30))
    with database.session() as session:
        one = ensure_contacts(session, page.id, [PSID], now)[PSID]
        session.execute(
            text("UPDATE contact SET name = 'Wilhelmina Quittenbaum', first_name = 'Wilhelmina', "
                 "attributes = '{\"town\": \"Tromsoe\"}' WHERE id = :id"), {"id": one}
        )  # fmt: skip
        record_evidence(
            session, [Evidence(contact_id=one, kind="country", value="NO", source="api", observed_at=now)], now
        )
        link(session, page.id, [
            Link(contact_id=one, kind="phone", value="+4930901820"), Link(contact_id=one, kind="crm_id", value="Q-7"),
        ], now)  # fmt: skip
        record_grants(session, [
            Grant(contact_id=one, kind="express", source="api", wording="We may write.", granted_at=now - 5),
        ], now)  # fmt: skip
        record_opt_out(session, one, topic="sales", source="api", at=now - 4, now=now - 4)
        grant_token(
            session, one, kind="marketing", token="TOKEN-canary", topic=None, expires_at=None, event_id=None,
            at=now, now=now,
        )  # fmt: skip
        template = save_template(
            session, page.id, name="promo", category="promotional", default_locale="en",
            bodies={"en": {"text": "Hi"}}, actor="tests", now=now,
        )  # fmt: skip
        allow(session, get_page(session, page.external_id), [PSID], actor="tests", now=now)
        for state, outcome in (("scheduled", None), ("sending", "sending"), ("sent", "sent")):
            message = Message(
                page_id=page.id, contact_id=one, template_id=template.id, lane="promotional", category="promotional",
                state=state, state_at=now, created_at=now, variables={"name": "Wilhelmina"},
                mid="m_sent" if state == "sent" else None, attempts=int(outcome is not None),
            )  # fmt: skip
            session.add(message)
            session.flush()
            session.add(
                MessageLog(message_id=message.id, at=now, to_state=state, actor="planner", facts={"region": "Tromsoe"})
            )
            if outcome is not None:
                session.add(
                    Attempt(
                        message_id=message.id, contact_id=one, page_id=page.id, category="promotional", begun_at=now,
                        outcome=outcome, mid=message.mid,
                    )
                )  # fmt: skip
            session.add(
                DeadLetterAct(
                    message_id=message.id, act="discard", was="dead", why="Wilhelmina called", actor="x", at=now
                )
            )
    return one


def _whole_database() -> str:
    """Every row of every table as text."""
    with Session(database.engine()) as session:
        tables = session.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        ).scalars()
        found = [session.execute(text(f'SELECT t::text FROM "{table}" t')).scalars().all() for table in tables.all()]
    return "\n".join(str(each) for rows in found for each in rows)


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


def _bars(contact_id: int) -> set[tuple[str, str | None]]:
    return {tuple(each) for each in _all(
        f"SELECT reason, topic FROM suppression WHERE lifted_at IS NULL AND contact_id = {contact_id}"
    )}  # fmt: skip


def _all(query: str) -> list[Any]:
    with Session(database.engine()) as session:
        return list(session.execute(text(query)))
