"""Files of contacts on the real database: what is checked before anything is applied."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.identities import Link, link
from scheduler.contacts.registry import ensure_contacts
from scheduler.errors import Conflict, Invalid, Malformed
from scheduler.imports import registry
from scheduler.imports.applying import apply_next
from scheduler.imports.staging import MAX_OPEN, stage_file
from scheduler.imports.tables import ContactImport
from scheduler.imports.validating import validate_next
from scheduler.store import database
from tests.integration.front.imports.steps import NOW, errors_of, rows_of, to_the_end


def test_two_rows_about_one_person_are_both_errors_that_name_each_other(staged: Callable[..., int]) -> None:
    import_id = staged("psid,name\n77,Ana\n2,Jo\n77,Anna\n77,Anne\n3,Li\n")
    assert [(line, problem) for line, _, _, problem in errors_of(import_id)] == [
        (2, "line 2 and line 4 are about the same person"),
        (4, "line 2 and line 4 are about the same person"),
        (5, "line 4 and line 5 are about the same person"),
    ]


def test_a_name_of_two_people_is_an_error(staged: Callable[..., int], page: Any) -> None:
    with database.session() as session:
        (known,) = ensure_contacts(session, page.id, ["9"], NOW).values()
        link(session, page.id, [Link(contact_id=known, kind="email", value="jo@example.com")], NOW)
    twice = staged("psid,email\n1,ana@example.com\n2,ANA@example.com\n")
    assert {problem for _, _, _, problem in errors_of(twice)} == {"line 2 and line 3 give it to two people"}
    taken = staged("psid,email\n1,jo@example.com\n9,jo@example.com\n")
    assert (2, "email", "jo…", "belongs to another person already") in errors_of(taken)
    nobody = staged("email,name\nli@example.com,Li\njo@example.com,Jo\n")
    assert errors_of(nobody) == [(2, "email", "li…", "belongs to nobody who is known")]


def test_consent_is_never_imported_without_source_wording_and_time(staged: Callable[..., int]) -> None:
    import_id = staged("psid,consent.topic,consent.kind\n1,offers,express\n2,,\n")
    assert [(column, problem.partition(":")[0]) for _, column, _, problem in errors_of(import_id)] == [
        (None, "is missing"), (None, "is missing"), (None, "is missing"),
    ]  # fmt: skip
    fields = rows_of("SELECT field FROM contact_import_error ORDER BY id")
    assert [row.field for row in fields] == ["consent.source", "consent.wording", "consent.granted_at"]


_FIFTY = ",".join(f"attributes.a{n}:number" for n in range(50))


def test_nobody_has_more_attributes_than_fifty_with_those_there_are(
    imported: Callable[..., ContactImport], staged: Callable[..., int]
) -> None:
    imported(f"psid,{_FIFTY}\n1{',7' * 50}\n")
    # The same names are no more; one more is one too many, where there are fifty.
    assert imported(f"psid,{_FIFTY}\n1{',8' * 50}\n").counts["updated"] == 1
    assert errors_of(staged("psid,attributes.more\n1,x\n2,x\n")) == [
        (2, None, None, "the person would have too many attributes")
    ]


def test_attributes_that_came_since_the_check_leave_no_room(staged: Callable[..., int], page: Any) -> None:
    with database.session() as session:
        ensure_contacts(session, page.id, ["1"], NOW)
    import_id = staged("psid,name,attributes.more\n1,Ana,x\n2,Jo,x\n")
    with database.session() as session:
        session.connection().execute(
            text("UPDATE contact SET attributes = CAST(:all AS jsonb)"),
            {"all": json.dumps({f"a{n}": n for n in range(50)})},
        )
        registry.start_applying(session, import_id, actor="tests", now=NOW)
    found = to_the_end("applying", import_id, apply_next, limit=5)
    assert (found.status, found.bad, found.counts["updated"], found.counts["created"]) == ("applied", 1, 1, 1)
    assert [(each[0], "those there were stay" in each[3]) for each in errors_of(import_id)] == [(2, True)]
    rows = rows_of("SELECT name, attributes FROM contact ORDER BY psid")
    assert [(row.name, len(row.attributes)) for row in rows] == [("Ana", 50), ("Jo", 1)]


def test_attributes_that_are_too_large_together_are_an_error(staged: Callable[..., int]) -> None:
    names = ",".join(f"attributes.a{n}" for n in range(40))
    (found,) = errors_of(staged(f"psid,{names}\n1{(',' + 'x' * 500) * 40}\n2{',x' * 40}\n"))
    assert (found[0], found[3]) == (2, "the attributes take 20430 bytes as JSON")


def test_a_page_has_few_unfinished_imports_and_forgotten_ones_end(page: Any, session: Session) -> None:
    for _ in range(MAX_OPEN):
        stage_file(session, page.id, io.BytesIO(b"psid\n1\n"), name="a.csv", actor="tests", now=NOW)
    with pytest.raises(Conflict, match="10 imports that are not finished"):
        stage_file(session, page.id, io.BytesIO(b"psid\n1\n"), name="a.csv", actor="tests", now=NOW)
    assert registry.discard_forgotten(session, NOW + registry.FORGOTTEN_AFTER) is None
    assert registry.discard_forgotten(session, NOW + registry.FORGOTTEN_AFTER + 1) is not None
    stage_file(session, page.id, io.BytesIO(b"psid\n1\n"), name="a.csv", actor="tests", now=NOW)


def test_a_file_that_cannot_be_read_leaves_nothing(page: Any) -> None:
    with pytest.raises(Malformed, match="line 4: byte 3 is 0xFF"), database.session() as session:
        stage_file(session, page.id, io.BytesIO(b"psid\n1\n2\n3 \xff\n"), name="a.csv", actor="tests", now=NOW)
    with pytest.raises(Malformed, match="nothing below the header"), database.session() as session:
        stage_file(session, page.id, io.BytesIO(b"psid\n\n,\n"), name="a.csv", actor="tests", now=NOW)
    assert rows_of("SELECT 1 FROM contact_import UNION ALL SELECT 1 FROM contact_import_row") == []


def test_a_mapping_is_corrected_until_it_is_applied(staged: Callable[..., int], page: Any) -> None:
    import_id = staged("id,who\n1,Ana\n2,Joe\n", said={"id": "psid", "who": "country"})
    assert len(errors_of(import_id)) == 2
    with database.session() as session:
        registry.map_columns(session, import_id, said={"id": "psid", "who": "name"})
        registry.start_validation(session, import_id)
    assert to_the_end("validating", import_id, validate_next, limit=100).bad == 0
    with pytest.raises(Invalid, match="no column tells who"), database.session() as session:
        registry.map_columns(session, import_id, said={"who": "name"})
        registry.start_validation(session, import_id)
