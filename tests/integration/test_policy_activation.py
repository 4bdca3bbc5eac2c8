"""Who activates a policy, and what becomes of the messages that wait, are due, or are on the wire meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from policies.diff.search import compared
from policies.policy import load_policy, parse_policy
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.governance.clause_changes import searched
from scheduler.governance.documents import built_in_policy, read_policy
from scheduler.governance.history import activation_in_force, history, list_versions, read_version
from scheduler.governance.policies import Activated, activate_policy
from scheduler.governance.prospect import activation_changes, prospect
from scheduler.outbox.begin import begin
from scheduler.store import database
from tests.unit.delivery.stage import HOUR, NOON, Stage

DEFAULT, BARE = load_policy("default"), load_policy("platform-only")
#: Seconds that a search may take: it ends long before that on any machine.
LONG = 600.0
#: Nothing goes on the day of these tests, a Tuesday.
CLOSED = parse_policy(
    '[policy]\nname = "closed"\nextends = "platform-only"\n[[permitted_hours]]\nid = "none"\ntue = []\n', where="closed"
)


def _activate(stage: Stage, policy: Any = CLOSED, **more: Any) -> Activated:
    given = {"actor": "ada", "why": "a holiday", "now": NOON} | more
    return activate_policy(stage.session, stage.page, policy, **given)


def test_what_waits_and_what_is_due_is_decided_under_the_new_policy(stage: Stage) -> None:
    waits = stage.message(stage.contact(), state="scheduled", due_at=NOON + 5 * HOUR)
    due = stage.message(stage.contact())
    seen = prospect(stage.session, stage.page, CLOSED, now=NOON, patience=LONG)
    assert (seen.active_version, seen.active_name, seen.waiting) == (BARE.version, "platform-only", 2)
    done = _activate(stage)
    assert (done.version, done.previous, done.woken) == (CLOSED.version, BARE.version, 1)
    assert stage.arrows(waits)[-1] == ("scheduled", "due")
    assert begin(stage.session, "promotional", {stage.page: 10}, NOON) == []
    rows = stage.rows("SELECT DISTINCT state, reason, due_at FROM message")
    assert [tuple(row) for row in rows] == [("scheduled", "closed_day", NOON + 12 * HOUR)]
    # Back again: what the day held goes.
    assert _activate(stage, BARE).woken == 2
    assert {one.message_id for one in begin(stage.session, "promotional", {stage.page: 10}, NOON)} == {waits, due}
    assert {row.policy_version for row in stage.rows("SELECT policy_version FROM message")} == {BARE.version}


def test_what_is_being_decided_is_decided_under_the_old_policy_and_the_rest_under_the_new(
    stage: Stage, eventually: Callable[..., None]
) -> None:
    first, second = stage.message(stage.contact(), deadline=NOON + HOUR), stage.message(stage.contact())
    stage.commit()

    def activate() -> Activated:
        with database.session() as mine:
            return activate_policy(mine, stage.page, CLOSED, actor="ada", why="a holiday", now=NOON)

    with ThreadPoolExecutor(1) as pool:
        with database.session() as worker:
            [begun] = begin(worker, "promotional", {stage.page: 10}, NOON, limit=1)
            activation = pool.submit(activate)
            eventually(
                lambda: bool(stage.rows("SELECT 1 FROM pg_locks WHERE NOT granted")), what="the activation's wait"
            )
        assert activation.result(30).previous == BARE.version
    stage.commit()
    assert begun.message_id == first
    assert begin(stage.session, "promotional", {stage.page: 10}, NOON) == []
    assert (stage.state(first), stage.state(second)) == ("sending", "scheduled")
    versions = {row.id: row.policy_version for row in stage.rows("SELECT id, policy_version FROM message")}
    assert versions[first] == BARE.version
    assert stage.one(
        "SELECT policy_version FROM message_log WHERE message_id = :m ORDER BY id DESC LIMIT 1", m=second
    ) == (CLOSED.version)


@pytest.mark.parametrize("expected", [BARE.version, BARE.version[:8]])
def test_of_two_activations_at_once_the_second_sees_the_first(
    stage: Stage, eventually: Callable[..., None], expected: str
) -> None:
    stage.commit()

    def activate() -> Activated:
        with database.session() as mine:
            return activate_policy(
                mine, stage.page, DEFAULT, actor="bob", why="mine", now=NOON, expected_version=expected
            )

    with ThreadPoolExecutor(1) as pool:
        with database.session() as mine:
            activate_policy(mine, stage.page, CLOSED, actor="ada", why="first", now=NOON, expected_version=expected)
            other = pool.submit(activate)
            eventually(lambda: bool(stage.rows("SELECT 1 FROM pg_locks WHERE NOT granted")), what="the second's wait")
        with pytest.raises(Conflict, match="is in force, not") as refused:
            other.result(30)
    assert refused.value.field == "expected_version"
    stage.session.rollback()
    found = activation_in_force(stage.session, stage.page)
    assert found is not None
    assert (found.version, found.actor, found.why) == (CLOSED.version, "ada", "first")


def test_of_the_same_activation_twice_at_once_one_is_refused(stage: Stage) -> None:
    stage.commit()

    def activate() -> bool:
        try:
            with database.session() as mine:
                activate_policy(mine, stage.page, CLOSED, actor="ada", why="twice", now=NOON)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: activate(), range(4)))
    assert done.count(True) == 1
    assert stage.one("SELECT count(*) FROM policy_activation WHERE version = :v", v=CLOSED.version) == 1


@pytest.mark.parametrize(
    ("given", "error", "field"),
    [
        ({"actor": "  "}, Invalid, "actor"),
        ({"why": ""}, Invalid, "why"),
        ({"why": " \n"}, Invalid, "why"),
        ({"why": "x" * 501}, Invalid, "why"),
        ({"why": "a\x00b"}, Invalid, "why"),
        ({"policy": BARE}, Conflict, "policy"),
        ({"expected_version": DEFAULT.version}, Conflict, "expected_version"),
    ],
)
def test_an_activation_that_cannot_be_is_refused_and_leaves_nothing(
    stage: Stage, given: dict[str, Any], error: type[Exception], field: str
) -> None:
    before = stage.rows("SELECT id FROM policy_activation")
    with pytest.raises(error) as refused:
        _activate(stage, **given)
    assert refused.value.field == field  # type: ignore[attr-defined]
    assert stage.rows("SELECT id FROM policy_activation") == before
    assert read_version(stage.session, BARE.version[:8]).version == BARE.version


def test_a_page_that_is_not_there_has_no_policy(stage: Stage) -> None:
    with pytest.raises(NotFound):
        activate_policy(stage.session, 999_999, CLOSED, actor="ada", why="why", now=NOON)


def test_what_is_stored_says_everything_by_itself_and_history_tells_who_why_and_what(stage: Stage) -> None:
    _activate(stage, why="  a holiday ")
    _activate(stage, DEFAULT, actor="bob", why="over", now=NOON + HOUR)
    stored = read_version(stage.session, CLOSED.version)
    assert "extends" not in (stored.document or "")
    assert parse_policy(stored.document or "", where="stored") == CLOSED
    assert (stored.name, stored.pages) == ("closed", ())
    found = history(stage.session, stage.page, limit=10)
    assert [(each.name, each.actor, each.why, each.activated_at) for each in found[:2]] == [
        ("default", "bob", "over", NOON + HOUR),
        ("closed", "ada", "a holiday", NOON),
    ]
    assert found[1].previous == BARE.version
    assert found[-1].previous is None
    known = {policy.version: policy for policy in (DEFAULT, BARE, CLOSED)}
    changes = activation_changes(found[1], known)
    assert [(each.clause, each.kind) for each in changes or ()] == [
        ("policy.name", "changed"), ("permitted_hours.none", "added"),
    ]  # fmt: skip
    assert activation_changes(found[-1], known) is None
    assert history(stage.session, stage.page, limit=10, before=found[0].id) == found[1:]
    versions = list_versions(stage.session, limit=10)
    assert {each.version for each in versions} == set(known)
    assert {each.version: each.pages for each in versions}[DEFAULT.version] == ("1001",)
    first = versions[0]
    assert list(list_versions(stage.session, limit=10, before=(first.created_at, first.version))) == list(versions[1:])


def test_a_prospect_says_what_each_change_does(stage: Stage) -> None:
    seen = prospect(stage.session, stage.page, CLOSED, now=NOON, patience=LONG)
    assert seen.changes is not None
    assert [(each.clause, each.kind, each.effect, each.search) for each in seen.changes] == [
        ("policy.name", "changed", None, "not_searched"), ("permitted_hours.none", "added", "stricter", "complete"),
    ]  # fmt: skip
    assert (seen.effect, seen.search, seen.search_note) == ("stricter", "complete", None)
    with pytest.raises(Conflict, match="in force already"):
        prospect(stage.session, stage.page, BARE, now=NOON, patience=LONG)
    renamed = parse_policy('[policy]\nname = "another"\nextends = "platform-only"\n', where="another")
    assert prospect(stage.session, stage.page, renamed, now=NOON, patience=LONG).effect == "none found"


def test_a_search_that_was_cut_short_says_so() -> None:
    gaps = "".join(f'[[minimum_gap]]\nid = "g{number}"\nbetween = "{number}h"\n' for number in range(1, 30))
    many = parse_policy(f'[policy]\nname = "many"\n{gaps}', where="m")
    found = searched(BARE, many, NOON, patience=0)
    assert found.changes is not None
    assert [(each.effect, each.search) for each in found.changes] == [
        (None, "not_searched"), *[(None, "cut_short")] * 29,
    ]  # fmt: skip
    assert (found.effect, found.search) == (None, "cut_short")
    assert found.note == "the search was stopped after 0 seconds: there may be more than it found"


def test_what_was_found_before_a_search_was_cut_short_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that stands still until something is found, and then is past any patience.
    told: list[float] = []

    def compared_and_late(*given: Any) -> Any:
        found = compared(*given)
        told.extend([60.0] * any(found))
        return found

    monkeypatch.setattr("policies.diff.compared", compared_and_late)
    monkeypatch.setattr("scheduler.governance.clause_changes.time", SimpleNamespace(monotonic=lambda: sum(told)))
    found = searched(BARE, CLOSED, NOON, patience=5)
    assert found.changes is not None
    assert [(each.clause, each.effect, each.search) for each in found.changes] == [
        ("policy.name", None, "not_searched"), ("permitted_hours.none", "stricter", "cut_short"),
    ]  # fmt: skip
    assert (found.effect, found.search) == (None, "cut_short")


def test_a_cap_too_long_to_be_searched_is_not_searched(stage: Stage) -> None:
    wide = parse_policy('[policy]\nname = "w"\n[[frequency_cap]]\nid = "c"\nlimit = 1000000\nper = "30d"\n', where="w")
    seen = prospect(stage.session, stage.page, wide, now=NOON, patience=LONG)
    assert [(each.clause, each.effect, each.search) for each in seen.changes or ()] == [
        ("policy.name", None, "not_searched"), ("frequency_cap.c", None, "not_searched"),
    ]  # fmt: skip
    assert (seen.effect, seen.search) == (None, "not_searched")
    assert seen.search_note == "a cap of more than 100 messages takes too long to search"


def test_instead_of_a_policy_that_cannot_be_read_another_may_be_activated(stage: Stage) -> None:
    version = "d" * 64
    stage.session.execute(
        text("INSERT INTO policy_version VALUES (:v, 'new', 'a_rule_of_tomorrow = 1', 0)"), {"v": version}
    )
    stage.session.execute(
        text(
            "INSERT INTO policy_activation (page_id, version, actor, why, activated_at) VALUES (:page, :v, 't', 't', 0)"
        ),
        {"page": stage.page, "v": version},
    )
    seen = prospect(stage.session, stage.page, BARE, now=NOON, patience=LONG)
    assert (seen.active_version, seen.active_name, seen.changes, seen.effect) == (version, "new", None, None)
    assert (seen.search, seen.search_note) == ("not_searched", "the policy in force cannot be read")
    assert _activate(stage, BARE).previous == version


@pytest.mark.parametrize("version", ["", "abc", "g" * 64, "a" * 65, "%" * 8, "_" * 8])
def test_what_is_no_version_is_refused(stage: Stage, version: str) -> None:
    with pytest.raises(Invalid, match="is not a version"):
        read_version(stage.session, version)


def test_a_version_that_never_was_is_not_found_and_half_a_version_must_be_one(stage: Stage) -> None:
    with pytest.raises(NotFound):
        read_version(stage.session, "0" * 64)
    for end in "ab":
        stage.session.execute(text("INSERT INTO policy_version VALUES (:v, 'twin', '', 0)"), {"v": "0" * 63 + end})
    with pytest.raises(Invalid, match="several versions"):
        read_version(stage.session, "00000000")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (
            '[policy]\nname = "x"\nextends = "../secrets.toml"\n',
            "document:3: `policy.extends`: `../secrets.toml` is a file",
        ),
        ('[policy]\nname = "x"\nextends = "/etc/passwd"\n', "document:3: `policy.extends`: `/etc/passwd` is a file"),
        ('[policy]\nname = "x"\n[[minimum_gap]]\nid = "g"\nbetween = "1 year"\n', "document:5: `minimum_gap.between`"),
        ('[policy]\nname = "x"\nmode = 1\n', "document:3: `policy.mode`: is not known here"),
        ("[policy\n", "document:1: is not TOML"),
        ("", "document:1: `policy`: the table [policy] is missing"),
        ("\n" + "a." * 30_000 + "b = 1", "document:2: is a line of more than 1000 characters"),
        ("x" * 70_000, "is longer than 65536 characters"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_with_its_line_and_key(document: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_policy(document)
    assert problem in refused.value.message
    assert refused.value.field == "document"


def test_built_in_policies_go_by_their_names() -> None:
    assert built_in_policy("default") == DEFAULT
    with pytest.raises(Invalid, match="not a built-in policy"):
        built_in_policy("../default")
    assert read_policy('[policy]\nname = "x"\nextends = "default"\n').hours == DEFAULT.hours
