"""Hours that bind nobody, hours that cannot be met together, and hours that outlast the messaging window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from policies.case import case_of
from policies.facts import CATEGORIES, Facts
from policies.intervals import Intervals, intersect, subtract
from policies.law import binding_hours, jurisdictions_with_packs, unions_of
from policies.lint.remark import Remark, Subject
from policies.local_time import DAY
from policies.places import zones_of_countries
from policies.rules import unknown_zone
from policies.terms import WEEKDAYS, Hours, Row, binds, duration
from policies.wording import row_words

_SECTION = "permitted_hours"
_OPEN: Intervals = ((0, DAY),)
#: Countries whose zones are those of stations: nobody lives there.
_STATIONS = frozenset({"AQ"})
#: How many jurisdictions are named with their hours before only their codes are.
_SPELT_OUT = 4


def check(subject: Subject) -> Iterator[Remark]:
    """Every remark about hours."""
    idle = dict(_never_binding(subject))
    yield from idle.values()
    hours = [each for each in subject.policy.hours if each.id not in idle]
    broken = list(_contradictory(subject, hours))
    yield from broken
    if not broken:
        yield from _against_packs(subject, hours)
        yield from _no_common_instant(subject, hours)
        yield from _outlasting(subject, hours)
    yield from _rows_without_effect(subject, hours)


def _times(row: Row | None) -> Intervals:
    return _OPEN if row is None else tuple(row)


def _within(inner: Intervals, outer: Intervals) -> bool:
    return not subtract(inner, outer)


def _never_binding(subject: Subject) -> Iterator[tuple[str, Remark]]:
    """The ids of entries that decide nothing, each with its remark."""
    left = list(subject.policy.hours)
    for hours in subject.policy.hours:
        if all(_within(_OPEN, _times(row)) for row in (*hours.rows, hours.holiday, hours.before_holiday)):
            left.remove(hours)
            yield hours.id, subject.at_entry(
                "never_binds", "warning", _SECTION, hours.id,
                f"`{hours.id}` is open at all hours of all days, so it binds nobody: give it hours, or take it out",
            )  # fmt: skip
    for hours in tuple(left):
        implied_by = _implied_by(hours, [each for each in left if each is not hours])
        # What is inherited is the base's business; of two equal entries one is too many.
        if implied_by and subject.own(_SECTION, hours.id) is not None:
            left.remove(hours)
            yield hours.id, subject.at_entry(
                "never_binds", "warning", _SECTION, hours.id,
                f"`{hours.id}` permits whatever {_named(implied_by)} permits, so it never decides: narrow it, or take "
                "it out",
            )  # fmt: skip


def _rows_without_effect(subject: Subject, entries: Sequence[Hours]) -> Iterator[Remark]:
    for hours in entries:
        # What is alone is not part of the policy that is read: the document itself says whether it is there.
        table = subject.own(_SECTION, hours.id)
        said = {key for key in ("holidays", "holiday", "before_holiday") if table is not None and table.has(key)}
        if said == {"holidays"}:
            yield subject.at_entry(
                "never_binds", "warning", _SECTION, hours.id,
                f"`holidays` of `{hours.id}` decides nothing: say what holds on one in a row `holiday` or "
                "`before_holiday`, or take it out", "holidays",
            )  # fmt: skip
        for key, row in (("holiday", hours.holiday), ("before_holiday", hours.before_holiday)):
            if key in said and "holidays" not in said:
                yield subject.at_entry(
                    "never_binds", "warning", _SECTION, hours.id,
                    f"`{key}` of `{hours.id}` never applies, because no day counts as a holiday: say `holidays = "
                    '"contact"`, or a code, or take the row out', key,
                )  # fmt: skip
            elif row is not None and _row_without_effect(hours, key, row):
                yield subject.at_entry(
                    "never_binds", "warning", _SECTION, hours.id,
                    f"`{key}` of `{hours.id}` changes no weekday's hours: take it out, or change it", key,
                )  # fmt: skip


def _row_without_effect(hours: Hours, key: str, row: Row) -> bool:
    if key == "holiday":
        return all(_times(each) == tuple(row) for each in hours.rows)
    return all(_within(_times(each), _times(row)) for each in hours.rows)


def _implied_by(hours: Hours, others: Sequence[Hours]) -> list[str]:
    """The ids of entries that together imply this one, for every category it binds; empty: it decides something."""
    found: list[str] = []
    for category in CATEGORIES:
        if not binds(hours.applies_to, category):
            continue
        binding = [each for each in others if binds(each.applies_to, category)]
        alone = next((each for each in binding if _implies(each, hours)), None)
        if alone is not None:
            found.append(alone.id)
        elif _plain(hours) and (plain := [each for each in binding if _plain(each)]) and _together(plain, hours):
            found += [each.id for each in plain]
        else:
            return []
    return list(dict.fromkeys(found))


def _plain(hours: Hours) -> bool:
    return hours.holiday is None and hours.before_holiday is None


def _together(entries: Iterable[Hours], hours: Hours) -> bool:
    rows = [_OPEN] * 7
    for each in entries:
        rows = [intersect(one, _times(other)) for one, other in zip(rows, each.rows, strict=True)]
    return all(_within(one, _times(other)) for one, other in zip(rows, hours.rows, strict=True))


def _implies(one: Hours, other: Hours) -> bool:
    """Whether whatever ``one`` permits ``other`` permits too, on whatever day it is."""
    weekdays = all(_within(_times(a), _times(b)) for a, b in zip(one.rows, other.rows, strict=True))
    # Whose holidays they are may differ: a holiday's row must fit wherever the other may stand beside it.
    special = [_times(row) for row in (other.holiday, other.before_holiday) if row is not None]
    mine = [_times(row) for row in one.rows] + ([_times(one.holiday)] if one.holiday is not None else [])
    if any(not _within(each, row) for each in mine for row in special):
        return False
    return weekdays and (one.holiday is None or all(_within(_times(one.holiday), _times(row)) for row in other.rows))


def _contradictory(subject: Subject, hours: Sequence[Hours]) -> Iterator[Remark]:
    said: set[tuple[str, ...]] = set()
    for category in CATEGORIES:
        binding = [each for each in hours if binds(each.applies_to, category)]
        for each in binding:
            if all(row == () for row in each.rows) and (each.id,) not in said:
                said.add((each.id,))
                yield subject.at_entry(
                    "contradictory_hours", "error", _SECTION, each.id,
                    f"`{each.id}` is closed on all days, so no {category} message may ever go: open it at some hour, "
                    "or pause sending by a kill switch",
                )  # fmt: skip
        ids = tuple(each.id for each in binding)
        days = _empty_days(binding)
        if len(binding) > 1 and days and ids not in said and not any((id_,) in said for id_ in ids):
            said.add(ids)
            last = next((id_ for id_ in reversed(ids) if subject.own(_SECTION, id_)), ids[-1])
            yield subject.at_entry(
                "contradictory_hours", "error" if len(days) == 7 else "warning", _SECTION, last,
                f"{_named(ids)}: no hour in common {_on(days)}, so no {category} message may go then: widen one, "
                "or close the day in one of them to say that it is meant",
            )  # fmt: skip


def _empty_days(entries: Sequence[Hours]) -> list[int]:
    """The weekdays on which each of the entries is open, but never all of them."""
    found = []
    for day in range(7):
        times = _OPEN
        for each in entries:
            times = intersect(times, _times(each.rows[day]))
        if not times and all(each.rows[day] != () for each in entries):
            found.append(day)
    return found


def _against_packs(subject: Subject, hours: Sequence[Hours]) -> Iterator[Remark]:
    mode = subject.policy.jurisdictions
    house = [each for each in hours if binds(each.applies_to, "promotional")]
    if mode == "off" or not house:
        return
    never: list[tuple[str, str]] = []
    some: list[tuple[str, str]] = []
    for code in filter(subject.concerns, sorted(jurisdictions_with_packs())):
        packs = [each for place in _together_with(code) for each in binding_hours(place, mode)]
        own = binding_hours(code, mode)
        if not own or not packs:
            continue
        words = ", ".join(f"{each.id} {_pack_words(each)}" for each in own)
        days = _empty_days([*house, *packs])
        if _week_is_empty([*house, *packs]):
            never.append((code, words))
        elif days:
            some.append((f"{code} {_on(days)}", words))
    ids = [each.id for each in house]
    last = next((id_ for id_ in reversed(ids) if subject.own(_SECTION, id_)), ids[-1])
    if never:
        yield subject.at_entry(
            "contradictory_hours", subject.of_law("error"), _SECTION, last,
            f"{_named(ids)}: no hour in common with the hours that bind in {_spelt(never)}, so nobody there "
            "ever gets a promotional message: widen them, or keep those places out of the audience"
            + subject.hint,
        )  # fmt: skip
    if some:
        yield subject.at_entry(
            "contradictory_hours", subject.of_law("warning"), _SECTION, last,
            f"{_named(ids)}: no hour in common with the hours that bind in {_spelt(some)}: widen them, or close "
            f"the day to say that it is meant{subject.hint}",
        )  # fmt: skip


def _spelt(places: Sequence[tuple[str, str]]) -> str:
    spelt = [f"{place} ({words})" for place, words in places[:_SPELT_OUT]]
    return ", ".join([*spelt, *(place for place, _ in places[_SPELT_OUT:])])


def _together_with(code: str) -> tuple[str, ...]:
    """The jurisdictions that bind somebody in this one: itself, its country, its union."""
    country = code.partition("-")[0]
    return tuple(dict.fromkeys((code, country, *unions_of(country))))


def _week_is_empty(entries: Sequence[Hours]) -> bool:
    for day in range(7):
        times = _OPEN
        for each in entries:
            times = intersect(times, _times(each.rows[day]))
        if times:
            return False
    return True


def _pack_words(hours: Hours) -> str:
    return "/".join(dict.fromkeys(row_words(row) for row in hours.rows))


def _no_common_instant(subject: Subject, hours: Sequence[Hours]) -> Iterator[Remark]:
    """Countries so wide that no instant suits all of their zones: knowing the country alone is not enough."""
    if subject.policy.unknown_zone.mode == "hold":
        return
    never = []
    for country in filter(subject.concerns, sorted(zones_of_countries().keys() - _STATIONS)):
        for category in CATEGORIES:
            facts = Facts(country=country, category=category)
            # Half a year apart, for clocks that change.
            moments = (subject.now, subject.now + 182 * DAY)
            if all(unknown_zone.impossible(case_of(subject.policy, facts, now, 0)) for now in moments):
                never.append(country)
                break
    if never and hours:
        last = next((each.id for each in hours if subject.own(_SECTION, each.id)), None)
        yield subject.at_entry(
            "no_common_instant", subject.of_law("warning"), _SECTION, last or hours[0].id,
            f"no instant suits all zones of {', '.join(never)}: whoever is known by the country alone gets "
            'no message under these hours; widen them, bring regions or zones, or say mode = "hold" in [unknown_zone]'
            + subject.hint,
        )  # fmt: skip


def _outlasting(subject: Subject, hours: Sequence[Hours]) -> Iterator[Remark]:
    """Closed for longer than the messaging window is open: whoever writes as it closes cannot be answered in time."""
    window = subject.policy.window
    for category in CATEGORIES:
        binding = [each for each in hours if binds(each.applies_to, category)]
        longest = _longest_pause(binding)
        if longest > window:
            last = next((each.id for each in reversed(binding) if subject.own(_SECTION, each.id)), None)
            if last is None:
                continue
            yield subject.at_entry(
                "window_lost", "notice", _SECTION, last,
                f"closed for {duration(longest)} at a stretch, longer than the messaging window of {duration(window)}: "
                f"whoever writes as it closes gets no {category} message without a template or a token",
            )  # fmt: skip
            return


def _longest_pause(entries: Sequence[Hours]) -> int:
    week: list[tuple[int, int]] = []
    for number in range(14):
        times = _OPEN
        for each in entries:
            times = intersect(times, _times(each.rows[number % 7]))
        week += [(number * DAY + start, number * DAY + end) for start, end in times]
    return max((later[0] - earlier[1] for earlier, later in pairwise(week)), default=0)


def _on(days: Sequence[int]) -> str:
    return "on any day" if len(days) == 7 else f"on {', '.join(WEEKDAYS[day] for day in days)}"


def _named(ids: Sequence[str]) -> str:
    named = [f"`{id_}`" for id_ in ids]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
