"""What the API and the command line tell of tokens, and never the tokens themselves."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session
from typer.testing import CliRunner

from scheduler import clock
from scheduler.cli.main import app
from scheduler.consent import tokens
from scheduler.contacts.registry import ensure_contacts

PAID = {"ad_account_id": "42", "message_campaign_id": "43"}


def test_how_tokens_stand(page: Any, session: Session, api: Any) -> None:
    now = clock.now()
    ana = ensure_contacts(session, page.id, ["ana"], now)["ana"]
    grants: list[tuple[tokens.Grant, str, str | None, int | None]] = [
        ("notification_messages", "secret-1", "sales", None),
        ("one_time", "secret-2", "back", now - 5),
        ("one_time", "secret-3", "back", now + 500),
        ("recurring", "secret-4", None, None),
    ]
    for kind, text, topic, ends in grants:
        tokens.grant_token(
            session, ana, kind=kind, token=text, topic=topic, expires_at=ends, event_id=9, at=now - 60, now=now
        )
    tokens.stop_tokens(session, ana, topic="sales", at=now - 5, now=now, event_id=10)
    tokens.grant_token(
        session,
        ana,
        kind="recurring",
        token="secret-5",
        topic="sales",
        expires_at=None,
        event_id=11,
        at=now - 1,
        now=now,
    )
    session.commit()
    told = api("GET", f"/pages/{page.external_id}/contacts/ana/tokens")
    assert told.status_code == 200, told.text
    assert "secret" not in told.text
    found = {(each["kind"], each["topic"], each["state"]) for each in told.json()["items"]}
    assert found == {
        ("marketing", "sales", "stopped"), ("recurring", "sales", "in_force"), ("recurring", None, "stopped"),
        ("one_time", "back", "expired"), ("one_time", "back", "in_force"),
    }  # fmt: skip
    assert api("GET", f"/pages/{page.external_id}/contacts/nobody/tokens").status_code == 404


def test_what_paid_messages_go_through(page: Any, api: Any) -> None:
    path = f"/pages/{page.external_id}"
    assert api("PATCH", path, {"marketing": PAID}).json().items() >= PAID.items()
    for wrong in ({"ad_account_id": "42"}, PAID | {"message_campaign_id": None}, PAID | {"ad_account_id": "act_42"}):
        assert api("PATCH", path, {"marketing": wrong}).status_code == 422
    assert api("GET", path).json().items() >= PAID.items()
    assert api("PATCH", path, {"marketing": dict.fromkeys(PAID)}).json()["ad_account_id"] is None


def test_the_command_line_says_what_paid_messages_go_through(page: Any) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["page", "marketing", page.external_id, *words])

    assert "act_42" in run("--ad-account", "42", "--campaign", "43").output
    assert run("--ad-account", "42").exit_code != 0
    assert run().exit_code != 0
    assert "no paid messages" in run("--off").output
