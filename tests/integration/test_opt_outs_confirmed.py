"""The one message that confirms an opt-out: once, where the law allows it, in time, past nothing but the opt-out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import Session

from policies.confirmation import WITHIN
from policies.law_terms import OptOutLaw
from policies.opt_out_law import opt_out_laws
from scheduler.consent import confirmations
from scheduler.consent.blocks import suppress
from scheduler.consent.choices import Choice, record_choices, record_opt_in, record_opt_out
from scheduler.consent.settings import Settings, change_settings
from scheduler.contacts.holds import OPERATOR, hand_over
from scheduler.content.templates import save_template
from scheduler.outbox.begin import Begun, begin
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.tick import tick
from tests.integration.town import Town
from tests.unit.delivery.stage import NOON, Stage
from workers.deliver import Channel, Delivery
from workers.sandbox.words import FAREWELLS

HOUR = 3600


@pytest.fixture
def stage(session: Session) -> Stage:
    made = Stage(session)
    _confirms(made, made.page, "1001", FAREWELLS["en"])
    return made


def _confirms(stage: Stage, page: int, external_id: str, words: str) -> None:
    save_template(
        stage.session, page, name="bye", category="service", default_locale="en", bodies={"en": {"text": words}},
        actor="test", now=stage.now,
    )  # fmt: skip
    wanted = Settings(confirmation_template="bye")
    change_settings(stage.session, page, external_id, wanted, actor="test", now=stage.now)


def _in(stage: Stage, country: str | None = "US", **more: Any) -> int:
    contact = stage.contact(**more)
    stage.row("UPDATE contact SET country = :country WHERE id = :id RETURNING id", country=country, id=contact)
    return contact


def _stop(stage: Stage, contact: int, at: int = NOON, now: int | None = None, source: str = "message") -> bool:
    return record_opt_out(stage.session, contact, source=source, at=at, now=at if now is None else now)


def _planned(stage: Stage, contact: int) -> list[tuple[Any, ...]]:
    rows = stage.session.connection().exec_driver_sql(
        "SELECT state, reason, category, lane, expires_at FROM message "
        "WHERE contact_id = %(id)s AND confirms_record_id IS NOT NULL ORDER BY id",
        {"id": contact},
    )
    return [tuple(row) for row in rows]


def _begin(stage: Stage, now: int) -> list[Begun]:
    tick(stage.session, now)
    return begin(stage.session, "utility", {stage.page: 10}, now)


@pytest.mark.parametrize(("late", "planned"), [(0, 1), (59, 1), (60, 0)])
def test_a_law_may_ask_for_it_sooner(stage: Stage, monkeypatch: pytest.MonkeyPatch, late: int, planned: int) -> None:
    def in_a_minute(*place: Any) -> list[OptOutLaw]:
        return [replace(law, confirmation_within=60) for law in opt_out_laws(*place)]

    monkeypatch.setattr(confirmations, "opt_out_laws", in_a_minute)
    contact = _in(stage)
    assert _stop(stage, contact, now=NOON + late)
    assert [row[-1] for row in _planned(stage, contact)] == [NOON + 60] * planned


def test_a_stop_is_confirmed_once_and_nothing_else_goes(stage: Stage) -> None:
    contact = _in(stage)
    waiting = stage.message(contact)
    assert _stop(stage, contact)
    assert _planned(stage, contact) == [("scheduled", None, "service", "utility", NOON + WITHIN)]
    # Said again, it needs no second answer.
    assert _stop(stage, contact, at=NOON + 2)
    [begun] = _begin(stage, NOON + 3)
    assert begun.content.text == FAREWELLS["en"]
    assert begun.message_id != waiting
    assert stage.one("SELECT confirms_opt_out FROM attempt WHERE id = :id", id=begun.attempt_id)
    assert begin(stage.session, "promotional", {stage.page: 10}, NOON + 3) == []
    sent = Outcome(
        message_id=begun.message_id, attempt_id=begun.attempt_id, contact_id=contact, page_id=stage.page, result="sent",
        mid="m_1",
    )  # fmt: skip
    assert settle(stage.session, [sent], NOON + 4) == 1
    assert begin(stage.session, "promotional", {stage.page: 10}, NOON + 5) == []
    assert stage.state(waiting) == "denied"
    # Whoever came back and leaves again is told again.
    assert record_opt_in(stage.session, contact, source="message", at=NOON + 60, now=NOON + 60)
    assert _stop(stage, contact, at=NOON + 90)
    assert len(_planned(stage, contact)) == 2
    assert len(_begin(stage, NOON + 91)) == 1


def test_where_and_how_it_is_confirmed(stage: Stage) -> None:
    cases: list[tuple[str | None, str, int, int]] = [
        ("US", "message", 0, 1),
        ("KR", "message", 0, 1),
        ("DE", "message", 0, 0),  # no law that allows it
        (None, "message", 0, 0),  # nobody knows where they are
        ("AQ", "message", 0, 0),  # nobody knows the law
        ("US", "postback", 0, 0),
        ("US", "optin", 0, 0),
        ("US", "operator", 0, 0),
        ("US", "api", 0, 0),
        ("US", "import", 0, 0),
        ("US", "message", WITHIN - 1, 1),
        ("US", "message", WITHIN, 0),  # we learn of it too late
    ]
    people = [_in(stage, country) for country, *_ in cases]
    for contact, (_, source, late, _) in zip(people, cases, strict=True):
        assert _stop(stage, contact, at=NOON, now=NOON + late, source=source)
    assert [len(_planned(stage, contact)) for contact in people] == [planned for *_, planned in cases]
    # Virginia's law speaks of opting out and of no confirmation.
    both = _in(stage, "US")
    stage.row("UPDATE contact SET region = 'US-VA' WHERE id = :id RETURNING id", id=both)
    _stop(stage, both)
    assert _planned(stage, both) == []


def test_no_page_confirms_without_being_told_to(session: Session) -> None:
    stage = Stage(session)
    contact = _in(stage)
    assert _stop(stage, contact)
    assert _planned(stage, contact) == []


def test_it_waits_for_nothing_and_passes_nothing_but_the_opt_out(stage: Stage) -> None:
    closed, blocked, away = _in(stage, inbound=NOON - 25 * HOUR), _in(stage), _in(stage)
    suppress(stage.session, blocked, "blocked", source="send_error", now=NOON - 5)
    hand_over(stage.session, away, by=OPERATOR, at=NOON - 5, now=NOON - 5)
    choices = [Choice(contact_id=one, action="opt_out", source="message", at=NOON) for one in (closed, blocked, away)]
    assert record_choices(stage.session, choices, NOON) == [True, True, True]
    assert _begin(stage, NOON + 1) == []
    assert [_planned(stage, one)[0][:2] for one in (closed, blocked)] == [
        ("denied", "window_closed"), ("denied", "blocked"),
    ]  # fmt: skip
    assert _planned(stage, away)[0][:2] == ("scheduled", "handover")
    assert _begin(stage, NOON + WITHIN + 60) == []
    assert _planned(stage, away)[0][0] == "expired"


def test_it_expires_and_is_called_off_when_they_are_back(stage: Stage) -> None:
    late, back = _in(stage), _in(stage)
    _stop(stage, late)
    _stop(stage, back)
    assert record_opt_in(stage.session, back, source="operator", actor="mia", at=NOON + 2, now=NOON + 2)
    assert _planned(stage, back)[0][:2] == ("cancelled", "opted_in")
    by = (
        "SELECT actor FROM message_log l JOIN message m ON m.id = l.message_id WHERE contact_id = :id AND to_state = :s"
    )
    assert stage.one(by, id=back, s="cancelled") == "mia"
    assert _begin(stage, NOON + WITHIN) == []
    assert _planned(stage, late)[0][0] == "expired"


def test_trouble_with_it_stands_in_no_opt_outs_way(stage: Stage) -> None:
    one, other = _in(stage), _in(stage)
    stage.session.connection().exec_driver_sql(
        "INSERT INTO policy_version (version, name, document, created_at) VALUES ('e', 'new', '[of_tomorrow]', 0)"
    )
    stage.session.connection().exec_driver_sql(
        "INSERT INTO policy_activation (page_id, version, actor, why, activated_at) VALUES (%(page)s, 'e', '', '', 0)",
        {"page": stage.page},
    )
    assert _stop(stage, one)
    assert _planned(stage, one) == []
    stage.row("DELETE FROM template WHERE name = 'bye' RETURNING id")
    assert _stop(stage, other)
    assert _planned(stage, other) == []


def test_a_worker_confirms_a_stop_and_the_witness_has_nothing_to_say(town: Town, channel: Channel) -> None:
    _confirms(town.stage, town.page_id, town.page["id"], FAREWELLS["en"])
    psids = [town.person(country="US") for _ in range(3)]
    for psid in psids:
        town.stage.row("UPDATE contact SET country = 'US' WHERE psid = :psid RETURNING id", psid=psid)
    town.stage.commit()
    waiting = town.message(psids[0])
    town.post("/sandbox/say", psid=psids[0], kind="stop")
    town.post("/sandbox/say", psid=psids[1], kind="postback", text="Stop", payload="STOP", intent="stop")
    town.post("/sandbox/say", psid=psids[0], kind="stop")
    tick(town.session, town.now + 5)
    town.stage.commit()
    Delivery("utility", channel, time_slice=10, idle=0.3).run()
    Delivery("promotional", channel, time_slice=10, idle=0.3).run()
    (message,) = [
        row[0] for row in town.session.connection().exec_driver_sql(
            "SELECT id FROM message WHERE confirms_record_id IS NOT NULL"
        )
    ]  # fmt: skip
    town.until(message, "sent", "delivered", "read")
    assert town.stage.state(waiting) == "denied"
    verdict = town.get("/sandbox/verdict")
    assert (verdict["accepted"], verdict["violations"]) == (1, [])
