"""A shop goes on telling of somebody who was erased, by the names that it knows them by; and what the audit keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.contacts.identities import Link, link
from scheduler.contacts.merging import merge_contacts
from scheduler.errors import Conflict
from scheduler.followups.events import receive_event
from scheduler.outbox.dead_letters import discard
from scheduler.privacy.erasure import erase
from tests.integration.noon import NOON

NAMES = [("crm_id", "C-77"), ("phone", "+49 30 901820"), ("email", "Ada@shop.example")]


@pytest.fixture
def tell(session: Session, page: Any) -> Callable[..., Any]:
    """``tell("k1", crm_id="C-1")``: the event of an order of theirs, as it is kept."""

    def told(key: str, **who: str) -> Any:
        data = {"order": "100001"} | who
        event, _ = receive_event(session, page, kind="order.placed", key=key, data=data, actor="tests", now=NOON)
        session.commit()
        return event

    return told


@pytest.mark.parametrize(("kind", "value"), NAMES)
def test_nothing_is_kept_of_the_erased_by_a_name_that_the_shop_knew_them_by(
    session: Session, page: Any, people: Any, rows: Any, tell: Any, kind: Any, value: str
) -> None:
    ada, bob = people(2)
    link(session, page.id, [Link(contact_id=ada, kind=kind, value=value)], NOON)
    tell("before", **{kind: value})
    erase(session, page.id, "p0", actor="tests", reason="asked", now=NOON)
    session.commit()
    # The same event again, and another one: neither is kept, nor is the name itself.
    for key in ("before", "after"):
        with pytest.raises(Conflict, match="erased") as refused:
            tell(key, **{kind: value})
        assert refused.value.field == kind
        session.rollback()
    kept = rows("SELECT key, body, contact_id, person_kind, person_key FROM business_event")
    assert [tuple(each)[1:] for each in kept] == [({}, None, None, None)]
    assert value not in str(rows("SELECT * FROM suppression_key"))
    # What the shop calls an event may name somebody, too.
    assert "before" not in str(rows("SELECT detail FROM audit_entry"))
    # A name that is somebody else's now is theirs; one that nobody ever had may wait for whoever gets it.
    assert tell("waiting", crm_id="C-78").contact_id is None
    link(session, page.id, [Link(contact_id=bob, kind=kind, value=value)], NOON)
    assert tell("theirs", **{kind: value}).contact_id == bob


def test_why_a_message_was_given_up_goes_with_whom_it_was_for(
    session: Session, page: Any, people: Any, rows: Any, message: Any
) -> None:
    (ada,) = people(1)
    letter = message(ada, state="refused")
    assert discard(session, [letter], why="Wilhelmina called", actor="mia", now=NOON) == [letter]
    assert rows("SELECT why FROM dead_letter_act")[0].why == "Wilhelmina called"
    erase(session, page.id, "p0", actor="tests", reason="asked", now=NOON)
    told = rows("SELECT why::text FROM dead_letter_act UNION ALL SELECT detail::text FROM audit_entry")
    assert "Wilhelmina" not in str(told)


def test_the_names_of_all_addresses_of_a_person_are_remembered(
    session: Session, page: Any, people: Any, tell: Any
) -> None:
    old, new = people(2)
    link(session, page.id, [Link(contact_id=old, kind="crm_id", value="C-1")], NOON)
    link(session, page.id, [Link(contact_id=new, kind="crm_id", value="C-2")], NOON)
    merge_contacts(session, page.id, "p0", "p1", actor="tests", now=NOON)
    erase(session, page.id, "p0", actor="tests", reason="asked", now=NOON)
    session.commit()
    for value in ("C-1", "C-2"):
        with pytest.raises(Conflict, match="erased"):
            tell(value, crm_id=value)
        session.rollback()
