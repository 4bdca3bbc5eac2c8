"""What is exported is imported as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from scheduler.contacts.evidence import set_offset
from scheduler.contacts.registry import find_contacts
from scheduler.imports.cells import csv_text
from scheduler.imports.exporting import export_part, start_export
from scheduler.imports.tables import ContactImport
from scheduler.store import database
from tests.integration.front.imports.steps import NOW, rows_of

_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).map(str.strip)


_VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6),
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.sampled_from(["=1+1", "'=1", "007", "true", "1", "-5"]),
)


_PERSON = st.fixed_dictionaries(
    {},
    optional={
        "name": _NAMES.filter(bool),
        "first_name": st.sampled_from(["=cmd|' /C calc'!A0", "@x", "'", "''a", "-", "Ana\nMaria", 'say "hi"', "a;b,c"]),
        "attributes": st.dictionaries(st.sampled_from(["a", "b", "c"]), _VALUES),
    },
)


@example(people=[{"attributes": {"a": -6.103515625e-05, "b": 0.0001, "c": 123456789012345.12}}])
@given(people=st.lists(_PERSON, min_size=1, max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_exported_is_imported_as_it_was(
    people: Sequence[dict[str, Any]], imported: Callable[..., ContactImport], page: Any
) -> None:
    with database.session() as session:
        session.connection().execute(text("TRUNCATE contact, contact_import CASCADE"))
        session.connection().execute(
            text("""
                INSERT INTO contact (page_id, psid, name, first_name, attributes, created_at)
                SELECT :page, psid, name, first_name, coalesce(attributes, '{}'), :now
                FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                    AS r (psid text, name text, first_name text, attributes jsonb)
            """),
            {
                "page": page.id,
                "now": NOW,
                "rows": _json([{"psid": str(n), **each} for n, each in enumerate(people, 1)]),
            },
        )
    query = "SELECT psid, name, first_name, attributes FROM contact ORDER BY psid"
    before = rows_of(query)
    with database.session() as session:
        columns = start_export(session, page.id, form="csv", actor="tests", now=NOW)
        exported = export_part(session, page.id, columns, form="csv").text
    for line in exported.split("\r\n"):
        assert line[:1] not in "=+-@\t" or not line
    with database.session() as session:
        session.connection().execute(text("TRUNCATE contact CASCADE"))
    imported(exported, limit=100)
    assert rows_of(query) == before


def test_everything_known_survives_export_and_import(imported: Callable[..., ContactImport], page: Any) -> None:
    consent = {
        "topic": "offers", "kind": "express", "source": "shop", "wording": 'Yes, "ü"',
        "granted_at": "2026-03-28T08:00:00Z",
    }  # fmt: skip
    header = "psid,name,first_name,locale,country,region,timezone,utc_offset,crm_id,attributes.code,consents"
    said = [
        "1",
        "=Ana",
        "+A",
        "pt_BR",
        "BR",
        "BR-SP",
        "America/Sao_Paulo|America/Bahia",
        "-3",
        "C-1",
        "007",
        _json([consent]),
    ]
    out = ["2", "Jo", "", "", "DE", "", "", "5.5", "", "-1", "", "news|tips", "2026-03-28T08:00:00Z"]
    imported(csv_text([[*header.split(","), "opted_out.topic", "opted_out.at"], [*said, "", ""], out]))
    with database.session() as session:
        columns = start_export(session, page.id, form="csv", actor="tests", now=NOW)
        first = export_part(session, page.id, columns, form="csv").text
        session.connection().execute(text("ALTER TABLE consent_record DISABLE TRIGGER USER"))
        session.connection().execute(text("TRUNCATE contact, consent_record CASCADE"))
    assert "'=Ana" in first
    assert "'+A" in first
    imported(first, limit=100)
    with database.session() as session:
        columns = start_export(session, page.id, form="csv", actor="tests", now=NOW)
        second = export_part(session, page.id, columns, form="csv").text
    assert second == first
    assert len(rows_of("SELECT 1 FROM audit_entry WHERE action = 'contacts.export'")) == 2


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def test_what_the_platforms_profile_told_is_no_files_word(imported: Callable[..., ContactImport], page: Any) -> None:
    imported("psid,utc_offset\n1,-3\n2,\n")
    with database.session() as session:
        ids = find_contacts(session, page.id, ["1", "2"])
        set_offset(session, ids["1"], -120, NOW + 5)
        set_offset(session, ids["2"], 540, NOW)
        columns = start_export(session, page.id, form="csv", actor="tests", now=NOW)
        exported = export_part(session, page.id, columns, form="csv").text
    imported(exported)
    told = [("1", "import", ["-180"]), ("1", "profile", ["-120"]), ("2", "profile", ["540"])]
    query = "SELECT psid, source, value FROM place_evidence e JOIN contact c ON c.id = e.contact_id ORDER BY 1, 2"
    assert [tuple(each) for each in rows_of(query)] == told
