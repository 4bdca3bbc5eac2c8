"""Tokens: granted, stopped, resumed in any order; what decisions know of them; what a message goes on; given back."""

from __future__ import annotations

import itertools
import json
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.event import listen, remove
from sqlmodel import Session

from policies.facts import Consent, Facts, Token
from scheduler.consent import tokens
from scheduler.contacts.lock import lock_contacts
from scheduler.errors import Invalid
from scheduler.facts import decisions
from scheduler.facts.decisions import contact_facts, for_message, switches
from scheduler.governance.explanations import explain_log
from scheduler.outbox.begin import Begun, begin
from scheduler.outbox.plan import Wish, decide_wish
from scheduler.outbox.settle import Outcome, settle
from scheduler.pages import changes
from scheduler.pages.tables import Page
from tests.unit.delivery.stage import HOUR, NOON, Stage
from tests.unit.delivery.told import record_echo

DAY = 24 * HOUR


@pytest.fixture
def stage(session: Session) -> Stage:
    return Stage(session)


def _grant(stage: Stage, contact: int, token: str = "tok", **values: Any) -> None:
    given = {"kind": "notification_messages", "topic": None, "expires_at": None, "event_id": 7, "at": NOON - DAY}
    tokens.grant_token(stage.session, contact, token=token, now=NOON, **(given | values))


def _held(stage: Stage, contact: int) -> list[tuple[str, str]]:
    return [(each.kind, each.clear()) for each in tokens.tokens_in_force(stage.session, [contact]).get(contact, [])]


def _state(stage: Stage, contact: int) -> list[tuple[Any, ...]]:
    found = stage.rows(
        "SELECT kind, topic, granted_at, expires_at, stopped_at FROM permission_token WHERE contact_id = :id "
        "ORDER BY kind, topic, digest",
        id=contact,
    )
    return [tuple(row) for row in found]


def _known(stage: Stage, contact: int) -> Facts:
    stage.session.flush()
    return contact_facts(stage.session, [contact], NOON)[contact]


def _german(stage: Stage, **values: Any) -> int:
    """Somebody where the free notifications still reach, who has not written for long."""
    contact = stage.contact(inbound=NOON - 10 * DAY, **values)
    stage.session.execute(text("UPDATE contact SET country = 'DE' WHERE id = :id"), {"id": contact})
    return contact


def _begin(stage: Stage, page: int | None = None) -> list[Begun]:
    return begin(stage.session, "promotional", {page or stage.page: 10}, NOON)


def _settle(stage: Stage, begun: Begun, result: str, **values: Any) -> None:
    assert begun.token is not None
    settle(
        stage.session,
        [
            Outcome(
                message_id=begun.message_id, attempt_id=begun.attempt_id, contact_id=begun.contact_id,
                page_id=begun.page_id, result=result, token_id=begun.token.id, **values,
            )
        ],
        NOON + 1,
    )  # fmt: skip


def _pay(stage: Stage) -> None:
    page = stage.session.get_one(Page, stage.page)
    changes.set_marketing(stage.session, page, "42", "43", actor="test", now=NOON)


def test_a_grant_is_sealed_renewed_in_place_and_one_a_topic(stage: Stage) -> None:
    ada = stage.contact()
    _grant(stage, ada, "first", kind="recurring", topic="sales")
    _grant(stage, ada, "second", kind="recurring", topic="sales", at=NOON - HOUR, expires_at=NOON + DAY)
    _grant(stage, ada, "older", kind="recurring", topic="sales", at=NOON - 2 * DAY)
    _grant(stage, ada, "news", kind="recurring", topic="news")
    assert _held(stage, ada) == [("recurring", "second"), ("recurring", "news")]
    stored = stage.rows("SELECT sealed FROM permission_token")
    assert all(b"second" not in bytes(row.sealed) for row in stored)
    assert "second" not in repr(tokens.tokens_in_force(stage.session, [ada]))
    assert stage.one("SELECT count(*) FROM consent_record WHERE action = 'token_grant'") == 4


def test_the_opt_in_of_the_platform_gives_both_that_it_may_be(stage: Stage) -> None:
    ada = stage.contact()
    _grant(stage, ada)
    assert _held(stage, ada) == [("marketing", "tok"), ("recurring", "tok")]


def test_one_time_tokens_stand_by_themselves_and_the_same_one_comes_once(stage: Stage) -> None:
    ada = stage.contact()
    for token in ("one", "two", "one"):
        _grant(stage, ada, token, kind="one_time", topic="back")
    assert sorted(_held(stage, ada)) == [("one_time", "one"), ("one_time", "two")]


@pytest.mark.parametrize(("kind", "token"), [("yearly", "tok"), ("recurring", ""), ("recurring", "x" * 5000)])
def test_what_is_no_token_is_refused(stage: Stage, kind: str, token: str) -> None:
    with pytest.raises(Invalid):
        _grant(stage, stage.contact(), token, kind=kind)


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
        assert _state(stage, contact) == _state(stage, twin)
        assert sorted(_held(stage, contact)) == sorted(_held(stage, twin))


def test_any_order_of_words_leaves_the_same(stage: Stage) -> None:
    def grant(contact: int, at: int, topic: str | None = "sales") -> None:
        _grant(stage, contact, f"tok{at}", kind="recurring", topic=topic, at=at)

    def stop(contact: int, at: int, topic: str | None = "sales") -> None:
        tokens.stop_tokens(stage.session, contact, topic=topic, at=at, now=NOON, event_id=1)

    def resume(contact: int, at: int, topic: str | None = "sales") -> None:
        tokens.resume_tokens(stage.session, contact, topic=topic, at=at, now=NOON, event_id=1)

    stories: list[tuple[list[tuple[Any, ...]], list[int | None]]] = [
        ([(grant, 10), (stop, 20)], [20]),
        ([(grant, 10), (stop, 20), (resume, 30)], [None]),
        ([(grant, 10), (stop, 30), (resume, 20)], [30]),
        ([(grant, 10), (stop, 20), (grant, 30)], [None]),
        ([(grant, 10), (stop, 20), (resume, 20)], [20]),
        # A word on everything, and one on another topic.
        ([(grant, 10), (stop, 20, None), (resume, 30)], [20]),
        ([(grant, 10), (stop, 20, "news"), (stop, 15, None), (resume, 16, None)], [None]),
        ([(grant, 10, None), (stop, 20), (resume, 30, "news")], [20]),
        ([(grant, 10), (grant, 12, "news"), (stop, 11), (grant, 15)], [None, None]),
    ]
    for words, stopped in stories:
        for order in itertools.permutations([*words, words[0]]):
            contact = stage.contact()
            for verb, at, *topic in order:
                verb(contact, at, *topic)
            state = _state(stage, contact)
            assert [row[-1] for row in state] == stopped, order
            newest = [at for verb, at, *topic in words if verb is grant and not topic]
            assert [row[2] for row in state if row[1] == "sales"] == ([max(newest)] if newest else [])


def test_a_stop_from_a_clock_ahead_does_not_outrank_what_is_said_later(stage: Stage) -> None:
    ada = stage.contact()
    _grant(stage, ada, kind="recurring")
    tokens.stop_tokens(stage.session, ada, topic=None, at=NOON + 9 * DAY, now=NOON, event_id=1)
    _grant(stage, ada, kind="recurring", at=NOON + 1)
    assert _held(stage, ada) == []
    tokens.grant_token(
        stage.session, ada, kind="recurring", token="new", topic=None, expires_at=None, event_id=1, at=NOON + 5,
        now=NOON + 5,
    )  # fmt: skip
    assert _held(stage, ada) == [("recurring", "new")]


def test_decisions_know_consents_tokens_advertisements_and_when_they_opted_out(stage: Stage) -> None:
    ada, bob = stage.contact(), stage.contact()
    _grant(stage, ada, topic="sales", expires_at=NOON + DAY)
    _grant(stage, ada, "once", kind="one_time", topic="back", at=NOON - HOUR)
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
    facts = _known(stage, ada)
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
    _pay(stage)
    assert {token.kind for token in _known(stage, ada).tokens} == {"marketing", "recurring", "one_time"}
    thrown = switches(stage.session)
    assert [
        for_message(_known(stage, ada), Wish(page_id=stage.page, template_id=1, category=category), thrown).opted_out
        for category in ("promotional", "utility")
    ] == [True, False]
    assert _known(stage, bob) == Facts(timezones=("UTC",), last_inbound=NOON - HOUR)


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
    assert [for_message(_known(stage, ada), wish, thrown).held for wish in wishes] == [True, False]


def test_a_message_that_confirms_an_opt_out_is_known_as_one(stage: Stage) -> None:
    wish = Wish(page_id=stage.page, template_id=1, category="service", confirms_record_id=3)
    assert for_message(_known(stage, stage.contact()), wish, switches(stage.session)).confirms_opt_out


def test_a_message_goes_on_the_token_and_the_token_is_used(stage: Stage) -> None:
    ada = _german(stage)
    _grant(stage, ada)
    message = stage.message(ada)
    (begun,) = _begin(stage)
    assert begun.token is not None
    assert (begun.message_id, begun.token.kind, begun.token.text) == (message, "recurring", "tok")
    assert "tok'" not in repr(begun)
    used = stage.rows("SELECT kind, last_used_at FROM permission_token ORDER BY kind")
    assert [tuple(row) for row in used] == [("marketing", None), ("recurring", NOON)]
    attempt = stage.rows("SELECT ground, token_id FROM attempt")
    assert [tuple(row) for row in attempt] == [("recurring", begun.token.id)]
    log = stage.one("SELECT facts::text FROM message_log WHERE message_id = :id AND facts IS NOT NULL", id=message)
    assert json.loads(log)["tokens"] == [["recurring", None, None]]
    assert "tok" not in log.replace("tokens", "")
    _settle(stage, begun, "sent", mid="m_1")
    second = stage.message(ada)
    assert _begin(stage) == []
    row = stage.rows("SELECT state, due_at, reason FROM message WHERE id = :id", id=second)[0]
    assert (row.state, row.due_at, row.reason) == ("scheduled", NOON + 1 + 48 * HOUR, "window_closed")


@pytest.mark.parametrize("result", ["refused", "not_sent"])
def test_what_was_not_sent_gives_its_token_back(stage: Stage, result: str) -> None:
    ada = _german(stage)
    _grant(stage, ada, kind="one_time")
    stage.message(ada)
    (begun,) = _begin(stage)
    assert _known(stage, ada).tokens == ()
    _settle(stage, begun, result, reason="invalid_request")
    assert _known(stage, ada).tokens == (Token(kind="one_time"),)
    # What was said to be unsent arrived after all.
    metadata = begun.metadata
    record_echo(stage.session, stage.page, metadata, "m_9", NOON, NOON + 2)
    assert _known(stage, ada).tokens == ()


def test_doubt_keeps_the_token_used(stage: Stage) -> None:
    ada = _german(stage)
    _grant(stage, ada, kind="one_time")
    stage.message(ada)
    (begun,) = _begin(stage)
    _settle(stage, begun, "in_doubt", reason="no_answer")
    assert _known(stage, ada).tokens == ()


def test_too_often_leaves_the_token_resting(stage: Stage) -> None:
    ada = _german(stage)
    _grant(stage, ada, kind="recurring")
    stage.message(ada)
    (begun,) = _begin(stage)
    _settle(stage, begun, "refused", reason="too_often", code=4, subcode=2018354)
    assert [token.last_used_at for token in _known(stage, ada).tokens] == [NOON + 1]


def test_notifications_that_the_person_stopped_end_their_token(stage: Stage) -> None:
    ada = _german(stage)
    _grant(stage, ada, kind="recurring", topic="sales")
    _grant(stage, ada, "news", kind="recurring", topic="news")
    stage.message(ada, topic="sales")
    (begun,) = _begin(stage)
    _settle(
        stage,
        begun,
        "refused",
        reason="notifications_stopped",
        effect="notifications_stopped",
        code=10,
        subcode=1893015,
    )
    assert _held(stage, ada) == [("recurring", "news")]
    assert stage.one("SELECT source FROM consent_record WHERE action = 'token_stop'") == "send_error"


def test_of_several_the_one_that_ends_soonest_and_does_not_rest(stage: Stage) -> None:
    ada = _german(stage)
    _grant(stage, ada, "resting", kind="recurring", topic="sales", expires_at=NOON + DAY)
    stage.session.execute(text("UPDATE permission_token SET last_used_at = :at"), {"at": NOON - HOUR})
    _grant(stage, ada, "any", kind="recurring", topic=None, expires_at=NOON + 3 * DAY)
    _grant(stage, ada, "news", kind="recurring", topic="news", expires_at=NOON + 2 * DAY)
    stage.message(ada, topic="sales")
    (begun,) = _begin(stage)
    assert begun.token is not None
    assert begun.token.text == "any"


def test_a_paid_message_knows_what_it_goes_through(stage: Stage) -> None:
    ada = stage.contact(inbound=NOON - 10 * DAY)
    stage.session.execute(text("UPDATE contact SET country = 'US' WHERE id = :id"), {"id": ada})
    _grant(stage, ada)
    first = stage.message(ada)
    assert _begin(stage) == []
    assert stage.one("SELECT state FROM message WHERE id = :id", id=first) == "denied"
    _pay(stage)
    stage.message(ada)
    (begun,) = _begin(stage)
    assert begun.token is not None
    assert (begun.token.kind, begun.token.ad_account_id, begun.token.message_campaign_id) == ("marketing", "42", "43")


def test_a_token_that_cannot_be_unsealed_refuses_its_message_alone(stage: Stage) -> None:
    ada, bob = _german(stage), _german(stage)
    _grant(stage, ada, kind="recurring")
    _grant(stage, bob, kind="recurring")
    stage.session.execute(text("UPDATE permission_token SET sealed = 'x' WHERE contact_id = :id"), {"id": ada})
    lost, fine = stage.message(ada), stage.message(bob)
    assert [begun.message_id for begun in _begin(stage)] == [fine]
    row = stage.rows("SELECT state, reason FROM message WHERE id = :id", id=lost)[0]
    assert tuple(row) == ("refused", "token_unreadable")


def test_a_grant_wakes_what_waits_and_a_stop_is_in_force(stage: Stage) -> None:
    ada = _german(stage)
    waiting = stage.message(ada, state="scheduled", due_at=NOON + DAY)
    _grant(stage, ada)
    assert stage.one("SELECT state FROM message WHERE id = :id", id=waiting) == "due"
    tokens.stop_tokens(stage.session, ada, topic=None, at=NOON, now=NOON, event_id=1)
    assert _begin(stage) == []
    assert stage.one("SELECT state FROM message WHERE id = :id", id=waiting) == "denied"
    tokens.resume_tokens(stage.session, ada, topic=None, at=NOON + 1, now=NOON + 1, event_id=2)
    assert _held(stage, ada) != []


def test_an_ad_account_needs_its_campaign(stage: Stage) -> None:
    page = stage.session.get_one(Page, stage.page)
    for ad_account, campaign in [("42", None), (None, "43"), ("act_42", "43")]:
        with pytest.raises(Invalid):
            changes.set_marketing(stage.session, page, ad_account, campaign, actor="test", now=NOON)


def test_use_of_one_is_use_of_many(stage: Stage) -> None:
    ada = stage.contact()
    _grant(stage, ada, kind="recurring")
    token = stage.one("SELECT id FROM permission_token")
    lock_contacts(stage.session, [ada])
    tokens.use_token(stage.session, token, attempt_id=1, now=NOON)
    tokens.use_token(stage.session, token, attempt_id=1, now=NOON - 9)
    assert stage.one("SELECT last_used_at FROM permission_token") == NOON


def test_preview_plan_dispatch_and_explanation_see_the_same(stage: Stage) -> None:
    ada = _german(stage)
    _grant(stage, ada, topic="sales")
    wish = Wish(page_id=stage.page, template_id=stage.templates[stage.page, "promotional"], category="promotional",
                topic="sales")  # fmt: skip
    (planned,) = decide_wish(stage.session, wish, [ada], NOON)
    message = stage.message(ada, topic="sales")
    (begun,) = _begin(stage)
    assert begun.message_id == message
    stored = stage.rows("SELECT * FROM message_log WHERE message_id = :id AND facts IS NOT NULL", id=message)
    (explained,) = explain_log(stage.session, [dict(row._mapping) for row in stored])
    assert explained is not None
    decision, findings = explained
    assert decision == planned.decision
    assert (decision.verdict, decision.ground) == ("send", "recurring")
    assert any("recurring token serves" in finding.words for finding in findings)


def test_each_part_of_the_facts_looks_into_an_index(stage: Stage) -> None:
    stage.session.execute(text("SET LOCAL enable_seqscan = off"))
    driver = stage.session.connection().connection.driver_connection
    assert driver is not None
    rows = driver.execute(f"EXPLAIN {decisions.STATEMENT}", decisions.parameters(range(1000), NOON)).fetchall()
    plan = "\n".join(str(row[0]) for row in rows)
    for table in ("attempt", "consent", "permission_token", "suppression", "consent_review", "contact c"):
        assert f"Seq Scan on {table}\n" not in plan.replace("  (", "\n"), plan
