"""Policies over REST: activate, look before, read what decides, its history, and how it meets one person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policies.policy import load_policy
from tests.integration.front.conftest import PAGE, Registered

DEFAULT, BARE = load_policy("default").version, load_policy("platform-only").version
MINE = """
[policy]
name = "our-shop"
extends = "default"

[[permitted_hours]]
id = "house"
applies_to = ["promotional"]
daily = [["09:00", "20:00"]]

[[minimum_gap]]
id = "breath"
between = "6h"
"""

Api = Callable[..., Any]
POLICY = f"/pages/{PAGE}/policy"


def test_a_new_page_has_the_default_policy(api: Api, page: Registered) -> None:
    found = api("GET", POLICY).json()
    assert (found["name"], found["version"], found["activated_by"]) == ("default", DEFAULT, "operator")
    assert found["document"] == load_policy("default").document


def test_activating_a_document_says_what_it_changed_and_leaves_it_on_record(
    api: Api, page: Registered, set_environment: Callable[..., None]
) -> None:
    # However slow the machine is, the search ends by itself.
    set_environment(DULY_LOOK_AHEAD="600")
    looked = api("POST", POLICY, {"document": MINE, "why": "just looking", "dry_run": True})
    assert looked.status_code == 200
    assert api("GET", POLICY).json()["version"] == DEFAULT
    done = api("POST", POLICY, {"document": MINE, "why": "quieter evenings", "expected_version": DEFAULT[:12]})
    assert done.status_code == 201
    assert {**looked.json(), "activated": True} == done.json()
    said = done.json()
    assert (said["name"], said["previous"], said["previous_name"], said["waiting"]) == (
        "our-shop",
        DEFAULT,
        "default",
        0,
    )
    assert [(each["clause"], each["kind"], each["effect"], each["search"]) for each in said["changes"]] == [
        ("policy.name", "changed", None, "not_searched"),
        ("permitted_hours.house", "changed", "stricter", "complete"),
        ("minimum_gap.breath", "added", "stricter", "complete"),
    ]
    assert (said["effect"], said["search"], said["search_note"]) == ("stricter", "complete", None)
    [newest, first] = api("GET", f"{POLICY}/history").json()["items"]
    assert (newest["version"], newest["activated_by"], newest["why"]) == (said["version"], "tests", "quieter evenings")
    assert [each["clause"] for each in newest["changes"]][1:] == ["permitted_hours.house", "minimum_gap.breath"]
    assert (first["previous"], first["changes"]) == (None, None)
    stored = api("GET", f"/policies/{said['version'][:10]}").json()
    assert (stored["name"], stored["pages"]) == ("our-shop", [PAGE])
    assert "extends" not in stored["document"]
    listed = api("GET", "/policies").json()
    assert {each["version"]: each["pages"] for each in listed["items"]} == {said["version"]: [PAGE], DEFAULT: []}


def test_a_look_ahead_that_was_cut_short_says_so(
    api: Api, page: Registered, set_environment: Callable[..., None]
) -> None:
    set_environment(DULY_LOOK_AHEAD="0")
    seen = api("POST", POLICY, {"document": MINE, "why": "just looking", "dry_run": True}).json()
    assert [(each["effect"], each["search"]) for each in seen["changes"]] == [
        (None, "not_searched"), (None, "cut_short"), (None, "cut_short"),
    ]  # fmt: skip
    assert (seen["effect"], seen["search"]) == (None, "cut_short")
    assert "stopped after 0 seconds" in seen["search_note"]


def test_lists_go_on_where_they_ended(api: Api, page: Registered) -> None:
    for name in ("platform-only", "default"):
        assert api("POST", POLICY, {"builtin": name, "why": "back and forth"}).status_code == 201
    for path, count in ((f"{POLICY}/history", 3), ("/policies", 2)):
        seen: list[Any] = []
        cursor = ""
        while True:
            got = api("GET", f"{path}?limit=1{cursor}").json()
            seen += got["items"]
            if got["next_cursor"] is None:
                break
            cursor = f"&cursor={got['next_cursor']}"
        assert seen == api("GET", path).json()["items"]
        assert len(seen) == count


@pytest.mark.parametrize(
    ("body", "status", "field", "said"),
    [
        ({"builtin": "platform-only"}, 422, "why", "field required"),
        ({"builtin": "platform-only", "why": ""}, 422, "why", "at least 1 character"),
        ({"builtin": "platform-only", "why": "   "}, 422, "why", "has nothing in it"),
        ({"builtin": "platform-only", "why": "x" * 501}, 422, "why", "at most 500"),
        ({"why": "w"}, 422, "document", "one of document and builtin"),
        ({"why": "w", "builtin": "default", "document": MINE}, 422, "document", "one of document and builtin"),
        ({"why": "w", "builtin": "mine"}, 422, "builtin", "not a built-in policy"),
        (
            {"why": "w", "document": "[policy]\nname = 1\n"},
            422,
            "document",
            "document:2: `policy.name`: must be a text",
        ),
        ({"why": "w", "document": '[policy]\nname = "x"\nextends = "y.toml"'}, 422, "document", "is a file"),
        ({"why": "w", "document": "x" * 70_000}, 422, "document", "65536"),
        ({"why": "w", "builtin": "default"}, 409, "policy", "in force already"),
        ({"why": "w", "builtin": "default", "dry_run": True}, 409, "policy", "in force already"),
        (
            {"why": "w", "builtin": "platform-only", "expected_version": BARE},
            409,
            "expected_version",
            "is in force, not",
        ),
        ({"why": "w", "builtin": "platform-only", "expected_version": "%"}, 422, "expected_version", "is not a hash"),
        ({"why": "w", "builtin": "platform-only", "actor": "eve"}, 422, "actor", "is not a field"),
    ],
)
def test_what_cannot_be_activated_is_a_problem_that_names_its_place(
    api: Api, page: Registered, body: dict[str, Any], status: int, field: str, said: str
) -> None:
    answer = api("POST", POLICY, body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert said.lower() in error["message"].lower()
    assert api("GET", POLICY).json()["version"] == DEFAULT


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/pages/nobody/policy", 404),
        ("/pages/nobody/policy/history", 404),
        (f"/pages/{PAGE}/contacts/404/policy", 404),
        (f"/pages/{PAGE}/contacts/404/policy?at=noon", 422),
        ("/policies/00000000", 404),
        ("/policies/default", 422),
        ("/policies?cursor=1", 422),
        (f"{POLICY}/history?cursor=x", 422),
        (f"{POLICY}/history?limit=0", 422),
    ],
)
def test_what_is_not_there_is_a_problem(api: Api, page: Registered, path: str, status: int) -> None:
    answer = api("GET", path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_a_key_is_needed(client: Any, page: Registered) -> None:
    for method, path in (("GET", POLICY), ("POST", POLICY), ("GET", f"{POLICY}/history"), ("GET", "/policies")):
        assert client.request(method, f"/api/v1{path}").status_code == 401


def test_the_policy_for_one_person_names_each_text_with_its_source(api: Api, page: Registered) -> None:
    api("PUT", f"/pages/{PAGE}/contacts/7", {"region": "US-FL", "timezone": "America/New_York"})
    found = api("GET", f"/pages/{PAGE}/contacts/7/policy").json()
    assert (found["policy"], found["version"], found["mode"]) == ("default", DEFAULT, "courtesy")
    assert (found["zones"], found["evidence"]) == (["America/New_York"], "timezone")
    assert [(each["code"], each["has_pack"]) for each in found["jurisdictions"]] == [("US-FL", True), ("US", True)]
    texts = {each["id"]: each for each in found["binding"]}
    florida = texts["US-FL.us-fl-hours"]
    assert florida["jurisdiction"] == "US-FL"
    assert florida["basis"] == "statute"
    assert florida["citation"]
    assert florida["checked"]
    assert florida["confidence"] == "high"
    assert "sms" in florida["channels"]
    assert florida["sources"]
    assert texts["permitted_hours.house"]["basis"] == "house"
    assert texts["platform.standard_window"]["categories"] == ["promotional", "utility", "service"]
    assert not texts["platform.recurring"]["holds"]
    assert "US.consent" in {each["id"] for each in found["not_binding"]}
    api("POST", POLICY, {"builtin": "platform-only", "why": "to compare"})
    bare = api("GET", f"/pages/{PAGE}/contacts/7/policy?at=2026-01-01T00:00:00Z").json()
    assert bare["policy"] == "platform-only"
    assert "US-FL.us-fl-hours" in {each["id"] for each in bare["not_binding"]}
    assert {each["id"]: each["holds"] for each in bare["binding"]}["platform.recurring"]
