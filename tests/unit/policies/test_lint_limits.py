"""Lint: limits that are missing or hardly mean anything, what a document accepts, and where its people are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from policies.lint import LEVELS, Remark, lint
from policies.lint.remark import KINDS

TODAY = date(2026, 11, 21)
HOUSE = '[[permitted_hours]]\nid = "house"\napplies_to = ["promotional"]\ndaily = [["08:00", "21:00"]]\n'
CAP = '[[frequency_cap]]\nid = "daily"\nlimit = 1\nper = "24h"\napplies_to = ["promotional"]\n'


def look(text: str, *, head: str = '[policy]\nname = "x"\n', where: str = "x", today: date = TODAY) -> list[Remark]:
    return lint(head + text, where, today=today, within=1)


def kinds(text: str, **more: str) -> list[tuple[str, str]]:
    return [(each.kind, each.level) for each in look(text, **more) if each.accepted is None]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ("unlimited", "warning")),
        ('jurisdictions = "courtesy"\n', ("unlimited", "warning")),
        ('extends = "platform-only"\n', ("unlimited", "warning")),
        # Hours that are always open, limits of other messages alone, and a pause of minutes limit no promotion.
        (
            '[[permitted_hours]]\nid = "h"\napplies_to = ["utility"]\ndaily = [["08:00", "21:00"]]\n',
            ("unlimited", "warning"),
        ),
        ('[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "24h"\napplies_to = ["utility"]\n', ("unlimited", "warning")),
        ('[[minimum_gap]]\nid = "g"\nbetween = "10m"\napplies_to = ["promotional"]\n', ("unlimited", "warning")),
        (HOUSE, ("no_cap", "notice")),
        (CAP, ("no_hours", "notice")),
        ('[[minimum_gap]]\nid = "g"\nbetween = "10h"\napplies_to = ["promotional"]\n', ("no_hours", "notice")),
        (HOUSE + CAP, None),
        ('extends = "default"\n', None),
    ],
)
def test_a_policy_that_lets_promotions_go_at_any_hour_or_without_end(text: str, found: tuple[str, str] | None) -> None:
    missing = [each for each in kinds(text) if each[0] in ("unlimited", "no_hours", "no_cap")]
    assert missing == ([found] if found else [])


def test_an_always_open_day_is_no_limit() -> None:
    said = kinds('[[permitted_hours]]\nid = "h"\ndaily = [["00:00", "24:00"]]\n')
    assert set(said) == {("unlimited", "warning"), ("never_binds", "warning")}


SHORT = {
    "a hand-over that times out at once": ('[handover]\ntimeout = "1s"\n', "handover.timeout"),
    "or in ten minutes": ('[handover]\ntimeout = "10m"\n', "handover.timeout"),
    "a pause of a second": ('[[minimum_gap]]\nid = "g"\nbetween = "1s"\napplies_to = ["promotional"]\n',
                            "minimum_gap.g.between"),
    "a cap of a minute": ('[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "1m"\napplies_to = ["promotional"]\n',
                          "frequency_cap.c.per"),
    "a day of five minutes": (
        '[[permitted_hours]]\nid = "h"\napplies_to = ["promotional"]\ndaily = [["09:00", "09:05"]]\n',
        "permitted_hours.h",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHORT)
def test_what_is_over_before_it_matters(name: str) -> None:
    text, key = SHORT[name]
    assert [(each.level, each.key) for each in look(text) if each.kind == "short"] == [("warning", key)]


@pytest.mark.parametrize(
    "text",
    [
        '[handover]\ntimeout = "15m"\n', '[handover]\ntimeout = "never"\n', "", CAP, HOUSE,
        '[[minimum_gap]]\nid = "g"\nbetween = "1m"\n', '[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "day"\n',
        '[[permitted_hours]]\nid = "h"\nmon = [["09:00", "09:05"]]\n',
    ],
)  # fmt: skip
def test_what_lasts_is_let_be(text: str) -> None:
    assert [each for each in look(text) if each.kind == "short"] == []


@pytest.mark.parametrize(
    ("applies_to", "level"),
    [
        ("", "warning"), ('applies_to = ["promotional", "utility"]\n', "warning"),
        ('applies_to = ["promotional", "service"]\n', "warning"), ('applies_to = ["utility"]\n', "notice"),
        ('applies_to = ["promotional"]\n', None),
    ],
)  # fmt: skip
def test_what_holds_order_messages_back(applies_to: str, level: str | None) -> None:
    wanted = [level] if level else []
    cap = '[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "24h"\n' + applies_to
    gap = '[[minimum_gap]]\nid = "g"\nbetween = "2h"\n' + applies_to
    hours = '[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "21:00"]]\n' + applies_to
    assert [each.level for each in look(cap) if each.kind == "holds_orders"] == wanted
    assert [each.level for each in look(gap) if each.kind == "holds_orders"] == wanted
    assert [each.level for each in look(hours) if each.kind == "holds_orders"] == (["notice"] if level else [])
    short = gap.replace("2h", "10m")
    assert [each.level for each in look(short) if each.kind == "holds_orders"] == (["notice"] if level else [])


def test_an_entry_that_makes_an_inherited_one_dead(tmp_path: Path) -> None:
    monthly = '[[frequency_cap]]\nid = "monthly"\nlimit = 1\nper = "30d"\napplies_to = ["promotional"]\n'
    said = [each for each in look('extends = "default"\n' + monthly) if each.kind == "never_binds"]
    assert [(each.level, each.key, each.line) for each in said] == [("warning", "frequency_cap.monthly.limit", 6)] * 2
    assert "the inherited `daily` (1 per 1d) never decides" in said[0].message
    assert "the inherited `weekly` (3 per 7d) never decides" in said[1].message
    # Under its own name it takes the other's place, and what is left is still reached.
    daily = monthly.replace("monthly", "daily").replace("30d", "48h")
    assert [each.message for each in look('extends = "default"\n' + daily) if each.kind == "never_binds"] == []
    # A gap of the base's that a longer one of the document's covers.
    (tmp_path / "base.policy.toml").write_text('[policy]\nname = "b"\n[[minimum_gap]]\nid = "old"\nbetween = "1h"\n')
    own = 'extends = "base.policy.toml"\n[[minimum_gap]]\nid = "new"\nbetween = "2h"\n'
    said = [each for each in look(own, where=str(tmp_path / "x.policy.toml")) if each.kind == "never_binds"]
    assert [(each.key, "the inherited `old` (1h)" in each.message) for each in said] == [
        ("minimum_gap.new.between", True)
    ]
    # What the base had made dead itself is the base's business.
    (tmp_path / "base.policy.toml").write_text(
        '[policy]\nname = "b"\n[[minimum_gap]]\nid = "old"\nbetween = "1h"\n'
        '[[minimum_gap]]\nid = "older"\nbetween = "3h"\n'
    )
    said = [each for each in look(own, where=str(tmp_path / "x.policy.toml")) if each.kind == "never_binds"]
    assert ["never decides: `older` asks for 3h" in each.message for each in said] == [True]


# --- what is accepted ------------------------------------------------------------------------------------------------

ALLOW = "# lint: allow unlimited because one person of the team is on the list\n"
HEAD = '[policy]\nname = "x"\n'


@pytest.mark.parametrize(
    "text",
    [
        ALLOW + HEAD, "# of the test page\n" + ALLOW + "\n# and more\n" + HEAD,
        '[policy]\nname = "x"  ' + ALLOW, "[policy]\n" + ALLOW + 'name = "x"\n',
        ALLOW.replace("unlimited", "short, unlimited").replace("# lint: allow", "#LINT:allow") + HEAD,
    ],
)  # fmt: skip
def test_a_warning_is_accepted_with_its_reason(text: str) -> None:
    (said,) = look(text, head="")
    assert (said.kind, said.level) == ("unlimited", "warning")
    assert said.accepted == "one person of the team is on the list"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("# lint: allow unlimited\n" + HEAD, "bad_directive", "gives no reason"),
        ("# lint: allow unlimited because\n" + HEAD, "bad_directive", "gives no reason"),
        ("# lint: allow because I say so\n" + HEAD, "bad_directive", "names no kind of remark"),
        ("# lint: allow unlimted because it is so\n" + HEAD, "bad_directive", "`unlimted` is not a kind of remark"),
        ("# lint: ignore unlimited\n" + HEAD, "bad_directive", "is not understood"),
        ("# lint: people in Germany\n" + HEAD, "bad_directive", "`GERMANY` is not a country or region"),
        ("# lint: people in\n" + HEAD, "bad_directive", "names no country"),
        # It stands elsewhere: on another line, in another table, behind everything.
        (HEAD + "[consent]\n" + ALLOW + 'require = "inbound"\n', "idle_allow", "accepts nothing"),
        (HEAD + ALLOW, "idle_allow", "accepts nothing"),
        (HEAD + ALLOW + "[consent]\n", "idle_allow", "accepts nothing"),
    ],
)
def test_what_accepts_nothing_is_a_warning_itself(text: str, kind: str, words: str) -> None:
    said = look(text, head="")
    assert [each.level for each in said if each.kind == kind and words in each.message] == ["warning"]
    assert [each.accepted for each in said if each.kind == "unlimited"] == [None]


def test_an_accepted_table_is_accepted_to_its_end_and_no_further() -> None:
    cap = '[[frequency_cap]]\nid = "{}"\nlimit = 1\nper = "24h"\n'
    allow = "# lint: allow holds_orders because the carrier sends its own news\n"
    said = look(HOUSE + allow + cap.format("a") + cap.format("b").replace("24h", "25h"))
    assert [(each.kind, bool(each.accepted)) for each in said if each.kind == "holds_orders"] == [
        ("holds_orders", True), ("holds_orders", False),
    ]  # fmt: skip


def test_no_error_is_accepted() -> None:
    text = (
        CAP + "# lint: allow contradictory_hours because we are closed\n" + HOUSE.replace('[["08:00", "21:00"]]', "[]")
    )
    said = {each.kind: (each.level, each.accepted) for each in look(text)}
    assert said["contradictory_hours"] == ("error", None)
    assert "idle_allow" in said


def test_a_comment_inside_a_text_says_nothing() -> None:
    assert look('note = """\n# lint: allow nothing\n"""\n')[0].kind == "unreadable"
    assert look(CAP + HOUSE) == []


# --- where the people are --------------------------------------------------------------------------------------------

NARROW = 'jurisdictions = "courtesy"\n' + CAP + HOUSE.replace('"08:00", "21:00"', '"06:00", "09:30"')


def test_laws_of_places_where_nobody_is_do_not_count() -> None:
    def level(places: str | None) -> list[str]:
        named = None if places is None else frozenset(places.split())
        found = lint(HEAD + NARROW, "x", today=TODAY, within=1, places=named)
        return [each.level for each in found if each.kind == "contradictory_hours" and each.accepted is None]

    assert level("IN") == ["error"]
    assert level("DE AT") == []
    assert set(level(None)) == {"notice"}
    # The document says it itself; whoever asks may say otherwise.
    said = lint("# lint: people in DE, AT\n" + HEAD + NARROW, "x", today=TODAY, within=1)
    assert [each.kind for each in said] == []
    said = lint("# lint: people in DE, AT\n" + HEAD + NARROW, "x", today=TODAY, within=1, places=frozenset({"IN"}))
    assert [each.kind for each in said] == ["contradictory_hours"]


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ({"US"}, True), ({"US-FL"}, True), ({"DE", "US-CA"}, True), ({"DE"}, False), ({"PR"}, False), (set(), False),
    ],
)  # fmt: skip
def test_a_date_of_american_law_concerns_americans(people: set[str], told: bool) -> None:
    text = '[policy]\nname = "x"\nextends = "default"\n'
    found = lint(text, "x", today=date(2026, 12, 1), within=90, places=frozenset(people))
    assert any("law/US:" in each.message for each in found) is told
    late = lint(text, "x", today=date(2027, 2, 1), within=1, places=frozenset(people))
    assert any(each.level == "warning" for each in late) is told


def test_a_region_is_bound_by_its_country_and_union_and_by_no_other_region() -> None:
    text = '[policy]\nname = "x"\nextends = "default"\n'
    old = lint(text, "x", today=date(2029, 1, 1), within=1, places=frozenset({"US-FL", "FR"}))
    said = " ".join(each.message for each in old if each.kind == "old_review")
    assert all(f"law/{code}" in said for code in ("FR", "US", "US-FL"))
    assert "law/US-TX" not in said
    assert "law/GB" not in said


def test_every_kind_is_known() -> None:
    assert len(set(KINDS)) == len(KINDS)
    assert LEVELS == ("error", "warning", "notice")
