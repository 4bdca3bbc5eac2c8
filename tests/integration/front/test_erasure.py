"""Erasing a person: what goes, what stays, and who asks for it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.contacts.identities import Link, link
from scheduler.contacts.merging import merge_contacts
from scheduler.contacts.registry import ensure_contacts
from scheduler.errors import Invalid, NotFound
from scheduler.imports import registry
from scheduler.imports.staging import stage_file
from scheduler.imports.validating import validate_next
from scheduler.privacy.erasure import AFTERMATH, erase, finish_erasures, preview_erasure
from scheduler.privacy.subject import everything
from scheduler.privacy.suppressed import suppressed
from scheduler.store import database
from tests.integration.front.somebody import CANARIES, PSID, rows_of, somebody, traces, whole_database


def test_nothing_personal_is_left_in_any_table(page: Any, deliver: Any, say: Any, row: Any) -> None:
    one = somebody(page, deliver, say)
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
    assert traces() == []
    # The messages are counted as they were; what waited was taken back.
    assert [tuple(each) for each in rows_of("SELECT state, reason FROM message ORDER BY id")] == [
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


def test_an_erasure_is_finished_when_its_messages_are_told_of_no_more(
    page: Any, deliver: Any, say: Any, session: Session
) -> None:
    somebody(page, deliver, say)
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


def test_events_without_a_page_or_a_person_go_with_whom_they_name(page: Any, deliver: Any, row: Any) -> None:
    now = clock.now()
    with database.session() as session:
        ensure_contacts(session, page.id, [PSID], now)
    said = {"sender": {"id": PSID}, "timestamp": now * 1000, "message": {"mid": "m1", "text": "Wilhelmina"}}
    others = {"sender": {"id": "31415926535897932"}, "message": {"mid": "m2", "text": "of somebody else"}}
    for body, failed in (
        ({"object": "page", "entry": [{"id": "not-registered-yet", "messaging": [said]}]}, 1),
        # Without the list around it it is an event all the same.
        ({"object": "page", "entry": [{"id": page.external_id, "messaging": said}]}, 0),
        ({"object": "page", "entry": [{"id": page.external_id, "messaging": [[said]]}]}, 1),
        ({"object": "page", "entry": [{"id": page.external_id, "messaging": others}]}, 0),
    ):
        assert deliver(raw=json.dumps(body).encode()).json()["failed"] == failed, body
    assert deliver(raw=f'{{"sender": {{"id": {PSID}}}, "text": "Wilhelmina'.encode()).json()["failed"] == 1
    with database.session() as session:
        erase(session, page.id, PSID, actor="mia", reason="asked", now=now)
    assert traces() == []
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
    left = whole_database()
    assert "Otto" in left
    for canary in (*CANARIES, "w@example.com"):
        assert canary not in left, canary


def test_everything_known_is_one_json(page: Any, api: Any, deliver: Any, say: Any) -> None:
    one = somebody(page, deliver, say)
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
    somebody(page, deliver, say)
    place = f"/pages/{page.external_id}/contacts/{PSID}"
    assert api("DELETE", place).status_code == 422
    answer = api("DELETE", f"{place}?reason=asked")
    assert answer.status_code == 200
    assert answer.json()["changes"] is True
    assert answer.json()["rows"]["platform_events"] == 1
    assert api("DELETE", f"{place}?reason=asked").json()["changes"] is False
    assert api("DELETE", f"/pages/{page.external_id}/contacts/nobody?reason=asked").status_code == 404
