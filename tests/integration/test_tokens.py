"""Tokens: granted, stopped and resumed in any order, and what decisions know of them."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.event import listen, remove

from policies.facts import Consent, Facts, Token
from scheduler.consent import tokens
from scheduler.contacts.lock import lock_contacts
from scheduler.errors import Invalid
from scheduler.facts import decisions
from scheduler.facts.decisions import for_message, switches
from scheduler.outbox.plan import Wish
from scheduler.pages import changes
from scheduler.pages.tables import Page
from tests.integration.granted import DAY, facts_of, grant, held, pay, state_of
from tests.unit.delivery.stage import HOUR, NOON, Stage


def test_a_grant_is_sealed_renewed_in_place_and_one_a_topic(stage: Stage) -> None:
    ada = stage.contact()
    grant(stage, ada, "first", kind="recurring", topic="sales")
    grant(stage, ada, "second", kind="recurring", topic="sales", at=NOON - HOUR, expires_at=NOON + DAY)
    grant(stage, ada, "older", kind="recurring", topic="sales", at=NOON - 2 * DAY)
    grant(stage, ada, "news", kind="recurring", topic="news")
    assert held(stage, ada) == [("recurring", "second"), ("recurring", "news")]
    stored = stage.rows("SELECT sealed FROM permission_token")
    assert all(b"second" not in bytes(row.sealed) for row in stored)
    assert "second" not in repr(tokens.tokens_in_force(stage.session, [ada]))
    assert stage.one("SELECT count(*) FROM consent_record WHERE action = 'token_grant'") == 4


def test_the_opt_in_of_the_platform_gives_both_that_it_may_be(stage: Stage) -> None:
    ada = stage.contact()
    grant(stage, ada)
    assert held(stage, ada) == [("marketing", "tok"), ("recurring", "tok")]


def test_one_time_tokens_stand_by_themselves_and_the_same_one_comes_once(stage: Stage) -> None:
    ada = stage.contact()
    for token in ("one", "two", "one"):
        grant(stage, ada, token, kind="one_time", topic="back")
    assert sorted(held(stage, ada)) == [("one_time", "one"), ("one_time", "two")]


@pytest.mark.parametrize(("kind", "token"), [("yearly", "tok"), ("recurring", ""), ("recurring", "x" * 5000)])
def test_what_is_no_token_is_refused(stage: Stage, kind: str, token: str) -> None:
    with pytest.raises(Invalid):
        grant(stage, stage.contact(), token, kind=kind)


def _words(contact: int, seed: int) -> list[tokens.TokenWord]:
    """What somebody might say of their tokens, in no order."""
    dice = Random(seed)
    said = []
    for _ in range(dice.randint(1, 8)):
        action = dice.choice((tokens.GRANTED, tokens.STOPPED, tokens.RESUMED))
        word = tokens.TokenWord(
            contact_id=contact, action=action, topic=dice.choice((None, "sales", "news")), at=dice.randint(1, 6),
            event_id=7,
        )  # fmt: skip
        if action == tokens.GRANTED:
            word.kind = dice.choice(tuple(tokens.GRANTS))
            # Of one instant, one text: nothing tells which of two was first.
            word.token = f"tok{word.at}"
        said.append(word)
    return said


def test_words_of_many_at_once_leave_what_they_leave_one_by_one(stage: Stage) -> None:
    several = [(stage.contact(), stage.contact(), seed) for seed in range(40)]
    # Each person's in another order than one by one, and all of them mixed.
    together = [word for contact, _, seed in several for word in _words(contact, seed)]
    Random(1).shuffle(together)
    sent: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    engine = stage.session.connection().engine
    listen(engine, "before_cursor_execute", note)
    tokens.record_token_words(stage.session, together, NOON)
    remove(engine, "before_cursor_execute", note)
    assert len(sent) <= 6
    for contact, twin, seed in several:
        for word in _words(twin, seed):
            tokens.record_token_words(stage.session, [word], NOON)
        assert state_of(stage, contact) == state_of(stage, twin)
        assert sorted(held(stage, contact)) == sorted(held(stage, twin))


def test_any_order_of_words_leaves_the_same(stage: Stage) -> None:
    def give(contact: int, at: int, topic: str | None = "sales") -> None:
        grant(stage, contact, f"tok{at}", kind="recurring", topic=topic, at=at)

    def stop(contact: int, at: int, topic: str | None = "sales") -> None:
        tokens.stop_tokens(stage.session, contact, topic=topic, at=at, now=NOON, event_id=1)

    def resume(contact: int, at: int, topic: str | None = "sales") -> None:
        tokens.resume_tokens(stage.session, contact, topic=topic, at=at, now=NOON, event_id=1)

    stories: list[tuple[list[tuple[Any, ...]], list[int | None]]] = [
        ([(give, 10), (stop, 20)], [20]),
        ([(give, 10), (stop, 20), (resume, 30)], [None]),
        ([(give, 10), (stop, 30), (resume, 20)], [30]),
        ([(give, 10), (stop, 20), (give, 30)], [None]),
        ([(give, 10), (stop, 20), (resume, 20)], [20]),
        # A word on everything, and one on another topic.
        ([(give, 10), (stop, 20, None), (resume, 30)], [20]),
        ([(give, 10), (stop, 20, "news"), (stop, 15, None), (resume, 16, None)], [None]),
        ([(give, 10, None), (stop, 20), (resume, 30, "news")], [20]),
        ([(give, 10), (give, 12, "news"), (stop, 11), (give, 15)], [None, None]),
    ]
    for words, stopped in stories:
        for order in itertools.permutations([*words, words[0]]):
            contact = stage.contact()
            for verb, at, *topic in order:
                verb(contact, at, *topic)
            state = state_of(stage, contact)
            assert [row[-1] for row in state] == stopped, order
            newest = [at for verb, at, *topic in words if verb is give and not topic]
            assert [row[2] for row in state if row[1] == "sales"] == ([max(newest)] if newest else [])


def test_a_stop_from_a_clock_ahead_does_not_outrank_what_is_said_later(stage: Stage) -> None:
    ada = stage.contact()
    grant(stage, ada, kind="recurring")
    tokens.stop_tokens(stage.session, ada, topic=None, at=NOON + 9 * DAY, now=NOON, event_id=1)
    grant(stage, ada, kind="recurring", at=NOON + 1)
    assert held(stage, ada) == []
    tokens.grant_token(
        stage.session, ada, kind="recurring", token="new", topic=None, expires_at=None, event_id=1, at=NOON + 5,
        now=NOON + 5,
    )  # fmt: skip
    assert held(stage, ada) == [("recurring", "new")]


def test_decisions_know_consents_tokens_advertisements_and_when_they_opted_out(stage: Stage) -> None:
    ada, bob = stage.contact(), stage.contact()
    grant(stage, ada, topic="sales", expires_at=NOON + DAY)
    grant(stage, ada, "once", kind="one_time", topic="back", at=NOON - HOUR)
    stage.session.execute(
        text(
            "INSERT INTO consent (contact_id, topic, kind, granted_at, expires_at) "
            "VALUES (:id, 'sales', 'express', 5, NULL), (:id, NULL, 'implied', 6, 7)"
        ),
        {"id": ada},
    )
    stage.session.execute(text("UPDATE contact SET ad_inbound_at = :at WHERE id = :id"), {"at": NOON - 9, "id": ada})
    stage.session.execute(
        text(
            "INSERT INTO suppression (contact_id, reason, topic, category, since) "
            "VALUES (:id, 'opted_out', 'news', NULL, 50), (:id, 'opted_out', NULL, 'promotional', 60)"
        ),
        {"id": ada},
    )
    facts = facts_of(stage, ada)
    assert set(map(str, facts.consents)) == {
        str(Consent(topic="sales", kind="express", granted_at=5)),
        str(Consent(kind="implied", granted_at=6, expires_at=7)),
    }
    assert (facts.ad_inbound, facts.opted_out_at, facts.opted_out_topics) == (NOON - 9, 60, ("news",))
    # No ad account: a paid message could not go.
    assert set(map(str, facts.tokens)) == {
        str(Token(kind="recurring", topic="sales", expires_at=NOON + DAY)),
        str(Token(kind="one_time", topic="back")),
    }
    pay(stage)
    assert {token.kind for token in facts_of(stage, ada).tokens} == {"marketing", "recurring", "one_time"}
    thrown = switches(stage.session)
    assert [
        for_message(facts_of(stage, ada), Wish(page_id=stage.page, template_id=1, category=category), thrown).opted_out
        for category in ("promotional", "utility")
    ] == [True, False]
    assert facts_of(stage, bob) == Facts(timezones=("Atlantic/Reykjavik",), last_inbound=NOON - HOUR)


def test_words_under_review_hold_what_is_promotional(stage: Stage) -> None:
    ada = stage.contact()
    stage.session.execute(
        text(
            "INSERT INTO consent_review (contact_id, meaning, phrase, said_at, suggested_at) "
            "VALUES (:id, 'opt_out', 'enough now', 1, 1)"
        ),
        {"id": ada},
    )
    thrown = switches(stage.session)
    wishes = [Wish(page_id=stage.page, template_id=1, category=category) for category in ("promotional", "utility")]
    assert [for_message(facts_of(stage, ada), wish, thrown).held for wish in wishes] == [True, False]


def test_a_message_that_confirms_an_opt_out_is_known_as_one(stage: Stage) -> None:
    wish = Wish(page_id=stage.page, template_id=1, category="service", confirms_record_id=3)
    assert for_message(facts_of(stage, stage.contact()), wish, switches(stage.session)).confirms_opt_out


def test_an_ad_account_needs_its_campaign(stage: Stage) -> None:
    page = stage.session.get_one(Page, stage.page)
    for ad_account, campaign in [("42", None), (None, "43"), ("act_42", "43")]:
        with pytest.raises(Invalid):
            changes.set_marketing(stage.session, page, ad_account, campaign, actor="test", now=NOON)


def test_use_of_one_is_use_of_many(stage: Stage) -> None:
    ada = stage.contact()
    grant(stage, ada, kind="recurring")
    token = stage.one("SELECT id FROM permission_token")
    lock_contacts(stage.session, [ada])
    tokens.use_token(stage.session, token, attempt_id=1, now=NOON)
    tokens.use_token(stage.session, token, attempt_id=1, now=NOON - 9)
    assert stage.one("SELECT last_used_at FROM permission_token") == NOON


def test_each_part_of_the_facts_looks_into_an_index(stage: Stage) -> None:
    stage.session.execute(text("SET LOCAL enable_seqscan = off"))
    driver = stage.session.connection().connection.driver_connection
    assert driver is not None
    rows = driver.execute(f"EXPLAIN {decisions.STATEMENT}", decisions.parameters(range(1000), NOON)).fetchall()
    plan = "\n".join(str(row[0]) for row in rows)
    for table in ("attempt", "consent", "permission_token", "suppression", "consent_review", "contact c"):
        assert f"Seq Scan on {table}\n" not in plan.replace("  (", "\n"), plan
