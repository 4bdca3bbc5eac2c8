"""Zones that nobody knows, zones that name no place, and countries by other codes: through webhook, API and CLI."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.store import database


@pytest.fixture
def known(page: Any, api: Any) -> Any:
    """``known("7", country="DE")``: PUT, and the answer."""
    return lambda psid, /, **said: api("PUT", f"/pages/{page.external_id}/contacts/{psid}", said)


@pytest.fixture
def stored_zone(known: Any) -> Any:
    """A contact whose zone an older or newer tzdata knew."""

    def store(psid: str, zone: str, **said: object) -> None:
        assert known(psid, timezone="Europe/Berlin", **said).status_code == 201
        with Session(database.engine()) as session:
            values = {"psid": psid, "zones": [zone]}
            session.connection().execute(text("UPDATE contact SET timezones = :zones WHERE psid = :psid"), values)
            session.connection().execute(
                text(
                    "UPDATE place_evidence SET value = :zones FROM contact "
                    "WHERE contact.id = contact_id AND psid = :psid AND kind = 'zone'"
                ),
                values,
            )
            session.commit()

    return store


@pytest.mark.parametrize(
    ("zone", "rule"), [("Europe/Atlantis", "everything"), ("Europe/Atlantis", "law"), ("UTC-5", "everything")]
)
def test_a_stored_zone_that_tzdata_does_not_know_is_in_nobodys_way(
    page: Any, api: Any, deliver: Any, say: Any, opted_out: Any, stored_zone: Any, row: Any, zone: str, rule: str
) -> None:
    stored_zone("7", zone, country="DE")
    with Session(database.engine()) as session:
        session.connection().execute(
            text("INSERT INTO consent_setting (page_id, opt_out_scope, changed_at) VALUES (:page, :rule, 1)"),
            {"page": page.id, "rule": rule},
        )
        session.commit()
    answer = deliver(say("7", "hello"), say("7", "STOP"))
    assert (answer.status_code, answer.json()["failed"]) == (200, 0)
    assert opted_out("7")
    read = api("GET", f"/pages/{page.external_id}/contacts/7")
    assert read.status_code == 200
    candidates = read.json()["zone_candidates"]
    assert (candidates["follow_from"], candidates["jurisdictions"]) == ("country", ["DE", "EU"])
    (remark,) = candidates["remarks"]
    assert remark.startswith(f"`{zone}` is not in tzdata ")
    assert api("GET", f"/pages/{page.external_id}/contacts/7/context").status_code == 200
    assert row("SELECT count(*) FROM contact_activity")[0] > 0
    # Somebody who knows better says so.
    put = api("PUT", f"/pages/{page.external_id}/contacts/7", {"timezone": "Europe/Vienna", "country": "AT"})
    assert (put.status_code, put.json()["zone_candidates"]["remarks"]) == (200, [])


def test_what_is_odd_about_a_place_shows(page: Any, known: Any) -> None:
    for psid, said, zones, remark in (
        ("1", {"timezone": "Asia/Tokyo", "country": "US"}, ["Asia/Tokyo"], "`Asia/Tokyo` is outside US"),
        ("2", {"timezone": "Etc/GMT-3", "country": "AR"}, None, "no clock in AR shows its offset UTC+03:00"),
        (
            "3",
            {"timezone": "est", "country": "US"},
            ["UTC-06:00", "UTC-05:00", "UTC-04:00"],
            "only the offset UTC-05:00",
        ),
    ):
        candidates = known(psid, **said).json()["zone_candidates"]
        assert zones is None or candidates["zones"] == zones
        (found,) = candidates["remarks"]
        assert remark in found
        shown = CliRunner().invoke(app, ["contact", "show", psid, "--page", page.external_id])
        assert shown.exit_code == 0, shown.output
        assert f"note: {found}" in shown.stdout.replace("\n", " ")
    assert "the offset that the stated zone comes to" in known("3").json()["zone_candidates"]["words"]


def test_countries_by_other_codes(known: Any) -> None:
    assert known("1", country="uk", region="UK-SCT").json()["region"] == "GB-SCT"
    assert known("2", country="EL").json()["country"] == "GR"
    kosovo = known("3", country="XK").json()
    assert (kosovo["country"], kosovo["zone_candidates"]["zones"]) == ("XK", ["Europe/Belgrade"])
    for code, instead in (("AN", "write BQ, CW or SX"), ("YU", "write RS"), ("ZZ", "leave it out")):
        (error,) = known("4", country=code).json()["errors"]
        assert (error["field"], instead in error["way_out"]) == ("country", True), error
    (error,) = known("4", timezone="GMT+2").json()["errors"]
    assert "is an offset, not an IANA time zone" in str(error)


def test_a_territory_is_kept_as_it_was_said_and_judged_by_its_own_zones(known: Any) -> None:
    for psid, said in (
        ("1", {"country": "FR", "region": "FR-974"}),
        ("2", {"country": "RE", "region": "fr-re"}),
        ("3", {"region": "FR-974"}),
    ):
        read = known(psid, **said).json()
        candidates = read["zone_candidates"]
        assert (candidates["zones"], candidates["follow_from"]) == (["Indian/Reunion"], "region")
        assert candidates["jurisdictions"] == ["FR-974", "RE", "FR", "EU"]
    assert known("4", country="RE").json()["zone_candidates"]["zones"] == ["Indian/Reunion"]
    (error,) = known("5", country="PR", region="US-FL").json()["errors"]
    assert error["field"] == "region"
