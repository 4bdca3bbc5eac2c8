"""Files of contacts on the real database: what is checked, what is applied, and what no file can do."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.consent.blocks import suppress
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.contacts.identities import Link, find_by_identity, link
from scheduler.contacts.registry import ensure_contacts
from scheduler.errors import Conflict, Invalid, Malformed
from scheduler.imports import registry
from scheduler.imports.ahead import Ahead
from scheduler.imports.applying import apply_next
from scheduler.imports.cells import csv_text
from scheduler.imports.exporting import export_part, start_export
from scheduler.imports.staging import MAX_OPEN, stage_file
from scheduler.imports.tables import ContactImport
from scheduler.imports.validating import validate_next
from scheduler.privacy.erasure import erase
from scheduler.store import database

NOW = 1_795_000_000
FORM = {"consent.kind": "express", "consent.source": "checkout form", "consent.wording": "Send me offers."}


@pytest.fixture(autouse=True)
def _moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def staged(page: Any) -> Callable[..., int]:
    """``staged("psid,name\\n1,Ana\\n")``: upload and validate; returns the import's id."""

    def stage(data: str | bytes, *, said: dict[str, str] | None = None, **constants: str) -> int:
        fixed = {name.replace("__", "."): value for name, value in constants.items()}
        source = io.BytesIO(data if isinstance(data, bytes) else data.encode())
        with database.session() as session:
            made = stage_file(session, page.id, source, name="people.csv", actor="tests", now=NOW)
            assert made.id is not None
            registry.map_columns(session, made.id, said=said or {}, constants=fixed)
            registry.start_validation(session, made.id)
            import_id = made.id
        _to_the_end("validating", import_id, validate_next, limit=3)
        return import_id

    return stage


@pytest.fixture
def imported(staged: Callable[..., int]) -> Callable[..., ContactImport]:
    """``imported("psid,name\\n1,Ana\\n")``: the whole way; returns the import."""

    def run(data: str | bytes, *, skip_errors: bool = False, limit: int = 2, **more: Any) -> ContactImport:
        import_id = staged(data, **more)
        with database.session() as session:
            registry.start_applying(session, import_id, skip_errors=skip_errors, actor="tests", now=NOW)
        return _to_the_end("applying", import_id, apply_next, limit=limit)

    return run


def _to_the_end(status: str, import_id: int, step: Any, *, limit: int) -> ContactImport:
    while True:
        with database.session() as session:
            found: ContactImport = step(session, NOW, import_id=import_id, limit=limit)
        if found.status != status:
            return found


def _errors(import_id: int) -> list[tuple[int, str | None, str | None, str]]:
    with database.session() as session:
        return [(each.line, each.column_name, each.value, each.problem) for each in registry.errors(session, import_id)]


def _rows(query: str, **values: object) -> list[Any]:
    with Session(database.engine()) as session:
        return list(session.connection().execute(text(query), values).all())


def test_a_file_makes_and_changes_people(imported: Callable[..., ContactImport], page: Any) -> None:
    made = imported(
        "psid,Name,country,time zone,language,attributes.tier,attributes.points:number,customer_id,e-mail\n"
        "1,Ana,br,America/Sao_Paulo,pt-BR,gold,12,C-1,ana@example.com\n"
        '2,"Müller, Jo",DE,,,,,C-2,\n'
        "3,,,,,silver,,,\n"
    )
    assert made.counts == {
        "created": 3, "updated": 0, "unchanged": 0, "refused": 0, "links": 3, "consents": 0, "opt_outs": 0,
    }  # fmt: skip
    people = _rows(
        "SELECT psid, name, country, timezones, timezones_source, locale, attributes FROM contact ORDER BY psid"
    )
    assert [tuple(each) for each in people] == [
        ("1", "Ana", "BR", ["America/Sao_Paulo"], "import", "pt_BR", {"tier": "gold", "points": 12}),
        ("2", "Müller, Jo", "DE", None, None, None, {}),
        ("3", None, None, None, None, None, {"tier": "silver"}),
    ]
    # By a name that was linked, without a psid. What the file does not say stays.
    again = imported("crm_id,attributes.points:number,attributes.vip:bool\nC-1,13,yes\n")
    assert (again.counts["updated"], again.counts["created"]) == (1, 0)
    (ana,) = _rows("SELECT name, attributes FROM contact WHERE psid = '1'")
    assert tuple(ana) == ("Ana", {"tier": "gold", "points": 13, "vip": True})
    with database.session() as session:
        assert find_by_identity(session, page.id, "email", [" ANA@example.com"])
    # Nothing of what people are called stays behind in staging.
    assert _rows("SELECT 1 FROM contact_import_row UNION ALL SELECT 1 FROM contact_import_person") == []
    acts = [
        row.action
        for row in _rows("SELECT action FROM audit_entry WHERE subject = :it ORDER BY id", it=f"import:{made.id}")
    ]
    assert acts == ["contacts.import_upload", "contacts.import_apply", "contacts.import_applied"]


def test_the_same_file_twice_changes_nothing(imported: Callable[..., ContactImport]) -> None:
    data = (
        "psid,name,country,attributes.a,crm_id,consent.topic,consent.granted_at,opted_out,opted_out.topic\n"
        "1,Ana,BR,x,C-1,offers,2026-03-28T08:00:00Z,,\n"
        "2,Jo,DE,y,C-2,,,yes,offers\n"
        "3,Li,,,,,,yes,\n"
    )
    first = imported(data, **{name.replace(".", "__"): value for name, value in FORM.items()})
    assert (first.counts["consents"], first.counts["opt_outs"]) == (1, 2)
    ledger = _rows("SELECT count(*) AS n FROM consent_record")
    second = imported(data, **{name.replace(".", "__"): value for name, value in FORM.items()})
    assert second.counts == {
        "created": 0, "updated": 0, "unchanged": 3, "refused": 0, "links": 0, "consents": 0, "opt_outs": 0,
    }  # fmt: skip
    assert _rows("SELECT count(*) AS n FROM consent_record") == ledger


def test_an_import_with_errors_applies_nothing_unless_told_to_skip_them(
    staged: Callable[..., int], imported: Callable[..., ContactImport]
) -> None:
    data = "psid,country,phone\n1,DE,\n2,Germany,0151 2345678\n3,,,\n4,US\n"
    import_id = staged(data)
    assert _errors(import_id) == [
        (3, "country", "Germany", "`Germany` is not an ISO 3166-1 country code"),
        (3, "phone", "01…", "is not an international telephone number"),
        (5, None, None, "the row has 2 cells, the header has 3"),
    ]
    with database.session() as session, pytest.raises(Conflict, match="2 of 4 rows have errors, so none is applied"):
        registry.start_applying(session, import_id, actor="tests", now=NOW)
    assert _rows("SELECT 1 FROM contact") == []
    assert imported(data, skip_errors=True).counts["created"] == 2
    assert [row.psid for row in _rows("SELECT psid FROM contact ORDER BY psid")] == ["1", "3"]


def test_two_rows_about_one_person_are_both_errors_that_name_each_other(staged: Callable[..., int]) -> None:
    import_id = staged("psid,name\n77,Ana\n2,Jo\n77,Anna\n77,Anne\n3,Li\n")
    assert [(line, problem) for line, _, _, problem in _errors(import_id)] == [
        (2, "line 2 and line 4 are about the same person"),
        (4, "line 2 and line 4 are about the same person"),
        (5, "line 4 and line 5 are about the same person"),
    ]


def test_a_name_of_two_people_is_an_error(staged: Callable[..., int], page: Any) -> None:
    with database.session() as session:
        (known,) = ensure_contacts(session, page.id, ["9"], NOW).values()
        link(session, page.id, [Link(contact_id=known, kind="email", value="jo@example.com")], NOW)
    twice = staged("psid,email\n1,ana@example.com\n2,ANA@example.com\n")
    assert {problem for _, _, _, problem in _errors(twice)} == {"line 2 and line 3 give it to two people"}
    taken = staged("psid,email\n1,jo@example.com\n9,jo@example.com\n")
    assert (2, "email", "jo…", "belongs to another person already") in _errors(taken)
    nobody = staged("email,name\nli@example.com,Li\njo@example.com,Jo\n")
    assert _errors(nobody) == [(2, "email", "li…", "belongs to nobody who is known")]


def test_consent_is_never_imported_without_source_wording_and_time(staged: Callable[..., int]) -> None:
    import_id = staged("psid,consent.topic,consent.kind\n1,offers,express\n2,,\n")
    assert [(column, problem.partition(":")[0]) for _, column, _, problem in _errors(import_id)] == [
        (None, "is missing"), (None, "is missing"), (None, "is missing"),
    ]  # fmt: skip
    fields = _rows("SELECT field FROM contact_import_error ORDER BY id")
    assert [row.field for row in fields] == ["consent.source", "consent.wording", "consent.granted_at"]


def test_a_consent_is_on_the_record_with_what_proves_it(imported: Callable[..., ContactImport]) -> None:
    made = imported(
        "psid,consent.topic,consent.kind,consent.source,consent.wording,consent.granted_at,consent.expires_at\n"
        "1,offers,express,checkout form,Send me offers.,2026-03-28T08:00:00Z,2028-03-28T08:00:00Z\n"
    )
    (said,) = _rows("""
        SELECT r.topic, r.kind, r.source, r.evidence, r.actor, r.occurred_at, r.expires_at, w.text
        FROM consent_record r JOIN consent_wording w ON w.id = r.wording_id
    """)
    assert tuple(said) == (
        "offers", "express", "import", "checkout form", f"tests (import {made.id})", 1_774_684_800, 1_837_843_200,
        "Send me offers.",
    )  # fmt: skip
    assert len(_rows("SELECT 1 FROM consent WHERE topic = 'offers'")) == 1


def test_no_file_lifts_an_opt_out(imported: Callable[..., ContactImport], page: Any) -> None:
    with database.session() as session:
        (known,) = ensure_contacts(session, page.id, ["1"], NOW).values()
        record_opt_out(session, known, source="message", at=NOW - 1000, now=NOW)
        suppress(session, known, "blocked", source="send_error", now=NOW - 500)
    barred = "SELECT reason, since FROM suppression WHERE lifted_at IS NULL ORDER BY reason"
    before = _rows(barred)
    # Older than the opt-out, newer than it, and a row that says that they did not opt out.
    for granted_at in ("2026-03-28T08:00:00Z", "2026-11-18T11:06:00Z"):
        imported(
            f"psid,consent.granted_at,opted_out\n1,{granted_at},no\n",
            **{name.replace(".", "__"): value for name, value in FORM.items()},
        )
    assert _rows(barred) == before
    # The older one does not even count as consent.
    assert len(_rows("SELECT 1 FROM consent WHERE granted_at < :at", at=NOW - 1000)) == 0


def test_an_opt_out_of_a_file_is_in_force_unless_they_came_back_since(
    imported: Callable[..., ContactImport], page: Any
) -> None:
    with database.session() as session:
        (known,) = ensure_contacts(session, page.id, ["1"], NOW).values()
        record_opt_in(session, known, source="message", at=NOW - 1000, now=NOW)
    imported("psid,opted_out,opted_out.at\n1,yes,2026-03-28T08:00:00Z\n2,yes,2026-03-28T08:00:00Z\n")
    out = _rows(
        "SELECT c.psid, s.since FROM suppression s JOIN contact c ON c.id = s.contact_id WHERE lifted_at IS NULL"
    )
    assert [tuple(each) for each in out] == [("2", 1_774_684_800)]


def test_who_was_erased_is_not_imported_again(
    staged: Callable[..., int], imported: Callable[..., ContactImport], page: Any
) -> None:
    import_id = staged("psid,name\n1,Ana\n2,Jo\n")
    with database.session() as session:
        registry.start_applying(session, import_id, actor="tests", now=NOW)
        (known,) = ensure_contacts(session, page.id, ["1"], NOW).values()
        session.connection().execute(
            text("INSERT INTO suppression (contact_id, reason, since) VALUES (:id, 'erased', :now)"),
            {"id": known, "now": NOW},
        )
    # Erased after the file was validated.
    made = _to_the_end("applying", import_id, apply_next, limit=10)
    assert (made.counts["refused"], made.counts["created"]) == (1, 1)
    # And before.
    assert [problem for *_, problem in _errors(staged("psid,name\n1,Ana\n"))] == [
        "this person's data was erased at their wish; they are not imported again"
    ]
    assert [row.name for row in _rows("SELECT name FROM contact WHERE psid = '1'")] == [None]


def test_who_is_erased_after_their_row_was_read_ahead_is_not_imported(staged: Callable[..., int], page: Any) -> None:
    with database.session() as session:
        ensure_contacts(session, page.id, ["5"], NOW)
    import_id = staged("psid,name\n" + "".join(f"{n},P{n}\n" for n in range(1, 9)))
    with database.session() as session:
        registry.start_applying(session, import_id, actor="tests", now=NOW)
    with Ahead() as ahead:
        with database.session() as session:
            first = apply_next(session, NOW, import_id=import_id, limit=3, ahead=ahead)
            assert first is not None
            assert first.cursor == 3
            # Rows 4 to 6 are read by now.
            assert ahead.waits_for() == (import_id, 3, 6)
        with database.session() as session:
            erase(session, page.id, "5", actor="tests", reason="their wish", now=NOW)
        step = partial(apply_next, ahead=ahead)
        made = _to_the_end("applying", import_id, step, limit=3)
    assert (made.counts["created"], made.cursor) == (7, 8)
    assert [row.psid for row in _rows("SELECT psid FROM contact WHERE name IS NOT NULL ORDER BY psid")] == [
        "1", "2", "3", "4", "6", "7", "8",
    ]  # fmt: skip


def test_better_evidence_wakes_what_waits(imported: Callable[..., ContactImport], page: Any) -> None:
    with database.session() as session:
        ensure_contacts(session, page.id, ["1", "2"], NOW)
        session.connection().execute(
            text("""
                WITH t AS (
                    INSERT INTO template (page_id, name, version, category, default_locale, bodies,
                        utility_approved, created_at)
                    VALUES (:page, 't', 1, 'promotional', 'en', '{}', false, 1) RETURNING id)
                INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, attempts,
                    crashes, created_at)
                SELECT :page, c.id, t.id, 'promotional', 'promotional', 'scheduled', 1, 0, 0, 1 FROM contact c, t
            """),
            {"page": page.id},
        )
    states = "SELECT c.psid, m.state FROM message m JOIN contact c ON c.id = m.contact_id ORDER BY 1"
    imported("psid,name\n1,Ana\n2,Jo\n")
    assert [tuple(each) for each in _rows(states)] == [("1", "scheduled"), ("2", "scheduled")]
    imported("psid,timezone\n1,Europe/Berlin\n2,\n")
    assert [tuple(each) for each in _rows(states)] == [("1", "due"), ("2", "scheduled")]


def test_what_is_committed_is_not_done_again(staged: Callable[..., int]) -> None:
    import_id = staged("psid,name\n" + "".join(f"{n},Ana {n}\n" for n in range(1, 8)))
    with database.session() as session:
        registry.start_applying(session, import_id, actor="tests", now=NOW)
    with database.session() as session:
        found = apply_next(session, NOW, import_id=import_id, limit=3)
        assert found is not None
        assert found.cursor == 3
        # Somebody else looks for work meanwhile: there is none for them.
        with database.session() as other:
            assert apply_next(other, NOW, import_id=import_id) is None
    with pytest.raises(RuntimeError), database.session() as session:
        apply_next(session, NOW, import_id=import_id, limit=3)
        raise RuntimeError("the power goes")
    assert len(_rows("SELECT 1 FROM contact")) == 3
    assert _to_the_end("applying", import_id, apply_next, limit=3).counts["created"] == 7


_FIFTY = ",".join(f"attributes.a{n}:number" for n in range(50))


def test_nobody_has_more_attributes_than_fifty_with_those_there_are(
    imported: Callable[..., ContactImport], staged: Callable[..., int]
) -> None:
    imported(f"psid,{_FIFTY}\n1{',7' * 50}\n")
    # The same names are no more; one more is one too many, where there are fifty.
    assert imported(f"psid,{_FIFTY}\n1{',8' * 50}\n").counts["updated"] == 1
    assert _errors(staged("psid,attributes.more\n1,x\n2,x\n")) == [
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
    found = _to_the_end("applying", import_id, apply_next, limit=5)
    assert (found.status, found.bad, found.counts["updated"], found.counts["created"]) == ("applied", 1, 1, 1)
    assert [(each[0], "those there were stay" in each[3]) for each in _errors(import_id)] == [(2, True)]
    rows = _rows("SELECT name, attributes FROM contact ORDER BY psid")
    assert [(row.name, len(row.attributes)) for row in rows] == [("Ana", 50), ("Jo", 1)]


def test_attributes_that_are_too_large_together_are_an_error(staged: Callable[..., int]) -> None:
    names = ",".join(f"attributes.a{n}" for n in range(40))
    (found,) = _errors(staged(f"psid,{names}\n1{(',' + 'x' * 500) * 40}\n2{',x' * 40}\n"))
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
    assert _rows("SELECT 1 FROM contact_import UNION ALL SELECT 1 FROM contact_import_row") == []


def test_a_mapping_is_corrected_until_it_is_applied(staged: Callable[..., int], page: Any) -> None:
    import_id = staged("id,who\n1,Ana\n2,Joe\n", said={"id": "psid", "who": "country"})
    assert len(_errors(import_id)) == 2
    with database.session() as session:
        registry.map_columns(session, import_id, said={"id": "psid", "who": "name"})
        registry.start_validation(session, import_id)
    assert _to_the_end("validating", import_id, validate_next, limit=100).bad == 0
    with pytest.raises(Invalid, match="no column tells who"), database.session() as session:
        registry.map_columns(session, import_id, said={"who": "name"})
        registry.start_validation(session, import_id)


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


@given(people=st.lists(_PERSON, min_size=1, max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_exported_is_imported_as_it_was(
    people: Sequence[dict[str, Any]], imported: Callable[..., ContactImport], page: Any
) -> None:
    with database.session() as session:
        session.connection().execute(text("TRUNCATE contact CASCADE"))
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
    before = _rows(query)
    with database.session() as session:
        columns = start_export(session, page.id, form="csv", actor="tests", now=NOW)
        exported = export_part(session, page.id, columns, form="csv").text
    for line in exported.split("\r\n"):
        assert line[:1] not in "=+-@\t" or not line
    with database.session() as session:
        session.connection().execute(text("TRUNCATE contact CASCADE"))
    imported(exported, limit=100)
    assert _rows(query) == before


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
    assert len(_rows("SELECT 1 FROM audit_entry WHERE action = 'contacts.export'")) == 2


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
