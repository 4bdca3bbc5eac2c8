"""Files of contacts on the real database: what is applied, how often, and what no file can do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from scheduler.consent.blocks import suppress
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.contacts.identities import find_by_identity
from scheduler.contacts.registry import ensure_contacts
from scheduler.errors import Conflict
from scheduler.imports import registry
from scheduler.imports.ahead import Ahead
from scheduler.imports.applying import apply_next
from scheduler.imports.tables import ContactImport
from scheduler.privacy.erasure import erase
from scheduler.store import database
from tests.integration.front.imports.steps import FORM, NOW, errors_of, rows_of, to_the_end


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
    people = rows_of(
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
    (ana,) = rows_of("SELECT name, attributes FROM contact WHERE psid = '1'")
    assert tuple(ana) == ("Ana", {"tier": "gold", "points": 13, "vip": True})
    with database.session() as session:
        assert find_by_identity(session, page.id, "email", [" ANA@example.com"])
    # Nothing of what people are called stays behind in staging.
    assert rows_of("SELECT 1 FROM contact_import_row UNION ALL SELECT 1 FROM contact_import_person") == []
    acts = [
        row.action
        for row in rows_of("SELECT action FROM audit_entry WHERE subject = :it ORDER BY id", it=f"import:{made.id}")
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
    ledger = rows_of("SELECT count(*) AS n FROM consent_record")
    second = imported(data, **{name.replace(".", "__"): value for name, value in FORM.items()})
    assert second.counts == {
        "created": 0, "updated": 0, "unchanged": 3, "refused": 0, "links": 0, "consents": 0, "opt_outs": 0,
    }  # fmt: skip
    assert rows_of("SELECT count(*) AS n FROM consent_record") == ledger


def test_an_import_with_errors_applies_nothing_unless_told_to_skip_them(
    staged: Callable[..., int], imported: Callable[..., ContactImport]
) -> None:
    data = "psid,country,phone\n1,DE,\n2,Atlantis,0151 2345678\n3,,,\n4,US\n"
    import_id = staged(data)
    assert errors_of(import_id) == [
        (3, "country", "Atlantis", "`Atlantis` is not an ISO 3166-1 country code"),
        (3, "phone", "01…", "is not an international telephone number"),
        (5, None, None, "the row has 2 cells, the header has 3; the others are taken as empty"),
    ]
    with database.session() as session, pytest.raises(Conflict, match="1 of 4 rows have errors, so none is applied"):
        registry.start_applying(session, import_id, actor="tests", now=NOW)
    assert rows_of("SELECT 1 FROM contact") == []
    assert imported(data, skip_errors=True).counts["created"] == 3
    assert [row.psid for row in rows_of("SELECT psid FROM contact ORDER BY psid")] == ["1", "3", "4"]


def test_a_consent_is_on_the_record_with_what_proves_it(imported: Callable[..., ContactImport]) -> None:
    made = imported(
        "psid,consent.topic,consent.kind,consent.source,consent.wording,consent.granted_at,consent.expires_at\n"
        "1,offers,express,checkout form,Send me offers.,2026-03-28T08:00:00Z,2028-03-28T08:00:00Z\n"
    )
    (said,) = rows_of("""
        SELECT r.topic, r.kind, r.source, r.evidence, r.actor, r.occurred_at, r.expires_at, w.text
        FROM consent_record r JOIN consent_wording w ON w.id = r.wording_id
    """)
    assert tuple(said) == (
        "offers", "express", "import", "checkout form", f"tests (import {made.id})", 1_774_684_800, 1_837_843_200,
        "Send me offers.",
    )  # fmt: skip
    assert len(rows_of("SELECT 1 FROM consent WHERE topic = 'offers'")) == 1


def test_no_file_lifts_an_opt_out(imported: Callable[..., ContactImport], page: Any) -> None:
    with database.session() as session:
        (known,) = ensure_contacts(session, page.id, ["1"], NOW).values()
        record_opt_out(session, known, source="message", at=NOW - 1000, now=NOW)
        suppress(session, known, "blocked", source="send_error", now=NOW - 500)
    barred = "SELECT reason, since FROM suppression WHERE lifted_at IS NULL ORDER BY reason"
    before = rows_of(barred)
    # Older than the opt-out, newer than it, and a row that says that they did not opt out.
    for granted_at in ("2026-03-28T08:00:00Z", "2026-11-18T11:06:00Z"):
        imported(
            f"psid,consent.granted_at,opted_out\n1,{granted_at},no\n",
            **{name.replace(".", "__"): value for name, value in FORM.items()},
        )
    assert rows_of(barred) == before
    # The older one does not even count as consent.
    assert len(rows_of("SELECT 1 FROM consent WHERE granted_at < :at", at=NOW - 1000)) == 0


def test_an_opt_out_of_a_file_is_in_force_unless_they_came_back_since(
    imported: Callable[..., ContactImport], page: Any
) -> None:
    with database.session() as session:
        (known,) = ensure_contacts(session, page.id, ["1"], NOW).values()
        record_opt_in(session, known, source="message", at=NOW - 1000, now=NOW)
    imported("psid,opted_out,opted_out.at\n1,yes,2026-03-28T08:00:00Z\n2,yes,2026-03-28T08:00:00Z\n")
    out = rows_of(
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
    made = to_the_end("applying", import_id, apply_next, limit=10)
    assert (made.counts["refused"], made.counts["created"]) == (1, 1)
    # And before.
    assert [problem for *_, problem in errors_of(staged("psid,name\n1,Ana\n"))] == [
        "this person's data was erased at their wish; they are not imported again"
    ]
    assert [row.name for row in rows_of("SELECT name FROM contact WHERE psid = '1'")] == [None]


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
        made = to_the_end("applying", import_id, step, limit=3)
    assert (made.counts["created"], made.cursor) == (7, 8)
    assert [row.psid for row in rows_of("SELECT psid FROM contact WHERE name IS NOT NULL ORDER BY psid")] == [
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
    assert [tuple(each) for each in rows_of(states)] == [("1", "scheduled"), ("2", "scheduled")]
    imported("psid,timezone\n1,Europe/Berlin\n2,\n")
    assert [tuple(each) for each in rows_of(states)] == [("1", "due"), ("2", "scheduled")]


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
    assert len(rows_of("SELECT 1 FROM contact")) == 3
    assert to_the_end("applying", import_id, apply_next, limit=3).counts["created"] == 7
