"""Names by which the shop knows people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.contacts.identities import Link, find_by_identity, hashing_keys, identities_of, link, uniform, unlink
from scheduler.errors import Invalid
from scheduler.store.resealing import Resealed, reseal_chunk
from scheduler.store.secrets import new_key
from tests.integration.noon import NOON


def test_people_are_found_by_any_way_of_writing_and_only_hashes_are_kept(
    session: Session, page: Any, people: Any, rows: Any
) -> None:
    ada, bob = people(2)
    linked = link(
        session,
        page.id,
        [
            Link(contact_id=ada, kind="phone", value="+49 (30) 901-820"),
            Link(contact_id=ada, kind="email", value=" Ada@Example.com "),
            Link(contact_id=bob, kind="crm_id", value="C-77"),
        ],
        NOON,
    )
    assert (linked.new, linked.known, linked.moved) == (3, 0, [])
    assert find_by_identity(session, page.id, "phone", ["+4930901820", "+49 30 901821"]) == {"+4930901820": ada}
    assert find_by_identity(session, page.id, "email", ["ada@example.COM"]) == {"ada@example.COM": ada}
    assert find_by_identity(session, page.id, "crm_id", ["C-77", "c-77"]) == {"C-77": bob}
    stored = " ".join(row.key for row in rows("SELECT key FROM contact_identity"))
    assert "901820" not in stored
    assert "example" not in stored.lower()
    assert [(each["kind"], each["value"]) for each in identities_of(session, ada)] == [("email", None), ("phone", None)]


def test_hashes_of_one_page_are_not_those_of_another(
    session: Session, page: Any, make_page: Any, people: Any, rows: Any
) -> None:
    other = make_page("556")
    (ada,), (eve,) = people(1), people(1, "q", other)
    link(session, page.id, [Link(contact_id=ada, kind="email", value="a@b.co")], NOON)
    link(session, other.id, [Link(contact_id=eve, kind="email", value="a@b.co")], NOON)
    keys = [row.key for row in rows("SELECT key FROM contact_identity")]
    assert len(set(keys)) == 2
    # Nobody is linked across pages.
    assert link(session, page.id, [Link(contact_id=eve, kind="crm_id", value="1")], NOON).new == 0


def test_a_name_belongs_to_whom_it_was_last_given_to(session: Session, page: Any, people: Any) -> None:
    old, new = people(2)
    link(session, page.id, [Link(contact_id=old, kind="crm_id", value="C-1")], NOON)
    again = link(session, page.id, [Link(contact_id=old, kind="crm_id", value="C-1")], NOON + 1)
    assert (again.new, again.known, again.moved) == (0, 1, [])
    moved = link(session, page.id, [Link(contact_id=new, kind="crm_id", value="C-1")], NOON + 2)
    assert (moved.new, moved.known, moved.moved) == (0, 0, [(old, new)])
    assert find_by_identity(session, page.id, "crm_id", ["C-1"]) == {"C-1": new}
    assert not unlink(session, page.id, old, "crm_id", "C-1")
    assert unlink(session, page.id, new, "crm_id", "C-1")
    assert find_by_identity(session, page.id, "crm_id", ["C-1"]) == {}


def test_a_changed_key_finds_what_the_old_one_hashed_and_makes_no_second_row(
    session: Session, page: Any, people: Any, rows: Any, set_environment: Callable[..., None]
) -> None:
    old, new = new_key(), new_key()
    ada, bob = people(2)
    set_environment(DULY_ENCRYPTION_KEY=old)
    link(session, page.id, [Link(contact_id=ada, kind="phone", value="+4930901820")], NOON)
    set_environment(DULY_ENCRYPTION_KEY=f"{new},{old}")
    assert find_by_identity(session, page.id, "phone", ["+4930901820"]) == {"+4930901820": ada}
    assert link(session, page.id, [Link(contact_id=bob, kind="phone", value="+4930901820")], NOON).moved == [(ada, bob)]
    assert len(rows("SELECT * FROM contact_identity")) == 1
    link(session, page.id, [Link(contact_id=bob, kind="phone", value="+4930901999")], NOON)
    # What hashes is sealed anew, and stays: names that the old key hashed are found without it.
    reseal_chunk(session, Resealed(table="stable_key", column="sealed"), "purpose", None)
    set_environment(DULY_ENCRYPTION_KEY=new)
    found = find_by_identity(session, page.id, "phone", ["+4930901820", "+4930901999"])
    assert found == {"+4930901820": bob, "+4930901999": bob}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phone", "030 901820"), ("phone", "0049 30 901820"), ("phone", "+44 (0)20 7946 0958"), ("phone", "+1234"),
        ("phone", "+1234567890123456"), ("phone", "+49 30 90 18 2O"), ("phone", ""), ("email", "ada"),
        ("email", "ada@example"), ("email", "a b@c.de"), ("crm_id", " "), ("crm_id", "a\x00b"), ("crm_id", "x" * 255),
        ("passport", "1"),
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(kind: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        uniform(kind, value)
    assert refused.value.field == kind
    assert refused.value.way_out


def test_ten_thousand_links_take_as_many_statements_as_one(
    session: Session, page: Any, people: Any, statements: list[str]
) -> None:
    ids = people(10_000)
    hashing_keys(session)  # kept once for the database
    session.commit()
    hashing_keys(session)
    statements.clear()
    link(session, page.id, [Link(contact_id=ids[0], kind="phone", value="+4912345678")], NOON)
    few = len(statements)
    statements.clear()
    names = [Link(contact_id=who, kind="phone", value=f"+4930{who:07}") for who in ids]
    assert link(session, page.id, names, NOON).new == 10_000
    assert len(statements) == few <= 4
    statements.clear()
    found = find_by_identity(session, page.id, "phone", [each.value for each in names])
    assert len(found) == 10_000
    assert len(statements) == 1
