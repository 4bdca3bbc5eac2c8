"""A block that came along in a merge ends where it was seen: when the person does something at that address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.consent.blocks import suppress
from scheduler.consent.standing import suppressions
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.merging import merge_contacts

NOON = 1_777_982_400
DAY = 86_400


@pytest.fixture
def into(session: Session, page: Any) -> Callable[..., None]:
    """``into("p0", "p1")``: p1 stands for p0 from then on."""

    def do(psid: str, survivor: str) -> None:
        merge_contacts(session, page.id, psid, survivor, actor="tests", now=NOON)

    return do


def _block(session: Session, *contact_ids: int, at: int = NOON - DAY, reason: str = "blocked") -> None:
    for contact_id in contact_ids:
        suppress(session, contact_id, reason, source="send_error", now=at)


def _barred(session: Session, contact_id: int) -> list[object]:
    return [each["reason"] for each in suppressions(session, contact_id)]


def test_a_block_that_came_along_is_lifted_by_the_address_it_was_seen_at(
    session: Session, people: Any, message: Any, one: Any, into: Any
) -> None:
    old, new = people(2)
    _block(session, old)
    into("p0", "p1")
    waiting = message(new)
    assert (_barred(session, old), _barred(session, new)) == (["blocked"], ["blocked"])
    # What the person did before the block was seen tells nothing.
    record_inbound(session, old, NOON - 2 * DAY, NOON)
    assert (_barred(session, old), _barred(session, new)) == (["blocked"], ["blocked"])
    record_inbound(session, old, NOON + 5, NOON + 5)
    assert (_barred(session, old), _barred(session, new)) == ([], [])
    assert one("SELECT state FROM message WHERE id = :id", id=waiting).state == "due"


def test_a_block_of_the_survivors_own_is_not(session: Session, people: Any, into: Any) -> None:
    old, new = people(2)
    _block(session, old, new, at=NOON - DAY)
    _block(session, new, at=NOON - DAY, reason="unreachable")
    _block(session, old, at=NOON - DAY + 1)
    into("p0", "p1")
    record_inbound(session, old, NOON + 5, NOON + 5)
    assert (_barred(session, old), _barred(session, new)) == ([], ["blocked", "unreachable"])
    record_inbound(session, new, NOON + 6, NOON + 6)
    assert _barred(session, new) == []


def test_that_an_address_cannot_be_reached_outlasts_what_came_along(session: Session, people: Any, into: Any) -> None:
    old, new = people(2)
    _block(session, old)
    _block(session, new, reason="unreachable")
    into("p0", "p1")
    record_inbound(session, old, NOON + 5, NOON + 5)
    assert (_barred(session, old), _barred(session, new)) == ([], ["unreachable"])


def test_blocks_of_several_addresses_end_with_the_last_of_them(session: Session, people: Any, into: Any) -> None:
    first, second, new = people(3)
    _block(session, first, at=NOON - DAY)
    _block(session, second, at=NOON - DAY + 9)
    into("p0", "p2")
    into("p1", "p2")
    record_inbound(session, first, NOON + 5, NOON + 5)
    assert (_barred(session, first), _barred(session, new)) == ([], ["blocked"])
    record_inbound(session, second, NOON + 6, NOON + 6)
    assert (_barred(session, second), _barred(session, new)) == ([], [])


def test_a_block_that_came_along_twice_is_still_of_where_it_was_seen(session: Session, people: Any, into: Any) -> None:
    first, second, new = people(3)
    _block(session, first)
    into("p0", "p1")
    into("p1", "p2")
    assert _barred(session, new) == ["blocked"]
    record_inbound(session, first, NOON + 5, NOON + 5)
    assert (_barred(session, first), _barred(session, new)) == ([], [])
    assert _barred(session, second) == ["blocked"]
