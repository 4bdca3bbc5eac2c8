"""Words that may have been an opt-out wait for a person, and promotions to whoever said them wait with them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.consent.review import Suggestion, decide, list_reviews, read_review, suggest
from scheduler.consent.standing import suppressions
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.outbox.begin import begin
from tests.unit.delivery.stage import NOON, Stage


def _said(contact: int, event_id: int | None = 7, meaning: str = "opt_out", at: int = NOON - 60) -> Suggestion:
    return Suggestion(contact_id=contact, event_id=event_id, meaning=meaning, phrase="unsubscribe", at=at)


def _begun(stage: Stage, now: int = NOON) -> list[int]:
    found = [
        begun for lane in ("utility", "promotional") for begun in begin(stage.session, lane, {stage.page: 10}, now)
    ]
    return sorted(begun.message_id for begun in found)


def _parked(stage: Stage, message: int) -> tuple[Any, ...]:
    return tuple(stage.row("SELECT state, due_at, reason, wakes_on FROM message WHERE id = :id", id=message))


def test_promotions_wait_until_it_is_judged_and_nothing_else_does(stage: Stage) -> None:
    ana, ben, cleo = stage.contact(), stage.contact(), stage.contact()
    to_ana, to_ben = stage.message(ana), stage.message(ben)
    utility = stage.message(cleo, category="utility")
    rows = [_said(ana), _said(ben, 8, "help"), _said(cleo, 9)]
    assert suggest(stage.session, rows, NOON) == 3
    # Told twice is once.
    assert suggest(stage.session, rows, NOON) == 0
    assert suggest(stage.session, [], NOON) == 0
    assert _begun(stage) == [to_ben, utility]
    assert _parked(stage, to_ana) == ("scheduled", None, "contact_held", "resume")
    (of_ana,) = [each["id"] for each in list_reviews(stage.session, limit=9) if each["psid"] == stage.psid(ana)]
    decide(stage.session, of_ana, "nothing", actor="mia", now=NOON + 60)
    assert _begun(stage, NOON + 60) == [to_ana]
    assert suppressions(stage.session, ana) == []
    seen = read_review(stage.session, of_ana)
    assert (seen["decision"], seen["decided_by"], seen["decided_at"]) == ("nothing", "mia", NOON + 60)
    assert [each["id"] for each in list_reviews(stage.session, decided=True, limit=9)] == [of_ana]
    assert len(list_reviews(stage.session, page_id=stage.page, before=of_ana + 99, limit=9)) == 2
    assert stage.one("SELECT count(*) FROM audit_entry WHERE action = 'consent.review'") == 1


def test_it_was_an_opt_out_as_of_when_they_said_so(stage: Stage) -> None:
    ana, ben = stage.contact(), stage.contact()
    message = stage.message(ana)
    suggest(stage.session, [_said(ana), _said(ben, None, "opt_out")], NOON)
    first, second = sorted(each["id"] for each in list_reviews(stage.session, limit=9))
    decide(stage.session, first, "opt_out", actor="mia", now=NOON + 60)
    (standing,) = suppressions(stage.session, ana)
    assert (standing["reason"], standing["since"], standing["said_by"]) == ("opted_out", NOON - 60, "person")
    assert _begun(stage, NOON + 60) == []
    assert stage.state(message) in ("due", "denied")
    assert tuple(
        stage.row("SELECT source, event_id, evidence, actor FROM consent_record WHERE contact_id = :id", id=ana)
    ) == ("message", 7, f"review:{first}", "mia")
    with pytest.raises(Conflict):
        decide(stage.session, first, "nothing", actor="ben", now=NOON + 61)
    with pytest.raises(NotFound):
        decide(stage.session, first + 999, "nothing", actor="ben", now=NOON + 61)
    with pytest.raises(Invalid):
        decide(stage.session, second, "perhaps", actor="ben", now=NOON + 61)  # type: ignore[arg-type]  # what is refused
    with pytest.raises(Invalid):
        suggest(stage.session, [_said(ben, 11, "gossip")], NOON)


def test_two_suggestions_are_judged_one_by_one(stage: Stage) -> None:
    ana = stage.contact()
    message = stage.message(ana)
    suggest(stage.session, [_said(ana, 1), _said(ana, 2)], NOON)
    first, second = sorted(each["id"] for each in list_reviews(stage.session, limit=9))
    decide(stage.session, first, "nothing", actor="mia", now=NOON)
    assert _begun(stage) == []
    decide(stage.session, second, "nothing", actor="mia", now=NOON)
    assert _begun(stage) == [message]


def test_on_the_command_line(stage: Stage) -> None:
    ana = stage.contact()
    suggest(stage.session, [_said(ana, None)], NOON)
    stage.commit()
    listed = json.loads(CliRunner().invoke(app, ["consent", "reviews", "--json"]).output)
    assert [(each["psid"], each["phrase"]) for each in listed] == [(stage.psid(ana), "unsubscribe")]
    id_ = str(listed[0]["id"])
    assert stage.psid(ana) in CliRunner().invoke(app, ["consent", "reviews"]).output
    assert CliRunner().invoke(app, ["consent", "judge", id_, "--was", "gossip"]).exit_code == 2
    assert CliRunner().invoke(app, ["consent", "judge", id_, "--was", "opt_out", "--as", "mia"]).exit_code == 0
    assert CliRunner().invoke(app, ["consent", "judge", id_, "--was", "nothing"]).exit_code == 5
    assert "opt out" in CliRunner().invoke(app, ["consent", "reviews", "--decided"]).output
    stage.commit()
    assert [each["reason"] for each in suppressions(stage.session, ana)] == ["opted_out"]
