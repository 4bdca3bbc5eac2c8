from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.pages.registry import get_page, page_token
from scheduler.store import database

NEW = {
    "external_id": "555",
    "name": "Café Nord",
    "token": "EAAsecret",
    "app_external_id": "900200",
    "app_secret": "f1ce" * 8,
    "verify_token": "verify-me",
}


def test_a_page_starts_in_mode_test_under_the_default_policy(api: Any, row: Any) -> None:
    answer = api("POST", "/pages", NEW)
    assert answer.status_code == 201
    page = answer.json()
    assert (page["external_id"], page["name"], page["mode"], page["rate"]) == ("555", "Café Nord", "test", 30)
    assert not {"token", "app_secret", "verify_token"} & page.keys()
    assert row("SELECT v.name FROM policy_activation a JOIN policy_version v ON v.version = a.version")[0] == "default"
    assert row("SELECT actor FROM audit_entry WHERE action = 'page.add'")[0] == "tests"


def test_secrets_lie_sealed(api: Any, row: Any) -> None:
    api("POST", "/pages", NEW)
    kept = row("SELECT token_sealed, secret_sealed, verify_token_sealed FROM page JOIN app ON app.id = app_id")
    assert not any(NEW[name].encode() in bytes(sealed) for sealed in kept for name in ("token", "app_secret"))
    with database.session() as session:
        assert page_token(get_page(session, "555")) == "EAAsecret"


def test_a_page_is_registered_once_and_an_app_has_one_secret(api: Any, row: Any) -> None:
    api("POST", "/pages", NEW)
    again = api("POST", "/pages", NEW)
    assert (again.status_code, again.json()["errors"][0]["field"]) == (409, "external_id")
    other = api("POST", "/pages", {**NEW, "external_id": "556", "app_secret": "e1fa" * 8})
    assert (other.status_code, other.json()["errors"][0]["field"]) == (409, "app_secret")
    assert api("POST", "/pages", {**NEW, "external_id": "556"}).status_code == 201
    assert row("SELECT count(*) FROM page")[0] == 2


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"mode": "wild"}, "mode"),  # no such mode
        ({"rate": 40}, "rate"),  # freezes the inbox
        ({"rate": 0}, "rate"),  # sends nothing
        ({"external_id": "a b"}, "external_id"),  # no id
        ({"token": ""}, "token"),  # nothing
        ({"token": "a\nb"}, "token"),  # a copy that went wrong
        ({"token": "t"}, "token"),  # a piece of one
        ({"app_secret": "s"}, "app_secret"),  # whoever guesses it opts people in and out
        ({"app_secret": "your-app-secret-here"}, "app_secret"),  # copied from a guide
        ({"verify_token": "v"}, "verify_token"),
        ({"external_id": ".."}, "external_id"),  # no address could name it
        ({"rate": True}, "rate"),
        ({"name": "\u0000"}, "name"),  # cannot be stored
        ({"colour": "red"}, "colour"),  # not a field
    ],
)
def test_what_a_page_cannot_be_is_refused(api: Any, row: Any, given: dict[str, Any], field: str) -> None:
    answer = api("POST", "/pages", {**NEW, **given})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "EAAsecret" not in answer.text
    assert row("SELECT (SELECT count(*) FROM page) + (SELECT count(*) FROM app)")[0] == 0


def test_a_page_changes_and_the_audit_says_who_did_it(api: Any, row: Any) -> None:
    api("POST", "/pages", NEW)
    changed = api("PATCH", "/pages/555", {"mode": "live", "rate": 10, "allow": ["1", "2", "1"]}).json()
    assert (changed["mode"], changed["rate"], changed["allowed"]) == ("live", 10, ["1", "2"])
    assert api("PATCH", "/pages/555", {"disallow": ["1"]}).json()["allowed"] == ["2"]
    assert api("GET", "/pages/555").json()["allowed"] == ["2"]
    assert [page["external_id"] for page in api("GET", "/pages").json()["items"]] == ["555"]
    actions = row("SELECT array_agg(action ORDER BY id) FROM audit_entry WHERE action LIKE 'page.%'")[0]
    assert actions == ["page.add", "page.allow", "page.mode", "page.rate", "page.disallow"]
    assert api("PATCH", "/pages/555", {"mode": "wild"}).status_code == 422
    assert api("PATCH", "/pages/999", {"mode": "live"}).status_code == 404


def test_a_secret_is_checked_by_whatever_way_it_comes(
    api: Any, row: Any, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    api("POST", "/pages", NEW)
    app_id = NEW["app_external_id"]
    for given in ("s", "x" * 32, "changeme-changeme"):
        assert api("POST", f"/apps/{app_id}/secret", {"secret": given}).json()["errors"][0]["field"] == "secret"
        assert api("PATCH", "/pages/555", {"token": given[:7]}).json()["errors"][0]["field"] == "token"
        monkeypatch.setenv("APP_SECRET", given)
        monkeypatch.setenv("PAGE_TOKEN", "EAAtoken")
        monkeypatch.setenv("VERIFY_TOKEN", "letmein-8461")
        for words in (
            ["app", "add-secret", app_id], ["secrets", "rotate", "--app", app_id],
            ["page", "add", "556", "--name", "Nord", "--app", "901"],
        ):  # fmt: skip
            ended = CliRunner().invoke(app, words)
            assert (ended.exit_code, given in ended.output.split()) == (2, False), ended.output
    assert row("SELECT count(*) FROM page")[0] == 1
    assert row("SELECT count(*) FROM app WHERE previous_secret_sealed IS NOT NULL")[0] == 0


def test_the_command_line_registers_lists_and_changes_pages(
    database_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def duly(*words: str, **more: Any) -> Any:
        return CliRunner().invoke(app, list(words), **more)

    token = tmp_path / "token"
    token.write_text("EAAfromfile\n")
    monkeypatch.setenv("APP_SECRET", "f1ce" * 8)
    added = duly(
        "page", "add", "555", "--name", "Nord", "--app", "900", "--token-file", str(token), input="verify-me\n"
    )
    assert added.exit_code == 0, added.output
    # What is typed at a prompt is not shown, and nothing secret is.
    assert not {"EAAfromfile", "verify-me", "f1ce" * 8} & set(added.output.split())
    assert json.loads(duly("page", "list", "--json").stdout)[0]["mode"] == "test"
    assert json.loads(duly("page", "allow", "555", "1", "2", "--json").stdout) == ["1", "2"]
    assert duly("page", "mode", "555", "live").exit_code == 0
    wild = duly("page", "mode", "555", "wild")
    assert (wild.exit_code, "use test or live" in wild.output) == (2, True)
    assert duly("page", "mode", "556", "live").exit_code == 4
    assert json.loads(duly("page", "list", "--json").stdout)[0]["mode"] == "live"
    with database.session() as session:
        assert page_token(get_page(session, "555")) == "EAAfromfile"


def test_the_command_line_makes_lists_and_revokes_keys(database_url: str) -> None:
    def duly(*words: str) -> Any:
        return CliRunner().invoke(app, list(words))

    key = duly("key", "create", "shop").stdout.strip()
    assert key.startswith("duly_")
    listed = json.loads(duly("key", "list", "--json").stdout)
    assert [(each["name"], each["revoked_at"]) for each in listed] == [("shop", None)]
    assert key not in duly("key", "list").output
    assert duly("key", "revoke", "shop").exit_code == 0
    assert json.loads(duly("key", "list", "--json").stdout)[0]["revoked_at"] is not None
    assert duly("key", "revoke", "nobody").exit_code == 4
    assert duly("key", "create", "a b").exit_code == 2
