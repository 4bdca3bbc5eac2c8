"""What decisions read is what the ledger says: after any order of events, and when it is made anew."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from scheduler.consent.blocks import lift_blocks, suppress
from scheduler.consent.choices import Choice, record_choices
from scheduler.consent.fold import Said, bars, standing
from scheduler.consent.grants import Grant, record_grants, withdraw
from scheduler.consent.history import forget
from scheduler.consent.projection import rebuild
from scheduler.contacts.evidence import Evidence, record_evidence
from scheduler.contacts.registry import ensure_contacts
from scheduler.store import database, migrate

NOW = 1_800_000_000
#: 2027-01-31: from here on one revocation covers everything in the United States.
REVOKE_ALL = 1_801_353_600
TOPICS = (None, "sale", "news")
SOURCES = ("message", "postback", "optin", "import", "api", "operator")
_SAID = text("""
    SELECT id, action, source, occurred_at, recorded_at, topic, category, scope, kind, expires_at, by_arrival
    FROM consent_record WHERE contact_id = :id
""")
_BARS = text("""
    SELECT reason, topic, category, said_by, since FROM suppression WHERE contact_id = :id AND lifted_at IS NULL
    ORDER BY reason, coalesce(topic, ''), coalesce(category, ''), said_by
""")
_CONSENTS = text("""
    SELECT topic, kind, granted_at, expires_at FROM consent WHERE contact_id = :id
    ORDER BY coalesce(topic, ''), kind, coalesce(expires_at, -1)
""")

#: Four people, as they were kept before: one row of the ledger is missing, for who cannot be reached had none.
_BEFORE = """
    INSERT INTO app (id, external_id, secret_sealed, verify_token_sealed, created_at) VALUES (1, '1', '', '', 0);
    INSERT INTO page (id, app_id, channel, external_id, name, mode, token_sealed, rate, created_at)
    VALUES (1, 1, 'messenger', '9', 'Shop', 'live', '', 30, 0);
    INSERT INTO contact (id, page_id, psid, created_at) SELECT id, 1, id, 0 FROM generate_series(1, 4) AS g (id);
    INSERT INTO consent_record (contact_id, action, topic, source, occurred_at, recorded_at) VALUES
        (1, 'opt_out', NULL, 'message', 5, 5), (2, 'opt_out', 'sale', 'operator', 6, 6),
        (3, 'block', NULL, 'send_error', 7, 7), (4, 'opt_out', NULL, 'api', 8, 8), (4, 'opt_in', NULL, 'api', 9, 9);
    INSERT INTO suppression (contact_id, reason, topic, since, lifted_at) VALUES
        (1, 'opted_out', NULL, 5, NULL), (2, 'opted_out', 'sale', 6, NULL), (3, 'blocked', NULL, 7, NULL),
        (4, 'unreachable', NULL, 7, NULL), (4, 'opted_out', NULL, 8, 9)
"""


@pytest.fixture
def people(page: Any, session: Session) -> list[int]:
    known = ensure_contacts(session, page.id, [f"p{number}" for number in range(12)], NOW)
    session.connection().execute(text("UPDATE contact SET country = 'US' WHERE id % 3 = 0"))
    session.commit()
    return sorted(known.values())


def _projection(session: Session, contact_id: int) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    connection = session.connection()
    return (
        [tuple(row) for row in connection.execute(_BARS, {"id": contact_id})],
        [tuple(row) for row in connection.execute(_CONSENTS, {"id": contact_id})],
    )


def _folded(session: Session, contact_id: int) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    said = [Said(**row) for row in session.connection().execute(_SAID, {"id": contact_id}).mappings()]
    return (
        [(bar.reason, bar.topic, bar.category, bar.said_by, bar.since) for bar in bars(said)],
        [(grant.topic, grant.kind, grant.granted_at, grant.expires_at) for grant in standing(said)],
    )


def _anything(rng: random.Random, session: Session, people: list[int], now: int) -> None:
    who, at = rng.choice(people), now - rng.randrange(0, 12)
    match rng.randrange(7):
        case 0 | 1:
            choices = []
            for _ in range(rng.randrange(1, 6)):
                topic = rng.choice(TOPICS)
                choices.append(
                    Choice(
                        contact_id=rng.choice(people), action=rng.choice(("opt_out", "opt_in")), topic=topic,
                        category=None if topic else rng.choice((None, None, "promotional", "utility")),
                        source=rng.choice(SOURCES), at=now - rng.randrange(0, 12),
                    )
                )  # fmt: skip
            record_choices(session, choices, now)
        case 2:
            suppress(session, who, rng.choice(("blocked", "unreachable")), source="send_error", now=now)
        case 3:
            lift_blocks(session, {one: now - rng.randrange(0, 12) for one in rng.sample(people, 3)}, now)
        case 4:
            grants = [
                Grant(
                    contact_id=rng.choice(people), topic=rng.choice(TOPICS),
                    kind=rng.choice(("express", "implied", "night")), source=rng.choice(SOURCES), wording="yes, please",
                    granted_at=now - rng.randrange(0, 12), expires_at=rng.choice((None, now + 100, now + 200)),
                )
                for _ in range(rng.randrange(1, 4))
            ]  # fmt: skip
            record_grants(session, grants, now)
        case 5:
            # What was said may reach further there.
            place = Evidence(
                contact_id=who, kind="country", value=rng.choice(("US", "DE")), source="api", observed_at=at
            )
            record_evidence(session, [place], now)
        case _:
            kind: Any = rng.choice((None, "express", "implied", "night"))
            withdraw(session, who, topic=rng.choice(TOPICS), kind=kind, source="api", at=at, now=now)


@pytest.mark.parametrize("start", [NOW, REVOKE_ALL])
@pytest.mark.parametrize("seed", range(4))
def test_the_projection_is_what_the_ledger_says_after_every_step(
    people: list[int], session: Session, seed: int, start: int
) -> None:
    rng = random.Random(f"ledger:{seed}")
    now = start
    for _ in range(80):
        now += rng.randrange(0, 4)
        _anything(rng, session, people, now)
    for one in people:
        assert _projection(session, one) == _folded(session, one)
    before = [_projection(session, one) for one in people]
    # Nothing of it is needed: made anew from the ledger, it is the same.
    session.connection().execute(text("UPDATE suppression SET lifted_at = since WHERE lifted_at IS NULL"))
    session.connection().execute(text("DELETE FROM consent"))
    cursor, looked = 0, 0
    while (found := rebuild(session, now, after=cursor, limit=5)) is not None:
        cursor, looked = found[0], looked + found[1]
    assert looked == len(people)
    assert [_projection(session, one) for one in people] == before


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_the_same_words_leaves_the_same(people: list[int], session: Session, seed: int) -> None:
    rng = random.Random(f"order:{seed}")
    now = NOW + 100
    topics = [rng.choice(TOPICS) for _ in range(14)]
    said: list[dict[str, Any]] = [
        # What is said by people and by the platform: the team's own words count in the order in which they give them.
        {
            "action": rng.choice(("opt_out", "opt_in")), "topic": topic,
            "source": rng.choice(("message", "postback", "optin", "import")), "at": NOW + rng.randrange(0, 8),
        }
        for topic in topics
    ]  # fmt: skip
    left = []
    for one in people[:6]:
        rng.shuffle(said)
        cuts = sorted(rng.sample(range(1, 14), 3))
        for start, end in zip([0, *cuts], [*cuts, 14], strict=True):
            choices = [Choice(contact_id=one, **each) for each in said[start:end]]
            record_choices(session, choices, now)
            if rng.random() < 0.3:
                # Told twice.
                record_choices(session, choices, now)
        left.append(_projection(session, one))
    # A third of them are in the United States, whose law changes nothing before 2027-01-31.
    assert all(each == left[0] for each in left)


def test_nobody_rewrites_the_ledger(people: list[int], session: Session) -> None:
    grant = Grant(contact_id=people[0], kind="express", source="api", wording="yes", granted_at=NOW)
    record_grants(session, [grant], NOW)
    session.commit()
    for statement in (
        "UPDATE consent_record SET occurred_at = 0", "DELETE FROM consent_record",
        "UPDATE consent_wording SET text = 'no'", "DELETE FROM consent_wording",
    ):  # fmt: skip
        with pytest.raises(IntegrityError, match="only ever added"):
            session.connection().execute(text(statement))
        session.rollback()


def test_what_was_known_before_there_was_a_ledger_of_it_all_stands(database_url: str, row: Any) -> None:
    migrate.downgrade(database_url, "0009")
    with database.engine().begin() as connection:
        for statement in _BEFORE.split(";"):
            connection.execute(text(statement))
    migrate.upgrade(database_url)
    standing_then = [
        (1, "opted_out", None, 5),
        (2, "opted_out", "sale", 6),
        (3, "blocked", None, 7),
        (4, "unreachable", None, 7),
    ]
    in_force = text("SELECT contact_id, reason, topic, since FROM suppression WHERE lifted_at IS NULL ORDER BY 1, 2")
    with database.session() as session:
        assert [tuple(each) for each in session.connection().execute(in_force)] == standing_then
        assert rebuild(session, NOW) == (4, 4)
        assert [tuple(each) for each in session.connection().execute(in_force)] == standing_then
    migrate.downgrade(database_url, "0009")
    assert row("SELECT count(*) FROM suppression WHERE lifted_at IS NULL")[0] == 4


def test_erasing_is_the_one_way_out_of_the_ledger(people: list[int], session: Session) -> None:
    one, other = people[:2]
    choices = [Choice(contact_id=who, action="opt_out", source="message", at=NOW) for who in (one, other)]
    record_choices(session, choices, NOW)
    forget(session, [one])
    suppress(session, one, "erased", source="operator", now=NOW + 5)
    session.commit()
    assert _projection(session, one)[0] == [("erased", None, None, "platform", NOW + 5)]
    assert _projection(session, other) == _folded(session, other)
    with pytest.raises(IntegrityError, match="only ever added"):
        session.connection().execute(text("DELETE FROM consent_record"))
