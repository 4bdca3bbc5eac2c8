"""What somebody stopped, when it becomes known where they are, or they are elsewhere, afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.consent.grants import Grant, record_grants
from scheduler.consent.projection import rebuild
from scheduler.consent.settings import Settings, change_settings
from scheduler.consent.standing import suppressions
from scheduler.contacts.evidence import Evidence, forget_evidence, record_evidence, state_zone
from scheduler.contacts.merging import merge_contacts

#: From this day on one revocation covers everything in the United States (FCC DA 26-12).
REVOKE_ALL = int(datetime(2027, 1, 31, tzinfo=UTC).timestamp())
LATER = REVOKE_ALL + 86_400


def _standing(session: Session, contact_id: int) -> list[tuple[object, object, object]]:
    return [(each["topic"], each["category"], each["since"]) for each in suppressions(session, contact_id)]


def _in(session: Session, contact_id: int, country: str, at: int = LATER) -> None:
    said = Evidence(contact_id=contact_id, kind="country", value=country, source="api", observed_at=at)
    record_evidence(session, [said], at)


def test_a_topic_that_was_stopped_is_everything_once_they_are_known_to_be_where_the_law_says_so(
    session: Session, people: Any, one: Any
) -> None:
    (ana,) = people(1)
    grant = Grant(contact_id=ana, kind="express", source="api", wording="yes", granted_at=REVOKE_ALL - 9)
    record_grants(session, [grant], REVOKE_ALL)
    record_opt_out(session, ana, topic="sale", source="optin", event_id=7, at=REVOKE_ALL, now=REVOKE_ALL)
    assert _standing(session, ana) == [("sale", None, REVOKE_ALL)]
    assert one("SELECT count(*) FROM consent").count == 1
    state_zone(session, ana, ["America/Chicago"], source="optin", now=LATER)
    assert _standing(session, ana) == [(None, None, REVOKE_ALL)]
    assert one("SELECT count(*) FROM consent").count == 0
    record = one("SELECT * FROM consent_record WHERE action = 'opt_out' AND scope = 'everything'")
    assert (record.topic, record.event_id, record.source, record.recorded_at) == ("sale", 7, "optin", LATER)
    assert "law" in record.evidence


def test_what_is_widened_stays_so_and_is_told_once(session: Session, people: Any, one: Any) -> None:
    (ana,) = people(1)
    record_opt_out(session, ana, topic="sale", source="message", at=REVOKE_ALL, now=REVOKE_ALL)
    for country in ("US", "DE", "US"):
        _in(session, ana, country, LATER)
        forget_evidence(session, [ana], ["country"], LATER)
        assert _standing(session, ana) == [(None, None, REVOKE_ALL)]
    assert one("SELECT count(*) FROM consent_record").count == 2
    # A word about the topic answers the topic, and it was everything; START answers all of it.
    assert not record_opt_in(session, ana, topic="sale", source="message", at=LATER, now=LATER)
    assert record_opt_in(session, ana, source="message", at=LATER, now=LATER)
    assert _standing(session, ana) == []


@pytest.mark.parametrize(("at", "country"), [(REVOKE_ALL - 1, "US"), (REVOKE_ALL, "DE"), (REVOKE_ALL, "AQ")])
def test_what_no_law_widens_is_as_it_was_said(session: Session, people: Any, one: Any, at: int, country: str) -> None:
    (ana,) = people(1)
    record_opt_out(session, ana, topic="sale", source="message", at=at, now=at)
    _in(session, ana, country)
    assert _standing(session, ana) == [("sale", None, at)]
    assert one("SELECT count(*) FROM consent_record").count == 1


def test_a_stop_that_the_law_of_a_place_narrowed_is_everything_where_none_is_known(
    session: Session, page: Any, people: Any
) -> None:
    ana, bo = people(2)
    change_settings(session, page.id, "555", Settings(opt_out_scope="law"), actor="tests", now=REVOKE_ALL)
    for each in (ana, bo):
        _in(session, each, "DE", REVOKE_ALL)
    record_opt_out(session, ana, source="message", at=REVOKE_ALL, now=REVOKE_ALL)
    # Who named the category meant it.
    record_opt_out(session, bo, category="promotional", source="operator", at=REVOKE_ALL, now=REVOKE_ALL)
    for each in (ana, bo):
        assert _standing(session, each) == [(None, "promotional", REVOKE_ALL)]
        forget_evidence(session, [each], ["country"], LATER)
    assert _standing(session, ana) == [(None, None, REVOKE_ALL)]
    assert _standing(session, bo) == [(None, "promotional", REVOKE_ALL)]
    _in(session, ana, "DE")
    assert _standing(session, ana) == [(None, None, REVOKE_ALL)]


def test_the_place_that_comes_with_a_merge_widens_too(session: Session, page: Any, people: Any) -> None:
    old, new = people(2)
    _in(session, old, "US", REVOKE_ALL)
    record_opt_out(session, new, topic="sale", source="optin", at=REVOKE_ALL, now=REVOKE_ALL)
    merge_contacts(session, page.id, "p0", "p1", actor="tests", now=LATER)
    assert _standing(session, new) == [(None, None, REVOKE_ALL)]


def test_it_makes_no_difference_when_the_place_becomes_known(session: Session, people: Any) -> None:
    def stop(topic: str | None, source: str, at: int) -> Callable[[int], object]:
        return lambda who: record_opt_out(session, who, topic=topic, source=source, at=REVOKE_ALL + at, now=LATER)

    def start(topic: str | None, source: str, at: int) -> Callable[[int], object]:
        return lambda who: record_opt_in(session, who, topic=topic, source=source, at=REVOKE_ALL + at, now=LATER)

    said: list[Callable[[int], object]] = [
        stop("sale", "optin", 1), start("sale", "optin", 2), stop("sale", "message", 3), start(None, "message", 4),
        stop("news", "optin", 5), partial(_in, session, country="US"),
    ]  # fmt: skip
    orders = list(itertools.permutations(said))[::9]
    left = []
    for who, order in zip(people(len(orders)), orders, strict=True):
        for say in order:
            say(who)
        left.append(_standing(session, who))
    assert left == [[(None, None, REVOKE_ALL + 5)]] * len(orders)
    rebuild(session, LATER)
    assert _standing(session, who) == left[-1]
