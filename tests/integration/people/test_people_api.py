"""People over REST."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from scheduler.contacts.activity import count_activity
from scheduler.contacts.evidence import set_offset, state_zone
from scheduler.contacts.inbound import record_inbound
from scheduler.facts.interests import interests
from tests.integration.noon import DAY, NOON

CONTACTS = "/pages/555/contacts"


@pytest.fixture
def ada(session: Session, people: Any) -> int:
    """A contact of the page, psid p0."""
    return int(people(1)[0])


def test_a_contact_shows_its_evidence_and_what_follows_from_it(session: Session, ada: int, api: Any) -> None:
    assert api("GET", f"{CONTACTS}/p0").json()["zone_candidates"] | {"count": 0} == {
        "zones": [], "count": 0, "follow_from": "none", "words": "nothing tells: every zone there is",
        "jurisdictions": [], "remarks": [],
    }  # fmt: skip
    api("PATCH", f"{CONTACTS}/p0", {"country": "US"})
    found = api("GET", f"{CONTACTS}/p0").json()["zone_candidates"]
    assert (found["follow_from"], found["words"]) == ("country", "all zones of US")
    assert "America/Chicago" in found["zones"]
    assert len(found["zones"]) == found["count"]
    set_offset(session, ada, -300, NOON)
    session.commit()
    found = api("GET", f"{CONTACTS}/p0").json()["zone_candidates"]
    assert found["count"] == 3
    assert found["words"].startswith("the profile's offset UTC-05:00, and an hour")
    assert found["jurisdictions"] == ["US"]
    api("PUT", f"{CONTACTS}/p0", {"region": "US-FL"})
    assert api("GET", f"{CONTACTS}/p0").json()["zone_candidates"]["follow_from"] == "region"
    state_zone(session, ada, ["America/Chicago", "America/Denver"], source="import", now=NOON)
    session.commit()
    shown = api("GET", f"{CONTACTS}/p0").json()
    assert shown["zone_candidates"]["zones"] == ["America/Chicago", "America/Denver"]
    assert shown["zone_candidates"]["words"] == "one of the zones that source `import` names"
    state_zone(session, ada, ["America/New_York"], source="optin", now=NOON)
    session.commit()
    shown = api("GET", f"{CONTACTS}/p0").json()
    assert [(row["kind"], row["source"], row["value"], row["counts"]) for row in shown["evidence"]] == [
        ("zone", "optin", ["America/New_York"], True),
        ("zone", "import", ["America/Chicago", "America/Denver"], False),
        ("region", "api", ["US-FL"], True),
        ("offset", "profile", ["-300"], True),
        ("country", "api", ["US"], True),
    ]
    assert shown["evidence"][0]["observed_at"] == "2026-05-05T12:00:00Z"


def test_attributes_are_patched_or_replaced(ada: int, api: Any) -> None:
    first = {"tier": "gold", "points": 7, "vip": True, "since": "2024-02-29", "likes": ["a", "b"], "none": None}
    assert api("PUT", f"{CONTACTS}/p0", {"attributes": first}).json()["attributes"] == first
    patch = {"attributes": {"points": 8, "tier": None}, "name": "Ada"}
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = api("PATCH", f"{CONTACTS}/p0", patch, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["attributes"] == {
        "points": 8, "vip": True, "since": "2024-02-29", "likes": ["a", "b"], "none": None,
    }  # fmt: skip
    assert api("PUT", f"{CONTACTS}/p0", {"attributes": {"a": 1}}).json()["attributes"] == {"a": 1}
    assert api("PATCH", f"{CONTACTS}/p0", {"attributes": None}).json()["attributes"] == {}
    assert api("PATCH", f"{CONTACTS}/p0", {"name": None}).json()["name"] is None
    assert api("PATCH", f"{CONTACTS}/nobody", {"name": "x"}).status_code == 404
    refused = api("PATCH", f"{CONTACTS}/p0", {"attributes": {"when": "2026-02-31"}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "attributes.when"
    assert api("PATCH", f"{CONTACTS}/p0", {"attributes": {"a": {"b": 1}}}).status_code == 422


def test_templates_see_typed_attributes(session: Session, page: Any, ada: int, api: Any, template: Any) -> None:
    from scheduler.contacts.registry import get_contact
    from scheduler.content.render import render

    known = {"likes": ["shoes", "hats"], "vip": True, "points": 7, "since": "2024-02-29"}
    api("PUT", f"{CONTACTS}/p0", {"attributes": known})
    words = (
        "{{ contact.attributes.likes | join: ', ' }} {% if contact.attributes.vip %}!{% endif %} "
        "{{ contact.attributes.points | plus: 1 }} {{ contact.attributes.since }}"
    )
    made = render(template("typed", words), get_contact(session, page.id, "p0"), page, {})
    assert made.text == "shoes, hats ! 8 2024-02-29"


def test_names_are_added_shown_and_removed(session: Session, people: Any, api: Any, rows: Any) -> None:
    people(2)
    added = api("POST", f"{CONTACTS}/p0/identities", {"kind": "phone", "value": "+49 30 901820"})
    assert added.status_code == 200, added.text
    assert [(row["kind"], row["value"]) for row in added.json()["items"]] == [("phone", None)]
    assert (added.json()["events"], added.json()["had_by"]) == (0, None)
    api("POST", f"{CONTACTS}/p0/identities", {"kind": "crm_id", "value": "C-7"})
    told = {"kind": "order.placed", "key": "k1", "data": {"order": "1", "email": "ada@b.co"}}
    waiting = api("POST", "/pages/555/events", told)
    assert (waiting.status_code, waiting.json()["matched"], waiting.json()["data"]) == (202, 0, {"order": "1"})
    mailed = api("POST", f"{CONTACTS}/p0/identities", {"kind": "email", "value": "Ada@B.co"})
    assert mailed.json()["events"] == 1
    assert api("POST", "/pages/555/events", told).json()["matched"] == 1
    assert api("POST", f"{CONTACTS}/p1/identities", {"kind": "crm_id", "value": "C-7"}).json()["had_by"] == "p0"
    gone = api("POST", f"{CONTACTS}/p0/identities/remove", {"kind": "email", "value": "ada@b.co"})
    assert [row["kind"] for row in gone.json()["items"]] == ["phone"]
    again = api("POST", f"{CONTACTS}/p0/identities/remove", {"kind": "email", "value": "ada@b.co"})
    assert again.status_code == 404
    bad = api("POST", f"{CONTACTS}/p0/identities", {"kind": "phone", "value": "030 90"})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "value")
    assert "901820" not in str(rows("SELECT * FROM audit_entry"))


def test_a_merge_is_previewed_done_and_done_once(session: Session, people: Any, message: Any, api: Any) -> None:
    (old, _new) = people(2)
    waiting = message(old)
    preview = api("POST", f"{CONTACTS}/p0/merge", {"into": "p1", "preview": True}).json()
    assert (preview["preview"], preview["changes"], preview["moved"]) == (True, True, [waiting])
    assert api("GET", f"{CONTACTS}/p0").json()["merged_into"] is None
    done = api("POST", f"{CONTACTS}/p0/merge", {"into": "p1"})
    assert done.status_code == 200, done.text
    assert done.json() == preview | {"preview": False}
    assert api("GET", f"{CONTACTS}/p0").json()["merged_into"] == "p1"
    assert not api("POST", f"{CONTACTS}/p0/merge", {"into": "p1"}).json()["changes"]
    assert api("POST", f"{CONTACTS}/p1/merge", {"into": "p0"}).status_code == 422
    assert api("POST", f"{CONTACTS}/p1/merge", {"into": "p1"}).status_code == 422
    unknown = api("POST", f"{CONTACTS}/p1/merge", {"into": "p9"})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (404, "into")
    assert [row["psid"] for row in api("GET", CONTACTS).json()["items"]] == ["p1"]


def test_interests_rise_with_events_and_fall_with_time(session: Session, ada: int, api: Any) -> None:
    def tell(key: str, kind: str, sku: str, at: str = "2026-05-05T12:00:00Z", **more: str) -> None:
        data = {"sku": sku, "psid": "p0"} | more
        answer = api("POST", "/pages/555/events", {"kind": kind, "key": key, "data": data, "occurred_at": at})
        assert (answer.status_code, answer.json()["matched"]) == (202, 1), answer.text

    tell("1", "product.viewed", "hat", name="A hat")
    tell("2", "product.viewed", "hat")
    tell("3", "product.carted", "shoe", name="A shoe")
    tell("4", "product.viewed", "sock", at="2026-04-28T12:00:00Z")
    found = api("GET", f"{CONTACTS}/p0/interests").json()["items"]
    assert [(row["sku"], row["name"], row["kinds"], row["score"]) for row in found] == [
        ("shoe", "A shoe", ["carted"], 4.0), ("hat", "A hat", ["viewed"], 2.0), ("sock", None, ["viewed"], 0.5),
    ]  # fmt: skip
    assert len(api("GET", f"{CONTACTS}/p0/interests?limit=1").json()["items"]) == 1
    later = {each.sku: each.score for each in interests(session, [ada], NOON + 14 * DAY)[ada]}
    assert later == {"shoe": 2.0, "hat": 0.5, "sock": 0.125}


def test_activity_names_the_best_hour(session: Session, ada: int, api: Any) -> None:
    assert api("GET", f"{CONTACTS}/p0/activity").json()["best_hour"] is None
    state_zone(session, ada, ["Asia/Tokyo"], source="optin", now=NOON)
    count_activity(session, {ada: [NOON, NOON, NOON - 3600]}, NOON)
    session.commit()
    found = api("GET", f"{CONTACTS}/p0/activity").json()
    assert (found["best_hour"], found["local"], found["zones"]) == (21, True, ["Asia/Tokyo"])
    assert found["hours"][20:22] == [1000, 2000]


def test_the_agents_context(session: Session, page: Any, ada: int, api: Any, message: Any) -> None:
    record_inbound(session, ada, NOON - 3600, NOON)
    state_zone(session, ada, ["Asia/Tokyo"], source="optin", now=NOON)
    message(ada)
    session.commit()

    def tell(key: str, kind: str, at: str, **data: str) -> None:
        told = {"kind": kind, "key": key, "data": {"psid": "p0"} | data, "occurred_at": at}
        assert api("POST", "/pages/555/events", told).status_code == 202

    tell("1", "product.viewed", "2026-05-05T11:00:00Z", sku="hat", name="A hat")
    tell("2", "order.placed", "2026-05-01T11:00:00Z", order="100")
    tell("3", "order.placed", "2026-05-02T11:00:00Z", order="101")
    tell("4", "order.delivered", "2026-05-03T11:00:00Z", order="101")
    api("POST", f"{CONTACTS}/p0/opt-out", {"topic": "sales"})
    api("POST", f"{CONTACTS}/p0/handover")
    found = api("GET", f"{CONTACTS}/p0/context")
    assert found.status_code == 200, found.text
    shown = found.json()
    assert shown["local_time"] == "2026-05-05 21:00 JST"
    assert [row["sku"] for row in shown["products"]] == ["hat"]
    assert shown["order"] == {
        "number": "100", "state": "placed", "since": "2026-05-01T11:00:00Z", "carrier": None, "tracking": None,
    }  # fmt: skip
    assert [(row["reason"], row["topic"]) for row in shown["suppressions"]] == [("opted_out", "sales")]
    assert shown["window"] == {
        "open": True, "closes_at": "2026-05-06T11:00:00Z", "last_inbound_at": "2026-05-05T11:00:00Z",
    }  # fmt: skip
    assert shown["thread"] == {"owner": "operator", "since": "2026-05-05T12:00:00Z"}
    assert (shown["waiting"], shown["last_sent_at"], shown["consents"]) == (1, None, [])
    assert api("GET", f"{CONTACTS}/nobody/context").status_code == 404
