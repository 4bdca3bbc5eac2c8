"""No table that speaks of a person is forgotten: by who asks, by who is erased, by time."""

from __future__ import annotations

import pytest
from sqlalchemy import Table, text
from sqlmodel import Session

from scheduler.privacy.erasure import ERASED
from scheduler.privacy.retention import KEPT, RULES
from scheduler.privacy.subject import SECTIONS
from scheduler.settings import Settings
from scheduler.store.metadata import metadata

#: Columns that tell of whom a row is; rows of messages are of whoever the message is to.
_OF_PEOPLE = {"contact_id", "psid", "merged_into", "message_id", "key_hash", "subject"}
#: Tables that speak of people in no column of these names.
_MORE = {"contact_import_row", "message"}
#: Columns of these names in tables that speak of nobody, and why.
_NOBODY: dict[str, str] = {}


def _of_people() -> list[Table]:
    found = [
        table
        for table in metadata().tables.values()
        if (set(table.columns.keys()) & _OF_PEOPLE or table.name in _MORE) and table.name not in _NOBODY
    ]
    assert len(found) > 20
    return found


def test_everything_known_reads_every_table_that_speaks_of_a_person() -> None:
    assert {table.name for table in _of_people()} - {table for table, _ in SECTIONS.values()} == set()


def test_an_erasure_says_of_every_table_what_becomes_of_it() -> None:
    assert {table.name for table in _of_people()} == set(ERASED)


def test_retention_has_a_rule_or_a_reason_for_every_table() -> None:
    ruled = {rule.table for rule in RULES}
    assert ruled & set(KEPT) == set()
    assert {table.name for table in _of_people()} - ruled - set(KEPT) == set()
    assert set(KEPT) <= set(metadata().tables)


def test_the_guide_has_every_table_and_how_long_it_is_kept(pytestconfig: pytest.Config) -> None:
    guide = (pytestconfig.rootpath / "docs/privacy.md").read_text(encoding="utf-8")
    for table, what in (*ERASED.items(), *KEPT.items()):
        assert f"| `{table}` | {what} |" in guide, table
    for rule in RULES:
        assert rule.why in guide, rule.name
        assert f"| {rule.days(Settings())} |" in guide, rule.name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_carried_out_by_the_primary_key(rule: object, session: Session) -> None:
    from scheduler.privacy.retention import Rule

    assert isinstance(rule, Rule)
    session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(
        session.execute(
            text(f"EXPLAIN SELECT t.id, {rule.since} FROM {rule.table} t WHERE t.id > 7 ORDER BY t.id LIMIT 1000")
        ).scalars()
    )
    assert f"{rule.table}_pkey" in plan
