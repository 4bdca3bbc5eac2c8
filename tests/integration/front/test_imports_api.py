"""Files of contacts over REST and on the command line, applied by workers; and processes that are killed."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient
from typer.testing import CliRunner

from scheduler import clock
from scheduler.access.keys import create_key
from scheduler.cli.main import app
from scheduler.imports import registry
from scheduler.imports.tables import ContactImport
from scheduler.store import database
from workers.imports import import_a_while

DATA = "psid,Who,country\n1,Ana,BR\n2,=2+5,DE\n3,Li,Atlantis\n"


@pytest.fixture
def upload(client: TestClient, page: Any) -> Callable[..., Any]:
    """``upload("psid\\n1\\n")``: POST the file as the body."""
    with database.session() as session:
        key = create_key(session, "files", now=clock.now())

    def post(data: str | bytes, name: str = "people.csv") -> Any:
        return client.post(
            f"/api/v1/pages/{page.external_id}/imports?name={name}",
            content=data,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "text/csv"},
        )

    return post


@pytest.fixture
def duly(database_url: str) -> Callable[..., Any]:
    """``duly("contacts", "imports")``: run a command."""
    return lambda *words, **more: CliRunner().invoke(app, ["contacts", *map(str, words)], **more)


def _work() -> None:
    """What the workers' task does, until nothing is left."""
    while import_a_while(lambda: False)[1]:
        pass


def test_a_file_is_uploaded_mapped_validated_and_applied(upload: Any, api: Any, page: Any) -> None:
    answer = upload(DATA)
    assert answer.status_code == 201
    made = answer.json()["import"]
    assert (made["status"], made["rows"], made["mapping"]) == ("uploaded", 3, {"psid": "psid", "country": "country"})
    first = answer.json()["rows"][0]
    assert (first["line"], first["psid"], first["known"]) == (2, "1", {"country": "BR"})
    at = f"/imports/{made['id']}"
    mapped = api("PUT", f"{at}/mapping", {"columns": {"who": "name"}, "constants": {"locale": "en"}}).json()
    assert mapped["rows"][0]["known"] == {"name": "Ana", "country": "BR", "locale": "en"}
    assert api("POST", f"{at}/apply").status_code == 409
    assert api("POST", f"{at}/validate").json()["status"] == "validating"
    _work()
    seen = api("GET", at).json()
    assert (seen["status"], seen["checked"], seen["bad"]) == ("validated", 3, 1)
    assert seen["errors"] == [
        {
            "field": "country",
            "problem": "`Atlantis` is not an ISO 3166-1 country code",
            "severity": "error",
            "rows": 1,
            "first_line": 4,
        }
    ]
    refused = api("POST", f"{at}/apply")
    assert (refused.status_code, "1 of 3 rows have errors" in refused.json()["detail"]) == (409, True)
    assert api("POST", f"{at}/apply", {"skip_errors": True}).status_code == 202
    _work()
    done = api("GET", at).json()
    assert (done["status"], done["done"], done["counts"]["created"]) == ("applied", 3, 2)
    assert api("GET", f"/pages/{page.external_id}/contacts/2").json()["name"] == "=2+5"
    # What ended stays so.
    assert {api("POST", f"{at}/{verb}").status_code for verb in ("apply", "validate")} == {409}
    assert api("DELETE", at).status_code == 409
    assert [each["id"] for each in api("GET", "/imports?limit=1").json()["items"]] == [made["id"]]


def test_errors_and_exports_are_files_that_open_inert(upload: Any, api: Any, page: Any) -> None:
    made = upload("psid,country,attributes.x\n1,=HYPERLINK(1),@cmd\n2,BR,=1+1\n").json()["import"]
    seen_id = made["id"]
    at = f"/imports/{seen_id}"
    api("POST", f"{at}/validate")
    _work()
    wrong = api("GET", f"{at}/errors.csv")
    assert wrong.headers["content-type"].startswith("text/csv")
    assert wrong.headers["content-disposition"] == f'attachment; filename="import-{seen_id}-errors.csv"'
    (row,) = csv.DictReader(io.StringIO(wrong.text))
    assert (row["line"], row["column"], row["value"]) == ("2", "country", "'=HYPERLINK(1)")
    assert row["allowed"] == "an ISO 3166-1 code of two letters, like US or DE"
    api("POST", f"{at}/apply", {"skip_errors": True})
    _work()
    out = api("GET", f"/pages/{page.external_id}/contacts.csv")
    (person,) = csv.DictReader(io.StringIO(out.text))
    assert (person["psid"], person["country"], person["attributes.x:text"]) == ("2", "BR", "'=1+1")
    (line,) = api("GET", f"/pages/{page.external_id}/contacts.jsonl").text.splitlines()
    assert json.loads(line)["attributes"] == {"x": "=1+1"}
    with database.session() as session:
        taken = session.execute(text("SELECT actor, detail FROM audit_entry WHERE action = 'contacts.export'")).all()
    assert [tuple(each) for each in taken] == [("tests", {"format": "csv"}), ("tests", {"format": "jsonl"})]


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        ("psid,name\n1,Müller\n".encode("latin-1"), 400, "byte 4 is 0xFC, which is not UTF-8"),
        (b"", 400, "the file is empty"),
        (b"psid\n", 400, "there is nothing below the header"),
        (b"psid,psid\n1,2\n", 400, "columns 1 and 2 are both called `psid`"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(upload: Any, data: bytes, status: int, words: str) -> None:
    answer = upload(data)
    assert (answer.status_code, words in answer.json()["detail"], bool(answer.json()["way_out"])) == (
        status,
        True,
        True,
    )


def test_only_who_has_a_key_uploads_and_only_what_exists_answers(client: TestClient, api: Any, page: Any) -> None:
    assert client.post(f"/api/v1/pages/{page.external_id}/imports", content=b"psid\n1\n").status_code == 401
    for method, path in (
        ("GET", "/imports/7"), ("GET", "/imports/7/errors.csv"), ("POST", "/imports/7/apply"), ("DELETE", "/imports/7"),
        ("GET", "/pages/999/contacts.csv"), ("GET", "/imports?page=999"),
    ):  # fmt: skip
        assert api(method, path).status_code == 404


def test_an_import_that_meets_something_unexpected_keeps_no_other_waiting(
    upload: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [upload(f"psid\n{n}\n").json()["import"]["id"] for n in (1, 2)]
    for each in ids:
        api("POST", f"/imports/{each}/validate")
    _work()
    with database.session() as session:
        # What no validation wrote.
        session.execute(
            text("UPDATE contact_import_person SET known = '{\"country\": 7}' WHERE import_id = :id"), {"id": ids[0]}
        )
    for each in ids:
        api("POST", f"/imports/{each}/apply")
    _work()
    assert [api("GET", f"/imports/{each}").json()["status"] for each in ids] == ["failed", "applied"]
    with database.session() as session:
        session.execute(text("UPDATE contact_import_person SET known = '{}' WHERE import_id = :id"), {"id": ids[0]})
    assert api("POST", f"/imports/{ids[0]}/resume").json()["status"] == "applying"
    _work()
    assert api("GET", f"/imports/{ids[0]}").json()["counts"]["created"] == 1


def test_the_command_imports_lists_and_exports(duly: Any, page: Any, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(DATA)
    options = ("--page", page.external_id, "--map", "Who=name", "--set", "locale=en")
    dry = duly("import", file, *options, "--dry-run")
    assert dry.exit_code == 2
    assert "`Atlantis` is not an ISO 3166-1 country code" in dry.output
    assert "2 rows would be applied; nothing was changed" in dry.output
    errors = tmp_path / "errors.csv"
    none = duly("import", file, *options, "--errors", errors)
    assert (none.exit_code, "none was applied" in none.output) == (2, True)
    assert (
        errors.read_text().splitlines()[1].startswith("4,country,country,Atlantis"),
        errors.stat().st_mode & 0o77,
    ) == (True, 0)
    seen = json.loads(duly("imports", "--json").stdout)
    assert [each["status"] for each in seen] == ["validated", "discarded"]
    good = duly("import", "--resume", seen[0]["id"], "--skip-errors", "--json")
    assert (good.exit_code, json.loads(good.stdout)["counts"]["created"]) == (0, 2)
    assert duly("import", "--resume", seen[0]["id"]).exit_code == 5
    out = tmp_path / "out.csv"
    assert duly("export", "--page", page.external_id, "--out", out).exit_code == 0
    assert out.read_bytes() == duly("export", "--page", page.external_id).stdout_bytes
    assert [each["name"] for each in csv.DictReader(io.StringIO(out.read_text()))] == ["Ana", "'=2+5"]
    assert duly("import", out, "--page", page.external_id).exit_code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("import", "--page", "100200300400"), "no file was given"),
        (("import", "FILE"), "no page was given"),
        (
            ("import", "nowhere.csv", "--page", "100200300400"),
            "`nowhere.csv` cannot be read (No such file or directory)",
        ),
        (("import", "FILE", "--page", "100200300400", "--map", "x"), "--map: `x` has no `=`"),
        (("import", "FILE", "--page", "100200300400", "--map", "x=name"), "the file has no column `x`"),
        (("import", "FILE", "--page", "100200300400", "--set", "psid=1"), "differs from person to person"),
        (
            ("import", "FILE", "--page", "100200300400", "--resume", "1"),
            "leave FILE, --page, --map, --set and --skip-cells out",
        ),
        (("export", "--page", "100200300400", "--format", "xml"), "`xml` is not a format"),
        (("export", "--page", "100200300400", "--out", "/nowhere/x.csv"), "cannot be written"),
    ],
)
def test_a_command_that_cannot_be_says_why(
    duly: Any, page: Any, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(DATA)
    run = duly(*(str(file) if word == "FILE" else word for word in words))
    assert (run.exit_code, told in run.output) == (2, True), run.output


def test_a_column_that_looks_like_opt_outs_is_asked_about(upload: Any, api: Any, page: Any) -> None:
    made = upload("psid,Do not contact,State\n1,x,\n2,,Unsubscribed\n").json()["import"]
    assert made["asked"] == ["Do not contact", "State"]
    at = f"/imports/{made['id']}"
    asked = api("POST", f"{at}/validate")
    assert (asked.status_code, asked.json()["errors"][0]["field"]) == (422, "mapping.Do not contact")
    mapped = api("PUT", f"{at}/mapping", {"columns": {"do not contact": "opted_out"}}).json()["import"]
    assert mapped["asked"] == ["State"]
    assert api("POST", f"{at}/validate").status_code == 422
    left_out = api("PUT", f"{at}/mapping", {"columns": {"Do not contact": "opted_out", "State": ""}}).json()
    assert left_out["import"]["asked"] == []
    assert api("POST", f"{at}/validate").status_code == 202


def test_bad_cells_are_left_out_and_rounded_ids_are_warned_about(duly: Any, page: Any, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    rows = (f"2498712345{n:04}000,{'nan' if n == 3 else 'Ana'},Germany" for n in range(6))
    file.write_text("PSID,First name,Country\n" + "\n".join(rows) + "\n")
    tried = duly("import", file, "--page", page.external_id, "--dry-run")
    assert (tried.exit_code, "6 of 6 ids end in zeros" in tried.output) == (0, True), tried.output
    assert "`Germany` is read as DE" in tried.output
    assert "warning: looks rounded" in tried.output
    done = duly("import", file, "--page", page.external_id, "--skip-cells", "--json")
    assert done.exit_code == 0, done.output
    seen = json.loads(done.stdout)
    assert (seen["bad"], seen["counts"]["created"], seen["errors"]) == (0, 6, [])
    assert {(each["field"], each["severity"], each["rows"]) for each in seen["warnings"]} == {
        ("psid", "warning", 6), ("psid", "warning", 1), ("country", "warning", 6), ("first_name", "dropped", 1),
    }  # fmt: skip
    listed = duly("errors", seen["id"]).output
    assert listed.splitlines()[0].endswith("allowed,severity")
    assert ",dropped" in listed


def test_odd_places_are_warned_about_and_territories_understood(duly: Any, page: Any, api: Any, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    rows = (
        "psid,country,region,timezone", "1,RE,FR-974,", "2,uk,UK-ENG,europe/london", "3,US,,Asia/Tokyo", "4,US,,UTC",
        "5,US,,UTC", "6,XK,,Europe/Belgrade", "7,YU,,", "8,PR,US-FL,", "9,,,GMT+2",
    )  # fmt: skip
    file.write_text("\n".join(rows) + "\n")
    done = duly("import", file, "--page", page.external_id, "--skip-errors", "--json")
    seen = json.loads(done.stdout)
    assert (seen["bad"], seen["counts"]["created"]) == (3, 6)
    told = {(each["field"], each["rows"]): each["problem"] for each in seen["warnings"]}
    assert told["country", 1] == "`uk` is read as GB"
    assert told["timezone", 1] == "`Asia/Tokyo` is outside US"
    assert told["timezone", 2].startswith("`UTC` names no place, and no clock in US shows its offset")
    wrong = "".join(each["problem"] for each in seen["errors"])
    assert "write RS, ME" in wrong
    assert "is not in country `PR`" in wrong
    assert "`GMT+2` is an offset, not an IANA time zone" in wrong
    zones = {
        psid: api("GET", f"/pages/{page.external_id}/contacts/{psid}").json()["zone_candidates"]["zones"]
        for psid in ("1", "2", "6")
    }
    assert zones == {"1": ["Indian/Reunion"], "2": ["Europe/London"], "6": ["Europe/Belgrade"]}


def test_an_import_that_is_killed_goes_on_where_it_was(
    duly: Any, page: Any, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    people = 12_000
    file = tmp_path / "people.csv"
    lines = (f"{n},Ana {n},DE,{'yes' if n % 2 else 'no'}\n" for n in range(1, people + 1))
    file.write_text("psid,name,country,opted_out\n" + "".join(lines))
    running = subprocess.Popen(
        [sys.executable, "-m", "scheduler.cli.main", "contacts", "import", str(file), "--page", page.external_id],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def seen() -> ContactImport | None:
        with database.session() as session:
            return next(iter(registry.list_imports(session)), None)

    try:
        eventually(lambda: (found := seen()) is not None and found.cursor > 0, seconds=90, what="the first thousand")
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    killed = seen()
    assert killed is not None
    assert (killed.status, killed.cursor % 1000) == ("applying", 0)
    assert 0 < killed.cursor < people
    with database.session() as session:
        known = session.execute(text("SELECT count(*) FROM contact")).scalar_one()
    assert known == killed.cursor == killed.counts["created"]
    resumed = duly("import", "--resume", killed.id, "--json")
    assert resumed.exit_code == 0, resumed.output
    assert json.loads(resumed.stdout)["counts"] == {
        "created": people, "updated": 0, "unchanged": 0, "refused": 0, "links": 0, "consents": 0,
        "opt_outs": people // 2,
    }  # fmt: skip
    with database.session() as session:
        said = session.execute(text("SELECT count(*), count(DISTINCT contact_id) FROM consent_record")).one()
    assert tuple(said) == (people // 2, people // 2)
