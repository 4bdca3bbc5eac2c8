"""Every change of clocks in every zone of tzdata, against the wall clock read instant by instant."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from policies.engine import decide, permitted
from policies.facts import Facts, Send
from policies.intervals import covers
from policies.local_time import CHUNK, MARGIN, distinct_zones, pieces, zone, zone_data, zone_names
from policies.policy import Policy, parse_policy
from policies.stated_zones import names_no_place
from policies.terms import WEEKDAYS

START, END = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2031))
DAY = 86_400

#: The standard library's own reading of a zone, down to its table of transitions: it is asked for nothing else.
_StandardZone: Any = importlib.import_module("zoneinfo._zoneinfo").ZoneInfo


@cache
def transitions(name: str, start: int = START, end: int = END) -> tuple[int, ...]:
    """Every instant in [start, end) at which the zone's offset changes, from its data rather than by sampling."""
    with zone_data(name).open("rb") as file:
        standard = _StandardZone.from_file(file)
    found = set(standard._trans_utc)
    rule = standard._tz_after
    if hasattr(rule, "transitions"):
        for year in range(2000, 2040):
            into, out = rule.transitions(year)
            found |= {into - int(rule.std.utcoff.total_seconds()), out - int(rule.dst.utcoff.total_seconds())}
    return tuple(sorted(at for at in found if start <= at < end and offset(name, at - 1) != offset(name, at)))


#: Every clock that somebody lives by.
ZONES = distinct_zones(tuple(name for name in zone_names() if not names_no_place(name)))


def offset(name: str, at: int) -> int:
    found = datetime.fromtimestamp(at, zone(name)).utcoffset()
    assert found is not None
    return int(found.total_seconds())


def changing_zones() -> Iterator[str]:
    return (name for name in ZONES if transitions(name))


def test_pieces_change_exactly_where_the_zones_do() -> None:
    for name in ZONES:
        changes = set()
        for chunk in range(START // CHUNK, END // CHUNK, 6):
            found = pieces(name, chunk)
            assert found[0][0] == chunk * CHUNK - MARGIN
            assert found[-1][1] == (chunk + 1) * CHUNK + MARGIN
            for (_, end, before), (begin, _, after) in pairwise(found):
                assert end == begin
                assert before != after
                changes.add(begin)
        assert set(transitions(name)) <= changes, name
        assert changes <= set(transitions(name, START - MARGIN, END + CHUNK + MARGIN)), name


def test_no_zone_changes_its_clocks_twice_in_half_a_day() -> None:
    since = int(datetime(1970, 1, 1, tzinfo=UTC).timestamp())
    for name in ZONES:
        changes = transitions(name, since, END)
        assert all(later - earlier > DAY // 2 for earlier, later in pairwise(changes)), name


# Hours whose edges lie where clocks change: deep in the night, and around midnight; and the house's.
HOURS = {
    "night": 'daily = [["00:30", "01:15"], ["01:45", "02:30"], ["02:59", "03:01"]]',
    "midnight": 'daily = [["00:00", "00:30"], ["23:15", "24:00"]]\nsun = [["00:10", "23:30"]]\nmon = []',
    "house": 'daily = [["08:00", "21:00"]]\nsat = [["22:30", "22:45"], ["21:15", "21:30"]]',
}


def hours_policy(row: str, more: str = "") -> Policy:
    return parse_policy(f'[policy]\nname = "t"\n[[permitted_hours]]\nid = "h"\n{row}\n{more}', where="t")


def shown_open(policy: Policy, name: str, at: int) -> bool:
    """The oracle: what the clock on the wall shows at this instant, and the row of its own date."""
    local = datetime.fromtimestamp(at, zone(name))
    row = policy.hours[0].rows[WEEKDAYS.index(f"{local:%a}".lower())]
    clock = local.hour * 3600 + local.minute * 60 + local.second
    return row is None or any(opens <= clock < closes for opens, closes in row)


@pytest.mark.parametrize("row", HOURS.values(), ids=HOURS)
def test_no_permitted_instant_lies_in_a_quiet_period(row: str) -> None:
    policy = hours_policy(row)
    asked = 0
    for name in changing_zones():
        facts = Facts(category="utility", template_approved=True, timezones=(name,))
        for change in transitions(name):
            times = permitted(policy, facts, change - DAY)
            edges = {edge for interval in times[:12] for edge in interval if abs(edge - change) < DAY}
            for near in {change, change - 3600, change + 3600, change - 1800, change + 1800, *edges}:
                for at in (near - 60, near - 1, near, near + 1, near + 60):
                    if at < change - DAY:
                        continue
                    asked += 1
                    assert covers(times, at, 0) == shown_open(policy, name, at), (name, at)
    assert asked > 10_000


def test_quiet_hours_of_every_zone_through_a_year() -> None:
    policy = hours_policy(HOURS["house"])
    for number, name in enumerate(ZONES):
        facts = Facts(category="utility", template_approved=True, timezones=(name,))
        now = int(datetime(2026, 1 + number % 12, 1 + number % 28, tzinfo=UTC).timestamp())
        times = permitted(policy, facts, now)
        for at in {edge for interval in times for edge in interval} | set(range(now, now + 20 * DAY, 7 * 3600 + 61)):
            for near in (at - 1, at, at + 1):
                if now <= near < now + 30 * DAY:
                    assert covers(times, near, 0) == shown_open(policy, name, near), (name, near)


def test_decisions_at_a_change_of_clocks_agree_with_the_permitted_times() -> None:
    policy = hours_policy(HOURS["midnight"])
    for name in changing_zones():
        facts = Facts(category="utility", template_approved=True, timezones=(name,))
        for change in transitions(name)[:6]:
            times = permitted(policy, facts, change - 3 * 3600)
            for at in (change - 60, change - 1, change, change + 1, change + 60, change + 3600):
                decision = decide(policy, facts, at)
                assert (decision.verdict == "send") == covers(times, at, 0), (name, at)
                if decision.verdict == "defer":
                    assert decision.at is not None
                    assert decide(policy, facts, decision.at).verdict == "send", (name, at)
                    assert not shown_open(policy, name, decision.at - 1) or decision.at == at


@pytest.mark.parametrize("per", ["day", "week"])
def test_a_calendar_cap_is_the_wall_calendars_in_every_zone(per: str) -> None:
    policy = parse_policy(f'[policy]\nname = "t"\n[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "{per}"', where="t")
    for name in changing_zones():
        for change in transitions(name)[:4]:
            sent = change - 5000
            facts = Facts(
                category="utility",
                template_approved=True,
                timezones=(name,),
                sends=(Send(at=sent, category="utility"),),
            )
            times = permitted(policy, facts, sent)
            edges = [edge for interval in times for edge in interval][:4]
            for at in (
                sent,
                change - 1,
                change,
                change + 1,
                change + 3599,
                change + 3600,
                *(e - 1 for e in edges),
                *edges,
            ):
                if sent <= at < sent + 30 * DAY:
                    assert covers(times, at, 0) == (calendar(name, at, per) != calendar(name, sent, per)), (name, at)


def calendar(name: str, at: int, per: str) -> tuple[int, ...]:
    date = datetime.fromtimestamp(at, zone(name)).date()
    return date.isocalendar()[:2] if per == "week" else (date.year, date.month, date.day)


def test_many_candidates_are_permitted_only_where_each_of_them_is() -> None:
    policy = hours_policy('daily = [["06:00", "23:00"]]')
    now = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
    for country in ("US", "BR", "AU", "CA", "RU", "DE", "CL", "ID"):
        facts = Facts(category="utility", template_approved=True, country=country)
        times = permitted(policy, facts, now)
        names = tuple(zones_of(country))
        for at in {edge for interval in times for edge in interval} | set(range(now, now + 30 * DAY, 9 * 3600)):
            for near in (at - 1, at):
                if now <= near < now + 30 * DAY:
                    assert covers(times, near, 0) == all(shown_open(policy, name, near) for name in names), (
                        country,
                        near,
                    )


def zones_of(country: str) -> Iterator[str]:
    for line in zone_data("zone.tab").read_text().splitlines():
        if line.startswith(f"{country}\t"):
            yield line.split("\t")[2]
