"""What a message goes on: the token is chosen, used, rested, given back; decided the same at every step."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from policies.facts import Token
from scheduler.consent import tokens
from scheduler.governance.explanations import explain_log
from scheduler.outbox.begin import Begun, begin
from scheduler.outbox.plan import Wish, decide_wish
from scheduler.outbox.settle import Outcome, settle
from tests.integration.granted import DAY, facts_of, german, grant, held, pay
from tests.unit.delivery.stage import HOUR, NOON, Stage
from tests.unit.delivery.told import record_echo


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


def test_a_message_goes_on_the_token_and_the_token_is_used(stage: Stage) -> None:
    ada = german(stage)
    grant(stage, ada)
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
    ada = german(stage)
    grant(stage, ada, kind="one_time")
    stage.message(ada)
    (begun,) = _begin(stage)
    assert facts_of(stage, ada).tokens == ()
    _settle(stage, begun, result, reason="invalid_request")
    assert facts_of(stage, ada).tokens == (Token(kind="one_time"),)
    # What was said to be unsent arrived after all.
    metadata = begun.metadata
    record_echo(stage.session, stage.page, metadata, "m_9", NOON, NOON + 2)
    assert facts_of(stage, ada).tokens == ()


def test_doubt_keeps_the_token_used(stage: Stage) -> None:
    ada = german(stage)
    grant(stage, ada, kind="one_time")
    stage.message(ada)
    (begun,) = _begin(stage)
    _settle(stage, begun, "in_doubt", reason="no_answer")
    assert facts_of(stage, ada).tokens == ()


def test_too_often_leaves_the_token_resting(stage: Stage) -> None:
    ada = german(stage)
    grant(stage, ada, kind="recurring")
    stage.message(ada)
    (begun,) = _begin(stage)
    _settle(stage, begun, "refused", reason="too_often", code=4, subcode=2018354)
    assert [token.last_used_at for token in facts_of(stage, ada).tokens] == [NOON + 1]


def test_notifications_that_the_person_stopped_end_their_token(stage: Stage) -> None:
    ada = german(stage)
    grant(stage, ada, kind="recurring", topic="sales")
    grant(stage, ada, "news", kind="recurring", topic="news")
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
    assert held(stage, ada) == [("recurring", "news")]
    assert stage.one("SELECT source FROM consent_record WHERE action = 'token_stop'") == "send_error"


def test_of_several_the_one_that_ends_soonest_and_does_not_rest(stage: Stage) -> None:
    ada = german(stage)
    grant(stage, ada, "resting", kind="recurring", topic="sales", expires_at=NOON + DAY)
    stage.session.execute(text("UPDATE permission_token SET last_used_at = :at"), {"at": NOON - HOUR})
    grant(stage, ada, "any", kind="recurring", topic=None, expires_at=NOON + 3 * DAY)
    grant(stage, ada, "news", kind="recurring", topic="news", expires_at=NOON + 2 * DAY)
    stage.message(ada, topic="sales")
    (begun,) = _begin(stage)
    assert begun.token is not None
    assert begun.token.text == "any"


def test_a_paid_message_knows_what_it_goes_through(stage: Stage) -> None:
    ada = stage.contact(inbound=NOON - 10 * DAY)
    stage.session.execute(text("UPDATE contact SET country = 'US' WHERE id = :id"), {"id": ada})
    grant(stage, ada)
    first = stage.message(ada)
    assert _begin(stage) == []
    assert stage.one("SELECT state FROM message WHERE id = :id", id=first) == "denied"
    pay(stage)
    stage.message(ada)
    (begun,) = _begin(stage)
    assert begun.token is not None
    assert (begun.token.kind, begun.token.ad_account_id, begun.token.message_campaign_id) == ("marketing", "42", "43")


def test_a_token_that_cannot_be_unsealed_refuses_its_message_alone(stage: Stage) -> None:
    ada, bob = german(stage), german(stage)
    grant(stage, ada, kind="recurring")
    grant(stage, bob, kind="recurring")
    stage.session.execute(text("UPDATE permission_token SET sealed = 'x' WHERE contact_id = :id"), {"id": ada})
    lost, fine = stage.message(ada), stage.message(bob)
    assert [begun.message_id for begun in _begin(stage)] == [fine]
    row = stage.rows("SELECT state, reason FROM message WHERE id = :id", id=lost)[0]
    assert tuple(row) == ("refused", "token_unreadable")


def test_a_grant_wakes_what_waits_and_a_stop_is_in_force(stage: Stage) -> None:
    ada = german(stage)
    waiting = stage.message(ada, state="scheduled", due_at=NOON + DAY)
    grant(stage, ada)
    assert stage.one("SELECT state FROM message WHERE id = :id", id=waiting) == "due"
    tokens.stop_tokens(stage.session, ada, topic=None, at=NOON, now=NOON, event_id=1)
    assert _begin(stage) == []
    assert stage.one("SELECT state FROM message WHERE id = :id", id=waiting) == "denied"
    tokens.resume_tokens(stage.session, ada, topic=None, at=NOON + 1, now=NOON + 1, event_id=2)
    assert held(stage, ada) != []


def test_preview_plan_dispatch_and_explanation_see_the_same(stage: Stage) -> None:
    ada = german(stage)
    grant(stage, ada, topic="sales")
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
