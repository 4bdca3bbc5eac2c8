"""The judge on logs and ledgers made by hand: it names what disagrees, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from tests.chaos.judge import Doubts, Judgement, judge
from tests.chaos.ledger import Ledger, read_ledger
from tests.unit.delivery.stage import Stage

#: 2026-03-10 12:00:00 UTC.
NOON = 1773144000.0


class Tale:
    """A log and a ledger of one message to one person, told step by step."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "sandbox.jsonl"
        self.records: list[dict[str, Any]] = [
            {"kind": "person", "psid": "7", "page_id": "1", "zone": "UTC"},
            {"kind": "inbound", "id": "e1", "psid": "7", "at": NOON - 60, "real": 1.0, "opens": True, "intent": None},
        ]
        self.messages: dict[int, dict[str, Any]] = {}
        self.attempts: dict[int, dict[str, Any]] = {}

    def message(self, state: str, *, reason: str | None = None, mid: str | None = None, outcome: str = "sent") -> None:
        number = len(self.messages) + 1
        self.messages[number] = {
            "state": state, "reason": reason, "mid": mid, "attempts": 1, "psid": "7", "due_at": None,
        }  # fmt: skip
        self.attempts[number] = {"message_id": number, "outcome": outcome, "code": None, "mid": mid}

    def request(self, message: int, *, mid: str | None = None, at: float = NOON, **answer: Any) -> None:
        number = 1 + sum(record["kind"] == "request" for record in self.records)
        body = {
            "messaging_type": "UPDATE", "recipient": {"id": "7"}, "message": {"metadata": f"{message}.{message}.mac"},
        }  # fmt: skip
        self.records += [
            {"kind": "request", "n": number, "page_id": "1", "at": at, "real": 10.0, "body": json.dumps(body)},
            {"kind": "answer", "n": number, "status": 200, "real": 10.1, "mid": mid, **answer},
        ]

    def judged(self, doubts: Doubts | None = None, **known: Any) -> Judgement:
        self.log.write_text("".join(json.dumps(record) + "\n" for record in self.records))
        ledger = Ledger(messages=self.messages, attempts=self.attempts, **known.pop("ledger", {}))
        return judge(self.log, ledger, doubts or Doubts(share=1.0), **known)


@pytest.fixture
def tale(tmp_path: Path) -> Tale:
    return Tale(tmp_path)


def _kinds(found: Judgement) -> set[str]:
    return {words.partition(":")[0] for words in found.failures}


def test_what_was_accepted_and_is_called_sent_is_fine(tale: Tale) -> None:
    tale.message("read", mid="m1")
    tale.request(1, mid="m1")
    assert tale.judged().failures == []


def test_a_message_accepted_twice_is_doubled(tale: Tale) -> None:
    tale.message("sent", mid="m1")
    tale.request(1, mid="m1")
    tale.request(1, mid="m2")
    assert {"doubled", "disagreements"} <= _kinds(tale.judged())


@pytest.mark.parametrize(("state", "reason"), [("due", None), ("in_doubt", None), ("denied", None)])
def test_what_hangs_or_ends_without_a_reason_is_lost(tale: Tale, state: str, reason: str | None) -> None:
    tale.message(state, reason=reason, outcome="not_sent")
    assert _kinds(tale.judged()) == {"lost"}


def test_what_the_witness_never_saw_cannot_be_called_sent(tale: Tale) -> None:
    tale.message("sent", mid="m1")
    assert _kinds(tale.judged()) == {"disagreements"}


def test_what_the_witness_accepted_cannot_be_called_refused(tale: Tale) -> None:
    tale.message("refused", reason="invalid_request", outcome="refused")
    tale.request(1, mid="m1")
    assert _kinds(tale.judged()) == {"disagreements"}


def test_an_unconfirmed_message_whose_echo_was_acknowledged_ignored_the_evidence(tale: Tale) -> None:
    tale.message("unconfirmed", reason="no_evidence", outcome="unconfirmed")
    tale.request(1, mid="m1", fault="hang")
    assert tale.judged().failures == []
    tale.records.append({"kind": "told", "what": "echo", "mid": "m1", "known": True, "real": 11.0})
    assert _kinds(tale.judged()) == {"disagreements"}


def test_doubt_needs_an_explanation(tale: Tale) -> None:
    tale.message("unconfirmed", reason="no_evidence", outcome="unconfirmed")
    assert _kinds(tale.judged()) == {"doubts"}
    assert tale.judged(Doubts(at_kills={1}, share=1.0)).failures == []
    assert _kinds(tale.judged(Doubts(at_kills={1}, faults=False, share=1.0))) == {"doubts"}
    assert _kinds(tale.judged(Doubts(at_kills={1}))) == {"doubts"}  # all of one is over two percent
    tale.records.append({"kind": "line", "what": "swallowed", "message": "1", "attempt": "1", "real": 9.0})
    assert tale.judged().failures == []


def test_one_promotion_more_than_the_cap_is_outside_policy(tale: Tale) -> None:
    for number in (1, 2):
        tale.message("sent", mid=f"m{number}")
        tale.request(number, mid=f"m{number}", at=NOON + number)
    assert tale.judged(cap=2).failures == []
    assert _kinds(tale.judged(cap=1)) == {"outside_policy"}


def test_wishes_that_left_no_message_are_lost(tale: Tale) -> None:
    assert _kinds(tale.judged(ledger={"campaigns": {1: (5, 2)}})) == {"lost"}
    assert _kinds(tale.judged(wanted=["order-1"])) == {"lost"}
    assert tale.judged(wanted=["order-1"], ledger={"events": {"order-1": 1}}).failures == []


def test_an_acknowledged_opt_out_that_is_not_in_force_is_lost(tale: Tale) -> None:
    stop = {"kind": "inbound", "id": "e2", "psid": "7", "at": NOON, "real": 2.0, "opens": True, "intent": "stop"}
    tale.records += [stop, {"kind": "acknowledged", "id": "e2", "real": 3.0, "status": 200, "try": 1}]
    assert _kinds(tale.judged()) == {"lost"}
    assert tale.judged(ledger={"opted_out": {"7"}}).failures == []


def test_a_log_that_the_arrows_do_not_explain_is_a_disagreement(tale: Tale) -> None:
    tale.message("sent", mid="m1")
    tale.request(1, mid="m1")
    found = tale.judged(ledger={"faults": ["message 1: no such arrow: denied → due by tick"]})
    assert found.failures == ["disagreements: the log of message 1: no such arrow: denied → due by tick"]


def test_the_log_is_read_with_the_ledger(session: Session, database_url: str) -> None:
    stage = Stage(session)
    message = stage.message(stage.contact(), state="scheduled")
    stage.commit()
    assert read_ledger(database_url).faults == []
    stage.put(message, "sent")
    stage.commit()
    assert read_ledger(database_url).faults == [
        f"message {message}: sent without an attempt that was: sent",
        f"message {message}: the log ends elsewhere: scheduled, the message is sent",
    ]
