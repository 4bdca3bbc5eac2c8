from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.store import database


@pytest.fixture
def put(page: Any, api: Any) -> Any:
    """``put("7", timezone="Europe/Berlin")``: PUT the contact."""
    return lambda psid, /, **known: api("PUT", f"/pages/{page.external_id}/contacts/{psid}", known)


def test_a_contact_is_made_then_changed(put: Any, page: Any, api: Any) -> None:
    made = put("7", timezone="America/New_York", country="us", region="us-ny", locale="pt-br", first_name="Ana")
    assert made.status_code == 201
    changed = put("7", country="CA", region="CA-NL", timezones=["America/St_Johns", "America/Goose_Bay"])
    assert changed.status_code == 200
    read = api("GET", f"/pages/{page.external_id}/contacts/7").json()
    assert read == changed.json()
    assert read["timezones"] == ["America/St_Johns", "America/Goose_Bay"]
    assert (read["timezones_source"], read["country"], read["region"]) == ("api", "CA", "CA-NL")
    assert (read["locale"], read["first_name"], read["held_at"]) == ("pt_BR", "Ana", None)
    assert read["created_at"].endswith("Z")


def test_null_forgets_and_what_is_left_out_stays(put: Any) -> None:
    put("7", timezone="Asia/Tokyo", country="JP", attributes={"tier": "gold", "points": 12})
    read = put("7", timezone=None).json()
    assert (read["timezones"], read["timezones_source"], read["country"]) == ([], None, "JP")
    assert read["attributes"] == {"tier": "gold", "points": 12}
    assert put("7", attributes={"tier": "silver"}).json()["attributes"] == {"tier": "silver"}


@pytest.mark.parametrize(
    ("known", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),  # no such zone
        ({"timezone": "EST5EDT4"}, "timezone"),  # a rule, not a name
        ({"timezone": ""}, "timezone"),  # nothing
        ({"timezone": "UTC", "timezones": ["UTC"]}, "timezone"),  # twice
        ({"timezones": ["Europe/Berlin", "Nowhere"]}, "timezones.1"),  # the second
        ({"timezones": "Europe/Berlin"}, "timezones"),  # not a list
        ({"timezones": ["UTC"] * 17}, "timezones"),  # no evidence of anything
        ({"country": "ZZ"}, "country"),  # no such country
        ({"country": "Germany"}, "country"),  # a name
        ({"region": "Florida"}, "region"),  # a name
        ({"region": "ZZ-FL"}, "region"),  # no such country
        ({"country": "CA", "region": "US-FL"}, "region"),  # elsewhere
        ({"locale": "english"}, "locale"),  # a word
        ({"name": 5}, "name"),  # not text
        ({"name": "a\u0000b"}, "name"),  # cannot be stored
        ({"first_name": "x" * 501}, "first_name"),  # too long
        ({"attributes": {"a b": 1}}, "attributes.a b"),  # no name for a variable
        ({"attributes": {"a": "\u0000"}}, "attributes.a"),  # cannot be stored
        ({"attributes": {f"a{n}": 1 for n in range(51)}}, "attributes"),  # too many
        ({"attributes": [1]}, "attributes"),  # not an object
        ({"psid": "8"}, "psid"),  # not a field
    ],
)
def test_what_cannot_be_true_is_refused_and_nothing_kept(put: Any, row: Any, known: dict[str, Any], field: str) -> None:
    answer = put("7", **known)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["way_out"]
    assert row("SELECT count(*) FROM contact")[0] == 0


def test_a_number_that_is_none_is_refused(api: Any, page: Any) -> None:
    path = f"/pages/{page.external_id}/contacts/7"
    answer = api("PUT", path, content=b'{"attributes": {"a": 1e999}}', content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "body")
    assert "`1e999`" in answer.json()["detail"]


def test_a_stored_region_and_a_new_country_must_agree(put: Any) -> None:
    put("7", country="US", region="US-FL")
    answer = put("7", country="CA")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "region")
    assert put("7", country="CA", region=None).status_code == 200


def test_unknown_pages_and_people_are_not_found(page: Any, api: Any) -> None:
    assert api("PUT", "/pages/999/contacts/7", {}).status_code == 404
    assert api("GET", f"/pages/{page.external_id}/contacts/7").json()["code"] == "not_found"
    assert api("PUT", f"/pages/{page.external_id}/contacts/%00", {}).status_code == 422
    assert api("GET", "/pages/%00").status_code == 404


def test_somebody_held_shows_why_and_is_released_by_a_person(
    page: Any, api: Any, deliver: Any, happen: Any, row: Any
) -> None:
    deliver(happen("7", message={"mid": "m", "text": 5}))
    path = f"/pages/{page.external_id}/contacts/7"
    held = api("GET", path).json()
    assert held["held_at"] is not None
    assert [(each["kind"], each["error"]) for each in held["held_because"]] == [("message", "text is not text")]
    assert api("POST", f"{path}/release").json()["held_at"] is None
    assert api("POST", f"{path}/release").status_code == 200
    assert row("SELECT count(*), min(actor) FROM audit_entry WHERE action = 'contact.release'") == (1, "tests")


def test_an_operator_records_what_somebody_wants(
    page: Any, api: Any, put: Any, row: Any, opted_out: Any, deliver: Any, say: Any
) -> None:
    put("7")
    path = f"/pages/{page.external_id}/contacts/7"
    shown = api("POST", f"{path}/opt-out", {"topic": "sales"}).json()["suppressions"]
    assert [(each["reason"], each["topic"]) for each in shown] == [("opted_out", "sales")]
    assert not opted_out("7")
    assert api("POST", f"{path}/opt-out").status_code == 200
    assert opted_out("7")
    assert row("SELECT source, actor, topic FROM consent_record ORDER BY id DESC") == ("operator", "tests", None)
    assert len(api("POST", f"{path}/opt-in", {"topic": "sales"}).json()["suppressions"]) == 1
    assert api("POST", f"{path}/opt-in", {}).json()["suppressions"] == []
    actions = row("SELECT array_agg(action ORDER BY id) FROM audit_entry WHERE subject LIKE 'contact:%'")[0]
    assert actions == ["contact.opt_out", "contact.opt_out", "contact.opt_in", "contact.opt_in"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"topic": ""}, "topic"), ({"topic": 5}, "topic"), ({"tag": "HUMAN_AGENT"}, "tag"), ([], "body")],
)
def test_a_choice_that_cannot_be_understood_changes_nothing(
    page: Any, api: Any, put: Any, row: Any, body: object, field: str
) -> None:
    put("7")
    for choice in ("opt-out", "opt-in"):
        answer = api("POST", f"/pages/{page.external_id}/contacts/7/{choice}", body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert row("SELECT count(*) FROM consent_record")[0] == 0


def test_an_operator_takes_a_conversation_and_gives_it_back(page: Any, api: Any, put: Any, row: Any) -> None:
    put("7")
    path = f"/pages/{page.external_id}/contacts/7"
    for _ in range(2):
        taken = api("POST", f"{path}/handover").json()
        assert (taken["handover_at"] is not None, taken["handover_by"]) == (True, "operator")
    for _ in range(2):
        assert api("POST", f"{path}/handback").json()["handover_at"] is None
    assert row("SELECT array_agg(action ORDER BY id) FROM audit_entry WHERE subject LIKE 'contact:%'")[0] == [
        "contact.handover", "contact.handback",
    ]  # fmt: skip
    for verb in ("handover", "handback", "opt-out", "opt-in", "release"):
        assert api("POST", f"/pages/{page.external_id}/contacts/8/{verb}").status_code == 404
        assert api("POST", f"/pages/999/contacts/7/{verb}").status_code == 404


def test_those_for_whom_a_person_is_needed_are_found(
    page: Any, api: Any, deliver: Any, say: Any, happen: Any, put: Any
) -> None:
    deliver(say("7"), happen("8", message={"mid": "m", "text": 5}), {"postback": {"payload": "x"}})
    put("9")
    path = f"/pages/{page.external_id}/contacts"
    api("POST", f"{path}/9/handover")

    def listed(query: str = "") -> list[str]:
        return [each["psid"] for each in api("GET", path + query).json()["items"]]

    assert listed() == ["9", "8", "7"]
    assert (listed("?waiting=held"), listed("?waiting=handover")) == (["8"], ["9"])
    first = api("GET", f"{path}?limit=2").json()
    assert [each["psid"] for each in first["items"]] == ["9", "8"]
    assert listed(f"?limit=2&cursor={first['next_cursor']}") == ["7"]
    assert api("GET", f"{path}?waiting=no").json()["errors"][0]["field"] == "waiting"
    assert api("GET", "/pages/999/contacts").status_code == 404
    failed = api("GET", "/failed-events").json()["items"]
    assert [(each["psid"], each["error"]) for each in failed] == [
        (None, "it names no person"),
        ("8", "text is not text"),
    ]
    assert {each["page"] for each in failed} == {page.external_id}
    one = api("GET", f"/failed-events?page={page.external_id}&limit=1").json()
    [rest] = api("GET", f"/failed-events?cursor={one['next_cursor']}").json()["items"]
    assert rest["psid"] == "8"
    assert api("GET", "/failed-events?page=999").status_code == 404


def test_opt_outs_show(page: Any, api: Any, deliver: Any, say: Any) -> None:
    deliver(say("7", "STOP"))
    found = api("GET", f"/pages/{page.external_id}/contacts/7").json()["suppressions"]
    assert [(each["reason"], each["topic"]) for each in found] == [("opted_out", None)]


def test_new_evidence_wakes_what_waits_and_the_same_again_does_not(put: Any, page: Any, row: Any) -> None:
    put("7", country="US")
    waiting = text(
        "WITH t AS (INSERT INTO template (page_id, name, version, category, default_locale, bodies, utility_approved, "
        "created_at) VALUES (:page, 't', 1, 'promotional', 'en', '{}', false, 1) RETURNING id) "
        "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, attempts, crashes, "
        "created_at) SELECT :page, c.id, t.id, 'promotional', 'promotional', 'scheduled', 1, 0, 0, 1 FROM contact c, t"
    )
    with Session(database.engine()) as session:
        session.connection().execute(waiting, {"page": page.id})
        session.commit()
    put("7", country="US", name="Ana")
    assert row("SELECT state FROM message")[0] == "scheduled"
    put("7", timezone="America/Chicago")
    assert row("SELECT state, due_at <= :now FROM message", now=clock.now()) == ("due", True)


@pytest.mark.parametrize("psid", ["%20123%20", "1%202", "%C3%A4", "x" * 129])
def test_an_id_in_a_path_that_is_none_is_told_in_plain_words(api: Any, page: Any, psid: str) -> None:
    for method, body in (("PUT", {"country": "DE"}), ("PATCH", {}), ("GET", None)):
        answer = api(method, f"/pages/{page.external_id}/contacts/{psid}", body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        [error] = answer.json()["errors"]
        assert error["field"] == "psid"
        assert error["message"].startswith("is not an id: an id is up to 128 letters")
        assert "7000000000000001" in error["way_out"]
        assert "A-Za-z" not in answer.text


@pytest.mark.parametrize("method", ["PUT", "PATCH", "GET", "DELETE", "POST"])
def test_an_empty_id_is_an_error_and_leads_nowhere_else(api: Any, page: Any, method: str) -> None:
    body = {"country": "DE"} if method in ("PUT", "PATCH") else None
    answer = api(method, f"/pages/{page.external_id}/contacts/", body, follow_redirects=False)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    if method in ("PUT", "PATCH"):
        assert (answer.status_code, answer.json()["detail"]) == (422, "psid: is empty")


def test_what_is_odd_is_told_at_once_and_later(api: Any, page: Any) -> None:
    address = f"/pages/{page.external_id}/contacts/7000000000000055"
    put = api("PUT", address, {"country": "US", "timezone": "Asia/Tokyo"}).json()
    assert put["warnings"]
    assert put["warnings"] == [f"place: {remark}" for remark in put["zone_candidates"]["remarks"]]
    read = api("GET", address).json()
    assert (read["warnings"], read["zone_candidates"]) == (put["warnings"], put["zone_candidates"])
    better = api("PATCH", address, {"timezone": "America/New_York"}).json()
    assert better["warnings"] == api("GET", address).json()["warnings"] == []
