"""An opt-out is not lost because something else of its row is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scheduler.contacts.identities import Link, link
from scheduler.contacts.registry import ensure_contacts
from scheduler.errors import Conflict
from scheduler.imports.tables import ContactImport
from scheduler.pages.tables import Page
from scheduler.privacy.erasure import erase
from scheduler.store import database
from tests.integration.front.imports.steps import NOW, errors_of, rows_of

KEPT = "the row is not applied, but its opt-out is"


def _out() -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for row in rows_of(
        "SELECT c.psid, s.topic FROM suppression s JOIN contact c ON c.id = s.contact_id "
        "WHERE s.lifted_at IS NULL AND s.reason = 'opted_out' ORDER BY c.psid, s.topic"
    ):
        found.setdefault(row.psid, []).append(row.topic)
    return found


def _kept(made: ContactImport) -> list[int]:
    assert made.id is not None
    return [at for at, _, _, problem in errors_of(made.id) if problem == KEPT]


def test_who_opted_out_in_a_bad_row_is_opted_out_and_nothing_else_of_it_is_kept(
    imported: Callable[..., ContactImport],
) -> None:
    made = imported(
        "psid,name,country,opted_out,opted_out.at\n"
        "1,Ana,Atlantis,yes,\n"
        "2,Ben,Atlantis,no,\n"
        "3,Cy,DE,yes,tomorrow\n"
        "nan,Di,DE,yes,\n"
        "5,Eva,Atlantis,perhaps,\n"
        "6,Flo,DE,yes,2099-01-01T00:00:00Z\n"
        "7,Gil,DE,no,\n",
        skip_errors=True,
    )
    assert _out() == {"1": [None], "3": [None], "6": [None]}
    # Of those rows nothing else.
    people = {row.psid: (row.name, row.country) for row in rows_of("SELECT psid, name, country FROM contact")}
    assert people == {"1": (None, None), "3": (None, None), "6": (None, None), "7": ("Gil", "DE")}
    assert made.bad == 6
    assert (made.counts["opt_outs"], made.counts["created"]) == (3, 4)
    assert _kept(made) == [2, 4, 7]


def test_all_or_none_is_what_it_says(imported: Callable[..., ContactImport]) -> None:
    with pytest.raises(Conflict):
        imported("psid,country,opted_out\n1,Atlantis,yes\n2,DE,no\n")
    assert rows_of("SELECT 1 FROM contact") == []


@pytest.mark.parametrize("second", ["1,Bea,yes,shoes", "1,Bea,no,"])
def test_of_two_rows_about_one_person_the_opt_outs_count(imported: Callable[..., ContactImport], second: str) -> None:
    made = imported(f"psid,name,opted_out,opted_out.topic\n1,Ana,yes,hats\n{second}\n2,Cy,no,\n", skip_errors=True)
    assert _out() == {"1": ["hats", "shoes"] if "shoes" in second else ["hats"]}
    assert [tuple(row) for row in rows_of("SELECT psid, name FROM contact ORDER BY psid")] == [("1", None), ("2", "Cy")]
    assert made.counts["refused"] == 0


def test_a_bad_row_does_not_spoil_a_good_one_about_the_same_person(imported: Callable[..., ContactImport]) -> None:
    imported("psid,name,country,opted_out\n1,Ana,DE,no\n1,Ana,Atlantis,yes\n", skip_errors=True)
    assert _out() == {"1": [None]}
    assert [row.name for row in rows_of("SELECT name FROM contact")] == ["Ana"]


def test_whoever_is_named_by_an_identity_is_found(imported: Callable[..., ContactImport], page: Page) -> None:
    assert page.id is not None
    with database.session() as session:
        contact = ensure_contacts(session, page.id, ["1"], NOW)["1"]
        link(session, page.id, [Link(contact_id=contact, kind="crm_id", value="C-1", source="api")], NOW)
    made = imported("crm_id,country,opted_out\nC-1,Atlantis,yes\nC-2,Atlantis,yes\n", skip_errors=True)
    assert _out() == {"1": [None]}
    assert _kept(made) == [2]


def test_whoever_was_erased_is_not_brought_back(imported: Callable[..., ContactImport], page: Page) -> None:
    assert page.id is not None
    with database.session() as session:
        ensure_contacts(session, page.id, ["1"], NOW)
        erase(session, page.id, "1", actor="tests", reason="their wish", now=NOW)
    made = imported("psid,country,opted_out\n1,Atlantis,yes\n", skip_errors=True)
    assert made.counts["refused"] == 1
    assert _out() == {}
