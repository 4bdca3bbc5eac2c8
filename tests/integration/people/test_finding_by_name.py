from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.contacts.finding import find_people_by
from scheduler.contacts.identities import Link, find_by_identity, link
from scheduler.errors import Invalid


@pytest.fixture
def town(session: Session, page: Any) -> dict[str, int]:
    """psid → contact id of people with names."""
    people = [
        ("7001", "Ana Müller", None), ("7002", "Jürgen Anders", "Jürgen"), ("7003", None, "Zoë"), ("7004", None, None),
        ("7005", "田中太郎", None), ("7006", "Ana O'Neill", None),
    ]  # fmt: skip
    made = {}
    for psid, name, first_name in people:
        made[psid] = session.execute(
            text(
                "INSERT INTO contact (page_id, psid, name, first_name, created_at) "
                "VALUES (:page, :psid, :name, :first, 0) RETURNING id"
            ),
            {"page": page.id, "psid": psid, "name": name, "first": first_name},
        ).scalar_one()
    link(
        session, page.id,
        [Link(contact_id=made["7003"], kind="crm_id", value="C-77"),
         Link(contact_id=made["7004"], kind="email", value="Zoe@Example.com"),
         Link(contact_id=made["7004"], kind="phone", value="+49 30 901820")],
        0,
    )  # fmt: skip
    session.commit()
    return made


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ana", ["7006", "7001"]),
        ("muller", ["7001"]),
        ("MÜLL", ["7001"]),
        ("müller ana", ["7001"]),
        ("jurgen", ["7002"]),
        ("zoe", ["7003"]),
        ("田中", ["7005"]),
        ("o'neill", ["7006"]),
        ("7004", ["7004"]),
        ("C-77", ["7003"]),
        ("mailto:ZOE@example.COM", ["7004"]),
        ("+49 (30) 90 18 20", ["7004"]),
        ("nobody", []),
        ("'; DROP TABLE contact; --", []),
        ("& | ! :*", []),
    ],
)
def test_people_are_found_by_what_somebody_has_of_them(
    session: Session, page: Any, town: dict[str, int], words: str, found: list[str]
) -> None:
    by_id = {contact_id: psid for psid, contact_id in town.items()}
    assert [by_id[each] for each in find_people_by(session, page.id, words, limit=10)] == found
    assert find_people_by(session, page.id + 1, words, limit=10) == []


@pytest.mark.parametrize("words", ["", "  ", "x" * 201, "a\x00b"])
def test_nothing_is_not_looked_for(session: Session, page: Any, words: str) -> None:
    with pytest.raises(Invalid, match="nothing to look for"):
        find_people_by(session, page.id, words, limit=10)


def test_a_name_is_found_by_an_index(session: Session, page: Any, town: dict[str, int]) -> None:
    session.execute(
        text(
            "INSERT INTO contact (page_id, psid, name, created_at) "
            "SELECT :page, 'many-' || n, 'Person ' || n, 0 FROM generate_series(1, 5000) n"
        ),
        {"page": page.id},
    )
    session.execute(text("ANALYZE contact"))
    from scheduler.contacts.finding import _NAMED

    plan = session.execute(
        text(f"EXPLAIN {_NAMED.text}"), {"page_id": page.id, "words": "'ana':*", "limit": 10}
    ).scalars()
    assert "contact_names" in "\n".join(plan)


def test_over_the_api_and_on_the_command_line(api: Callable[..., Any], page: Any, town: dict[str, int]) -> None:
    items = api("GET", f"/pages/{page.external_id}/contacts?q=jurg").json()["items"]
    assert [(each["psid"], each["name"], each["first_name"]) for each in items] == [("7002", "Jürgen Anders", "Jürgen")]
    assert api("GET", f"/pages/{page.external_id}/contacts?q=%20").status_code == 422
    run = CliRunner().invoke(app, ["contact", "find", "zoe", "--page", page.external_id, "--json"])
    assert run.exit_code == 0, run.output
    assert [each["psid"] for each in json.loads(run.stdout)] == ["7003"]
    none = CliRunner().invoke(app, ["contact", "find", "xyz", "--page", page.external_id])
    assert (none.exit_code, "nobody is found" in none.output) == (0, True)


@pytest.mark.parametrize(
    ("kind", "kept", "told"),
    [
        ("email", "zoe@example.com", "mailto:Zoe@Example.COM"),
        ("email", "zoe@example.com", "Zoë M. <zoe@EXAMPLE.com>"),
        ("email", "zoe@example.com", "mailto:zoe@example.com?subject=Hi"),
        ("email", "zoe@müller.example", "zoe@xn--mller-kva.example"),
        ("email", "zoe\u0308@example.com", "zo\u00eb@example.com"),
        ("crm_id", "Zoe\u0308-7", "Zo\u00eb-7"),
        ("phone", "+49 30 901820", "tel:+49-30-901820"),
        ("phone", "+49 30 901820", "＋４９ ３０ ９０１８２０"),
    ],
)
def test_an_identity_is_one_however_programs_write_it(
    session: Session, page: Any, town: dict[str, int], kind: Any, kept: str, told: str
) -> None:
    link(session, page.id, [Link(contact_id=town["7001"], kind=kind, value=kept)], 0)
    assert find_by_identity(session, page.id, kind, [told]) == {told: town["7001"]}
