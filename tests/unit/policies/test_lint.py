from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from policies.lint import Remark, lint
from policies.policy import BUILT_IN, built_in_text

TODAY = date(2026, 11, 21)


#: Whether a policy limits promotions at all is asked by tests of their own.
MISSING = {"unlimited", "no_hours", "no_cap"}


def look(
    text: str, *, today: date = TODAY, within: int = 30, where: str = "x.policy.toml",
    places: frozenset[str] | None = None,
) -> list[Remark]:  # fmt: skip
    found = lint(f'[policy]\nname = "x"\n{text}', where, today=today, within=within, places=places)
    return [each for each in found if each.kind not in MISSING]


def hours(id_: str, daily: str, more: str = "", applies_to: str = '["promotional"]') -> str:
    return f'[[permitted_hours]]\nid = "{id_}"\napplies_to = {applies_to}\ndaily = {daily}\n{more}\n'


HOUSE = hours("house", '[["08:00", "21:00"]]')


def cap(id_: str, limit: int, per: str, applies_to: str = '["promotional"]') -> str:
    return f'[[frequency_cap]]\nid = "{id_}"\nlimit = {limit}\nper = "{per}"\napplies_to = {applies_to}\n'


def gap(id_: str, between: str, applies_to: str = '["promotional"]') -> str:
    return f'[[minimum_gap]]\nid = "{id_}"\nbetween = "{between}"\napplies_to = {applies_to}\n'


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_policies_are_clean(name: str) -> None:
    assert [each for each in lint(built_in_text(name), name, today=TODAY, within=30) if not each.accepted] == []


EARNED = {
    "no policy": ("consent = 1\n", "unreadable", "error", "policy.consent", 3, "is not known here"),
    "not TOML": ("[[[\n", "unreadable", "error", "", 3, "is not TOML"),
    "unknown zone": (
        HOUSE + '[unknown_zone]\nmode = "fallback"\nzone = "Europe/Berlni"\n',
        "unknown_zone", "error", "unknown_zone.zone", 10, "did you mean Europe/Berlin?",
    ),
    "a zone like no other": (
        HOUSE + '[unknown_zone]\nmode = "fallback"\nzone = "Nowhere"\n',
        "unknown_zone", "error", "unknown_zone.zone", 10, "is not an IANA time zone, such as Europe/Berlin",
    ),
    "always open": (
        hours("any", '[["00:00", "24:00"]]'), "never_binds", "warning", "permitted_hours.any", 3, "open at all hours",
    ),
    "implied by one": (
        HOUSE + hours("wide", '[["07:00", "22:00"]]'),
        "never_binds", "warning", "permitted_hours.wide", 8, "permits whatever `house` permits",
    ),
    "implied by two together": (
        hours("early", '[["06:00", "20:00"]]') + hours("late", '[["08:00", "22:00"]]')
        + hours("middle", '[["07:00", "21:00"]]'),
        "never_binds", "warning", "permitted_hours.middle", 13, "`early` and `late`",
    ),
    "implied by what is inherited": (
        'extends = "default"\n' + hours("wide", '[["07:00", "22:00"]]'),
        "never_binds", "warning", "permitted_hours.wide", 4, "`house`",
    ),
    "the same twice": (
        HOUSE + hours("twin", '[["08:00", "21:00"]]'),
        "never_binds", "warning", "permitted_hours.house", 3, "`twin`",
    ),
    "a holiday like any day": (
        hours("house", '[["08:00", "21:00"]]', 'holiday = [["08:00", "21:00"]]\nholidays = "contact"'),
        "never_binds", "warning", "permitted_hours.house.holiday", 7, "changes no weekday's hours",
    ),
    "a day before a holiday that is no shorter": (
        hours("house", '[["08:00", "21:00"]]', 'before_holiday = [["07:00", "22:00"]]\nholidays = "contact"'),
        "never_binds", "warning", "permitted_hours.house.before_holiday", 7, "changes no weekday's hours",
    ),
    "whose holidays they are, and no hours for one": (
        hours("house", '[["08:00", "21:00"]]', 'holidays = "contact"'),
        "never_binds", "warning", "permitted_hours.house.holidays", 7, "decides nothing",
    ),
    "a cap that another reaches first": (
        cap("daily", 1, "24h") + cap("weekly", 7, "7d"),
        "never_binds", "warning", "frequency_cap.weekly.limit", 10, "`daily` (1 per 1d) comes first",
    ),
    "a calendar cap that another reaches first": (
        cap("daily", 2, "day") + cap("weekly", 14, "week"),
        "never_binds", "warning", "frequency_cap.weekly.limit", 10, "`daily` (2 per day) comes first",
    ),
    "a cap of the same day": (
        cap("daily", 1, "day") + cap("more", 2, "day"),
        "never_binds", "warning", "frequency_cap.more.limit", 10, "`daily` (1 per day) comes first",
    ),
    "a cap that a gap keeps from being reached": (
        gap("slow", "12h", '["promotional", "utility"]') + cap("daily", 2, "24h"),
        "never_binds", "warning", "frequency_cap.daily.limit", 9, "the gap `slow` keeps messages 12h apart",
    ),
    "a gap shorter than another": (
        gap("long", "2h") + gap("short", "1h"),
        "never_binds", "warning", "minimum_gap.short.between", 9, "`long` asks for 2h",
    ),
    "a gap that a cap implies": (
        cap("daily", 1, "24h") + gap("breath", "6h"),
        "never_binds", "warning", "minimum_gap.breath.between", 10, "the cap `daily` (1 per 1d)",
    ),
    "no margin": (
        '[messaging_window]\nmargin = "0s"\n',
        "never_binds", "notice", "messaging_window.margin", 4, "what holds without it",
    ),
    "hardly any window": (
        '[messaging_window]\nmargin = "23h30m"\n', "margin", "warning", "messaging_window.margin", 4, "leaves 30m",
    ),
    "a zone that nobody needs": (
        '[unknown_zone]\nmode = "fallback"\nzone = "Europe/Berlin"\n',
        "never_binds", "warning", "unknown_zone.mode", 4, "no effect",
    ),
    "a zone with the sign turned": (
        HOUSE + '[unknown_zone]\nmode = "fallback"\nzone = "Etc/GMT+5"\n',
        "odd_zone", "warning", "unknown_zone.zone", 10, "west of Greenwich",
    ),
    "a zone that nobody lives in": (
        HOUSE + '[unknown_zone]\nmode = "fallback"\nzone = "UTC"\n',
        "odd_zone", "notice", "unknown_zone.zone", 10, "not any country's zone",
    ),
    "consent of no jurisdiction": (
        'jurisdictions = "off"\n[consent]\nrequire = "packs"\n',
        "never_binds", "warning", "consent.require", 5, "nothing asks for consent",
    ),
    "a hand-over beyond the horizon": (
        '[handover]\ntimeout = "30d"\n', "never_binds", "notice", "handover.timeout", 4, "beyond what any decision",
    ),
    "said by the base already": (
        'extends = "default"\n' + cap("daily", 1, "24h"),
        "restated", "notice", "frequency_cap.daily", 4, "says what `default` says already",
    ),
    "closed on all days": (
        hours("house", "[]"), "contradictory_hours", "error", "permitted_hours.house", 3, "closed on all days",
    ),
    "no hour in common": (
        HOUSE + hours("night", '[["21:00", "23:00"]]'),
        "contradictory_hours", "error", "permitted_hours.night", 8, "no hour in common on any day",
    ),
    "no hour in common on Sundays": (
        HOUSE + hours("more", '[["08:00", "12:00"]]', 'sun = [["21:00", "23:00"]]'),
        "contradictory_hours", "warning", "permitted_hours.more", 8, "on sun",
    ),
    "no hour in common with a country": (
        'jurisdictions = "courtesy"\n' + hours("house", '[["06:00", "09:30"]]'),
        "contradictory_hours", "error", "permitted_hours.house", 4, "IN (in-trai-promo 10:00-21:00)",
    ),
    "no hour in common with a country on a weekday": (
        'jurisdictions = "courtesy"\n' + hours("house", '[["09:00", "20:00"]]', 'sat = [["15:30", "20:00"]]'),
        "contradictory_hours", "warning", "permitted_hours.house", 4, "CO on sat",
    ),
    "a country too wide": (
        hours("house", '[["12:00", "14:00"]]'), "no_common_instant", "warning", "permitted_hours.house", 3, "RU",
    ),
    "closed for longer than the window": (
        hours("house", '[["08:00", "21:00"]]', "sun = []"),
        "window_lost", "notice", "permitted_hours.house", 3, "closed for 1d11h",
    ),
    "a retired tag": (
        cap("post_purchase_update", 1, "24h"), "retired_tag", "warning", "id", 4, "error 100 since 2026-04-27",
    ),
    "a retired tag in a comment": (
        "# once sent as ACCOUNT_UPDATE\n", "retired_tag", "notice", "", 3, "use a utility template",
    ),
    "a retired tag in what is no policy": (
        'tag = "CONFIRMED_EVENT_UPDATE"\n', "retired_tag", "warning", "tag", 3, "Duly never sends a tag",
    ),
    "a tag for people": ("# HUMAN_AGENT\n", "retired_tag", "notice", "", 3, "for people alone"),
}  # fmt: skip


@pytest.mark.parametrize("case", EARNED.values(), ids=EARNED)
def test_each_kind_of_remark_is_earned(case: tuple[str, str, str, str, int, str]) -> None:
    text, kind, level, key, line, words = case
    people = frozenset({"IN", "CO", "RU"})
    found = [each for each in look(text, places=people) if each.kind == kind and words in each.message]
    assert [(each.level, each.key, each.line) for each in found] == [(level, key, line)]


def test_a_policy_that_says_what_it_means_earns_nothing() -> None:
    text = HOUSE + cap("daily", 1, "24h") + cap("weekly", 3, "7d")
    text += '[messaging_window]\nmargin = "5m"\n[unknown_zone]\nmode = "hold"\n[consent]\nrequire = "packs"\n'
    assert look('jurisdictions = "legal"\n' + text) == []


@pytest.mark.parametrize(
    "text",
    [
        # A holiday closes what the other leaves open.
        HOUSE + hours("wide", '[["07:00", "22:00"]]', 'holiday = []\nholidays = "contact"'),
        # The categories differ.
        HOUSE + hours("wide", '[["07:00", "22:00"]]', applies_to='["promotional", "utility"]'),
        # A rolling day may hold parts of two calendar days, and a calendar week eight parts of rolling ones.
        cap("daily", 1, "day") + cap("rolling", 1, "24h"),
        cap("rolling", 1, "24h") + cap("weekly", 7, "week"),
        # A calendar day's cap lets two messages go at midnight.
        cap("daily", 1, "day") + gap("breath", "1h"),
        # It counts less than it binds.
        cap("daily", 1, "24h", '["utility"]') + cap("weekly", 7, "7d", '["promotional", "utility"]'),
        gap("slow", "7h") + cap("daily", 3, "24h"),
    ],
)  # fmt: skip
def test_what_may_still_decide_is_let_be(text: str) -> None:
    assert [each for each in look(text) if each.kind == "never_binds"] == []


def test_dates_that_come_and_dates_that_came() -> None:
    default = 'extends = "default"\n'
    assert look(default, within=30) == []
    (soon,) = look(default, within=90)
    assert (soon.kind, soon.level, soon.line) == ("takes_effect", "notice", 3)
    assert soon.message.startswith("law/US: on 2027-01-31, in 71 days: ")
    americans = frozenset({"DE", "US-FL"})
    (came,) = look(default, today=date(2027, 2, 1), places=americans)
    assert (came.kind, came.level) == ("took_effect", "warning")
    assert "2026-12-01" in came.message
    # Where nobody said where the people are, it is to know, and says how to say that; where none is there, it is not.
    (came,) = look(default, today=date(2027, 2, 1))
    assert (came.kind, came.level) == ("took_effect", "notice")
    assert came.message.endswith(
        " (if your people are elsewhere, say where: `# lint: people in DE, AT`, or --countries)"
    )
    assert look(default, today=date(2027, 2, 1), places=frozenset({"DE", "CA"})) == []
    assert look("# lint: people in DE, CA\n" + default, today=date(2027, 2, 1), within=90) == []
    assert look('extends = "platform-only"\n', today=date(2027, 2, 1)) == []
    assert "old_review" in {each.kind for each in look(default, today=date(2028, 6, 1))}


def test_the_window_after_an_advertisement_is_to_come_where_the_policy_takes_it() -> None:
    text = "[messaging_window]\nclick_to_messenger = true\n"
    (soon,) = look(text, today=date(2026, 9, 1))
    assert (soon.kind, soon.line, soon.key) == ("takes_effect", 1, "policy.packs")
    assert "Click-to-Messenger" in soon.message
    assert [each for each in look(text, today=date(2026, 8, 1)) if each.kind == "takes_effect"] == []


def test_what_is_inherited_is_remarked_on_where_it_is_inherited_or_not_at_all(tmp_path: Path) -> None:
    base = '[policy]\nname = "base"\n' + hours("house", '[["06:00", "09:30"]]', "sun = []") + gap("one", "1h")
    (tmp_path / "base.policy.toml").write_text(base + gap("two", "1h") + cap("far", 99, "1h"), encoding="utf-8")
    text = 'extends = "base.policy.toml"\njurisdictions = "courtesy"\n'
    found = look(text, where=str(tmp_path / "own.policy.toml"))
    assert [(each.kind, each.line, each.key) for each in found] == [
        ("contradictory_hours", 3, "permitted_hours.house"),
        ("no_common_instant", 3, "permitted_hours.house"),
    ]  # fmt: skip


def test_a_base_beside_the_document_is_read(tmp_path: Path) -> None:
    (tmp_path / "base.policy.toml").write_text('[policy]\nname = "base"\n' + HOUSE, encoding="utf-8")
    found = look('extends = "base.policy.toml"\n' + HOUSE, where=str(tmp_path / "own.policy.toml"))
    assert [each.kind for each in found] == ["restated"]


def test_a_holidays_row_without_a_calendar_never_applies() -> None:
    text = hours("house", '[["08:00", "21:00"]]', "holiday = []")
    assert [(each.key, each.line) for each in look(text) if "never applies" in each.message] == [
        ("permitted_hours.house.holiday", 7)
    ]
    assert not look(text.replace("holiday = []", 'holiday = []\nholidays = "contact"'))
