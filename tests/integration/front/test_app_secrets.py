from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event
from typer.testing import CliRunner

from scheduler import clock
from scheduler.cli.main import app as duly
from scheduler.pages.registry import app_secrets, get_page
from scheduler.pages.stops import stop_page
from scheduler.store import database

NEW = "f1ce" * 8
APP = "900100"


@pytest.fixture
def refused(deliver: Any, say: Any, eventually: Any) -> Any:
    """``refused(secret=…)``: wait until no webhook goes through with it: a second at most, as the process knows it."""

    def wait(**signed: str) -> None:
        eventually(lambda: deliver(say("7"), **signed).status_code == 401, what="the refusal")

    return wait


def test_both_secrets_verify_until_the_older_one_is_retired(
    page: Any, deliver: Any, say: Any, api: Any, row: Any, refused: Any
) -> None:
    assert deliver(say("7"), secret=NEW).status_code == 401
    added = api("POST", f"/apps/{APP}/secret", {"secret": NEW}).json()
    assert (added["external_id"], added["secrets"]) == (APP, 2)
    assert deliver(say("7"), secret=NEW).json()["received"] == 1
    assert deliver(say("7")).json()["received"] == 1
    assert api("DELETE", f"/apps/{APP}/previous-secret").json()["secrets"] == 1
    refused()
    assert deliver(say("7"), secret=NEW).json()["received"] == 1
    assert row("SELECT array_agg(action ORDER BY id) FROM audit_entry WHERE subject = 'app:900100'")[0] == [
        "app.add_secret", "app.retire_secret",
    ]  # fmt: skip


def test_secrets_lie_sealed_and_are_never_shown(page: Any, api: Any, row: Any) -> None:
    answer = api("POST", f"/apps/{APP}/secret", {"secret": NEW})
    shown = answer.text + api("GET", "/apps").text
    assert NEW not in shown
    assert page.secret not in shown
    kept = b"".join(bytes(each) for each in row("SELECT secret_sealed, previous_secret_sealed FROM app"))
    assert NEW.encode() not in kept
    assert page.secret.encode() not in kept


def test_a_mistyped_secret_is_taken_back_and_the_one_before_verifies_alone(
    page: Any, deliver: Any, say: Any, api: Any, refused: Any, row: Any
) -> None:
    api("POST", f"/apps/{APP}/secret", {"secret": NEW})
    left = api("DELETE", f"/apps/{APP}/newest-secret").json()
    assert (left["secrets"], left["proves_with_previous"]) == (1, False)
    refused(secret=NEW)
    assert deliver(say("7")).json()["received"] == 1
    assert api("DELETE", f"/apps/{APP}/newest-secret").status_code == 409
    assert row("SELECT array_agg(action ORDER BY id) FROM audit_entry WHERE subject = 'app:900100'")[0] == [
        "app.add_secret", "app.undo_secret",
    ]  # fmt: skip


def test_requests_are_proven_with_the_older_secret_until_the_platform_refuses_it(page: Any, api: Any) -> None:
    def proves() -> bytes | None:
        with database.session() as session:
            return app_secrets(session)[page.app_id]

    api("POST", f"/apps/{APP}/secret", {"secret": NEW})
    assert proves() == page.secret.encode()
    now = clock.now()
    with database.session() as session:
        assert not stop_page(session, page.id, "bad_proof", now)
    assert proves() == NEW.encode()
    with database.session() as session:
        # Proven before the turn, answered after it.
        assert not stop_page(session, page.id, "bad_proof", now + 10)
        assert get_page(session, page.external_id).stopped_at is None
    with database.session() as session:
        # Refused as well: now nobody knows a secret that works.
        assert stop_page(session, page.id, "bad_proof", now + 60)
    assert api("GET", "/apps").json()["items"][0]["proves_with_previous"] is False


def test_with_one_secret_a_refused_proof_stops_the_page(page: Any) -> None:
    with database.session() as session:
        assert stop_page(session, page.id, "bad_proof", clock.now())


def test_a_change_that_cannot_be_is_refused(page: Any, api: Any) -> None:
    assert api("POST", "/apps/1/secret", {"secret": NEW}).status_code == 404
    assert api("DELETE", f"/apps/{APP}/previous-secret").status_code == 409
    assert api("POST", f"/apps/{APP}/secret", {"secret": page.secret}).status_code == 422
    assert api("POST", f"/apps/{APP}/secret", {"secret": NEW[:15]}).status_code == 422
    assert api("POST", f"/apps/{APP}/secret", {"secret": NEW}).status_code == 200
    third = api("POST", f"/apps/{APP}/secret", {"secret": "e1fa" * 8})
    assert (third.status_code, third.json()["way_out"]) == (409, "retire the older one first")


def test_a_page_of_the_app_may_be_registered_with_either_secret(page: Any, api: Any) -> None:
    api("POST", f"/apps/{APP}/secret", {"secret": NEW})
    for external_id, secret in (("1", NEW), ("2", page.secret)):
        given = {
            "external_id": external_id, "name": "Other", "token": "EAAtoken", "app_external_id": APP,
            "app_secret": secret, "verify_token": "letmein-8461",
        }  # fmt: skip
        assert api("POST", "/pages", given).status_code == 201


def test_a_flood_that_nobody_signed_takes_one_connection_at_most(page: Any, deliver: Any, say: Any) -> None:
    at_once, most = 0, 0

    def begins(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        nonlocal at_once, most
        at_once += "secret_sealed" in statement
        most = max(most, at_once)

    def ends(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        nonlocal at_once
        at_once -= "secret_sealed" in statement

    engine = database.engine("webhook")
    event.listen(engine, "before_cursor_execute", begins)
    event.listen(engine, "after_cursor_execute", ends)
    try:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: deliver(say("7"), secret=NEW).status_code, range(64)))
    finally:
        event.remove(engine, "before_cursor_execute", begins)
        event.remove(engine, "after_cursor_execute", ends)
    assert set(answers) == {401}
    assert most == 1


def test_the_command_line_changes_a_secret(page: Any, deliver: Any, say: Any, refused: Any) -> None:
    run = CliRunner().invoke
    added = run(duly, ["app", "add-secret", APP], env={"APP_SECRET": NEW})
    assert added.exit_code == 0, added.output
    assert NEW not in added.output
    assert deliver(say("7"), secret=NEW).status_code == 200
    assert '"secrets": 2' in run(duly, ["app", "list", "--json"]).output
    assert run(duly, ["app", "retire-secret", APP]).exit_code == 0
    refused()
    assert APP in run(duly, ["app", "list"]).output
