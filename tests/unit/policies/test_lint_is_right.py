"""What lint says can never bind never does: without it, everything goes as with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import permitted
from policies.facts import CATEGORIES, Facts, Send
from policies.lint import lint
from policies.policy import Policy, parse_policy

#: 2026-10-19T00:00:00Z, the Monday of a week whose Sunday has 25 hours in Berlin.
MONDAY = 1_792_368_000

groups = st.sampled_from(['["promotional"]', '["utility"]', '["promotional", "utility"]'])
clocks = st.sampled_from([("00:00", "24:00"), ("06:00", "22:00"), ("08:00", "21:00"), ("10:00", "14:00")])
caps = st.builds(
    "limit = {}\nper = \"{}\"\napplies_to = {}\n".format,
    st.sampled_from([1, 2, 3, 4, 7, 8, 14]), st.sampled_from(["6h", "12h", "24h", "3d", "7d", "day", "week"]), groups,
)  # fmt: skip
gaps = st.builds('between = "{}"\napplies_to = {}\n'.format, st.sampled_from(["1h", "6h", "12h", "24h"]), groups)
hours = st.builds(
    "daily = [[\"{0[0]}\", \"{0[1]}\"]]\napplies_to = {1}\n".format, clocks, groups,
)  # fmt: skip

pauses = st.sampled_from([0, 1, 3600, 40_000, 86_399])


def without(policy: Policy, keys: set[str]) -> Policy:
    return replace(
        policy,
        hours=tuple(each for each in policy.hours if f"permitted_hours.{each.id}" not in keys),
        caps=tuple(each for each in policy.caps if f"frequency_cap.{each.id}" not in keys),
        gaps=tuple(each for each in policy.gaps if f"minimum_gap.{each.id}" not in keys),
        bindings={},
    )


@settings(max_examples=120, deadline=None)
@given(
    entries=st.tuples(st.lists(hours, max_size=3), st.lists(caps, max_size=3), st.lists(gaps, max_size=2)),
    steps=st.lists(st.tuples(st.sampled_from(CATEGORIES[:2]), pauses), max_size=14),
)  # fmt: skip
def test_what_never_binds_never_does(entries: tuple[list[str], ...], steps: list[tuple[str, int]]) -> None:
    text = '[policy]\nname = "x"\n'
    for table, listed in zip(("permitted_hours", "frequency_cap", "minimum_gap"), entries, strict=True):
        for number, body in enumerate(listed):
            text += f'[[{table}]]\nid = "e{number}"\n{body}'
    said = lint(text, "x", today=date(2026, 11, 21), within=1)
    idle = {".".join(each.key.split(".")[:2]) for each in said if each.kind == "never_binds"}
    whole = parse_policy(text, where="x")
    less = without(whole, idle)
    facts, now = Facts(timezones=("Europe/Berlin",)), MONDAY
    # As messages go out whenever the rest of the policy lets them, nothing that is left out would have stopped one.
    for category, pause in steps:
        facts = replace(facts, category=category, last_inbound=now)
        times = permitted(less, facts, now)
        assert times == permitted(whole, facts, now)
        now = (times[0][0] if times else now) + pause
        if times and now >= times[0][1]:
            now = times[0][0]
        if times:
            facts = replace(facts, sends=(*facts.sends, Send(at=now, category=category)))
