"""Laws of decisions, over random policies and facts of every sort."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from policies.case import HORIZON, Case, case_of
from policies.decision import PRECEDENCE
from policies.engine import decide, permitted
from policies.facts import Facts, Send, facts_from_json, facts_to_json
from policies.forecast import forecast
from policies.intervals import Intervals, covers, intersect, subtract, usable
from policies.local_time import zone_names
from policies.policy import Policy, parse_policy, policy_to_document
from policies.rules import messaging_window, schedule
from policies.rules.holds import HOLDS
from policies.stated_zones import known_zone, names_no_place
from tests.properties.naive_documents import DAY, HOUR
from tests.properties.random_documents import known_policies, random_document
from tests.properties.random_facts import case

fixed = settings(derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: Told by their numbers, for a policy is long to print. Few, so that what the engine works out for their places serves
#: many cases.
TEXTS = [random_document(random.Random(number)) for number in range(40)]
KNOWN = [policy for policy, _ in known_policies().values()]
POLICIES = KNOWN + [parse_policy(text, where="t") for text in TEXTS]

seeds = st.integers(0, 2**32)
policies = st.integers(0, len(POLICIES) - 1)
#: Facts, the instant of the question, and the seconds that a send must stay permitted.
cases = seeds.map(lambda seed: case(random.Random(seed)))
laters = st.one_of(st.integers(0, 2 * DAY), st.integers(0, 29 * DAY))

FREE = {
    "opted_out": False, "opted_out_topics": (), "blocked": False, "unreachable": False, "erased": False,
    "not_allowed": False, "held": False, "kill_switch": False, "campaign_paused": False, "page_stopped": False,
}  # fmt: skip


def free(facts: Facts) -> Facts:
    """The same without bars and switches, so that there is something to decide."""
    return replace(facts, **FREE)  # type: ignore[arg-type]  # the names are those of Facts


@settings(fixed, max_examples=800)
@given(policies, cases, laters)
def test_the_decision_at_an_instant_is_its_membership(number, asked, later):  # type: ignore[no-untyped-def]
    policy = POLICIES[number]
    facts, now, remaining = free(asked[0]), asked[1], asked[2]
    at = now + later
    here, there = (
        decide(policy, facts, now, min_remaining=remaining),
        decide(policy, facts, at, min_remaining=remaining),
    )
    # What suits every candidate is looked for up to a horizon, which lies further ahead at the later instant.
    assume("unknown_zone" not in (*here.because, *there.because))
    assume(here.wakes_on is None or here.at is not None)
    assert covers(permitted(policy, facts, now), at, remaining) == (there.verdict == "send")


@settings(fixed, max_examples=800)
@given(policies, cases)
def test_at_the_instant_that_was_promised_it_goes(number, asked):  # type: ignore[no-untyped-def]
    policy = POLICIES[number]
    facts, now, remaining = free(asked[0]), asked[1], asked[2]
    decision = decide(policy, facts, now, min_remaining=remaining)
    if decision.verdict == "defer" and decision.at is not None:
        again = decide(policy, facts, decision.at, min_remaining=remaining)
        assert (again.verdict, again.ground) == ("send", decision.ground)
        # Nothing is said of what lies beyond the horizon.
        assert min(again.closes_at or 0, now + HORIZON) == decision.closes_at
        # Not a second sooner.
        assert decide(policy, facts, decision.at - 1, min_remaining=remaining).verdict == "defer"


#: What makes a document stricter: its name, and from a text to the stricter one.
STRICTER = {
    "hours": lambda text: text + '[[permitted_hours]]\nid = "more"\ndaily = [["09:30", "18:00"]]\nsun = []\n',
    "holidays": lambda text: text + '[[permitted_hours]]\nid = "more"\nholiday = []\nholidays = "contact"\n',
    "cap": lambda text: text + '[[frequency_cap]]\nid = "more"\nlimit = 1\nper = "30h"\n',
    "calendar": lambda text: text + '[[frequency_cap]]\nid = "more"\nlimit = 1\nper = "day"\n',
    "gap": lambda text: text + '[[minimum_gap]]\nid = "more"\nbetween = "1d"\n',
    "margin": lambda text: re.sub(r'margin = "\w+"\n', "", text).replace(
        "[messaging_window]\n", '[messaging_window]\nmargin = "23h30m"\n'
    ),
    "advertisements": lambda text: text.replace("click_to_messenger = true", "click_to_messenger = false"),
    "courtesy": lambda text: re.sub(r'jurisdictions = "\w+"', 'jurisdictions = "courtesy"', text),
    "consent": lambda text: text.replace('require = "inbound"', 'require = "packs"'),
    "handover": lambda text: re.sub(r'timeout = "\w+"', 'timeout = "30d"', text),
}
STRICT = {name: [parse_policy(stricter(text), where="t") for text in TEXTS] for name, stricter in STRICTER.items()}
LOOSE = POLICIES[len(KNOWN) :]


@settings(fixed, max_examples=1000)
@given(st.sampled_from(sorted(STRICTER)), st.integers(0, len(TEXTS) - 1), cases)
def test_a_stricter_policy_never_permits_more(name, number, asked):  # type: ignore[no-untyped-def]
    facts, now, _ = asked
    facts = free(facts)
    assert subtract(permitted(STRICT[name][number], facts, now), permitted(LOOSE[number], facts, now)) == ()


def _later(before: int | None, now: int) -> int:
    return max(before or 0, now + 5 * HOUR)


#: Facts that say more against a message.
WORSE = {
    "opted_out": lambda facts, now: replace(facts, opted_out=True, confirms_opt_out=False),
    "blocked": lambda facts, now: replace(facts, blocked=True),
    "erased": lambda facts, now: replace(facts, erased=True),
    "unreachable": lambda facts, now: replace(facts, unreachable=True),
    "not_allowed": lambda facts, now: replace(facts, not_allowed=True),
    "kill_switch": lambda facts, now: replace(facts, kill_switch=True),
    "handover": lambda facts, now: replace(facts, handover=True, handover_at=now),
    "send": lambda facts, now: replace(
        facts, sends=(*facts.sends, Send(at=now - HOUR, category="promotional", ground="marketing_token"))
    ),
    "not_before": lambda facts, now: replace(facts, not_before=_later(facts.not_before, now)),
    "expires_at": lambda facts, now: replace(facts, expires_at=min(facts.expires_at or now + DAY, now + 7 * HOUR)),
    "window": lambda facts, now: replace(facts, last_inbound=None),
    "tokens": lambda facts, now: replace(facts, tokens=facts.tokens[1:]),
    "consents": lambda facts, now: replace(facts, consents=facts.consents[1:]),
    "template": lambda facts, now: replace(facts, template_approved=False),
}


@settings(fixed, max_examples=800)
@given(policies, st.sampled_from(sorted(WORSE)), cases)
def test_worse_facts_never_permit_more(number, name, asked):  # type: ignore[no-untyped-def]
    policy = POLICIES[number]
    facts, now, _ = asked
    facts = free(facts)
    # A handover of which nobody knows since when has no end: one that began now is the better of the two.
    assume(name != "handover" or not facts.handover)
    worse = permitted(policy, WORSE[name](facts, now), now)
    # A token that rests lets no other rest the less: removing one can only help where it is a marketing token.
    assume(name != "tokens" or not facts.tokens or facts.tokens[0].kind != "marketing")
    assert subtract(worse, permitted(policy, facts, now)) == ()


# --- blame -----------------------------------------------------------------------------------------------------------

RULES = {rule.name: rule for rule in (messaging_window.RULE, *HOLDS)}


def left(asked: Case, relaxed: set[str]) -> Intervals:
    """What is left when some rules always permit."""
    times = (
        asked.whole if messaging_window.NAME in relaxed else intersect(asked.whole, messaging_window.grounded(asked))
    )
    for hold in HOLDS:
        if hold.name not in relaxed:
            times = hold.narrow(asked, times)
    return usable(times, asked.remaining)


@settings(fixed, max_examples=800)
@given(policies, cases)
def test_blame_is_sufficient_and_minimal(number, asked):  # type: ignore[no-untyped-def]
    policy = POLICIES[number]
    facts, now, remaining = free(asked[0]), asked[1], asked[2]
    decision, question = decide(policy, facts, now, min_remaining=remaining), case_of(policy, facts, now, remaining)
    assume("unknown_zone" not in decision.because)
    blamed = set(decision.because)
    if decision.verdict == "send":
        assert blamed == set()
        assert covers(left(question, set()), now, remaining)
    elif decision.verdict == "defer" and not decision.awaits_person:
        # Without all that is blamed it could go now; without all but one of it, it could not.
        assert covers(left(question, blamed), now, remaining)
        if decision.at is not None:
            assert all(not covers(left(question, blamed - {name}), now, remaining) for name in blamed)
    elif not schedule.expired(question):
        # A denial, or a wait for the person, which is blamed as the denial that it replaces.
        # A handover only ever defers: the conversation may be handed back.
        others = RULES.keys() - {"handover"}
        helps = {name for name in others if left(question, {name, "handover"})}
        if helps:
            assert blamed == helps
        else:
            span = ((now, max(question.horizon, now + remaining + 1)),)
            empty = {name for name in others if not usable(RULES[name].narrow(question, span), remaining)}
            assert blamed == empty or not empty
            assert blamed
            assert "handover" not in blamed
    assert list(decision.because) == sorted(blamed, key=PRECEDENCE.index)


#: As if a ground held at whatever time suits; a conversation of the team may be handed back.
THERE = {"messaging_window", "handover"}


def each_place(policy: Policy, facts: Facts, now: int, remaining: int) -> Iterator[Case]:
    """The case if their zone were known, for each that the evidence allows, by all its names."""
    together = case_of(policy, facts, now, remaining).binding
    names = [*together.zones, *filter(None, map(known_zone, facts.timezones))]
    if together.evidence in ("none", "fallback"):
        names += zone_names()
    for name in dict.fromkeys(names):
        # An offset tells a clock, and no country.
        place = () if name.startswith("UTC") or names_no_place(name) else (name,)
        if not place and name not in together.zones:
            continue  # stands for three offsets, which are among the candidates
        found = case_of(policy, replace(facts, timezones=place, utc_offset=None), now, remaining)
        found.binding = replace(
            found.binding, zones=(name,), uncertain=False, held=False, _timelines={}, _latest=None, _known={}
        )
        yield found


@settings(fixed, max_examples=500)
@given(policies, cases)
@example(15, case(random.Random(2613)))  # Taipei asks for no consent, Berlin does
def test_a_message_that_may_wait_waits_where_the_person_can_lift_the_denial(number, asked):  # type: ignore[no-untyped-def]
    policy = POLICIES[number]
    facts, now, remaining = free(asked[0]), asked[1], asked[2]
    may, may_not = (
        decide(policy, replace(facts, may_wait=may_wait), now, min_remaining=remaining) for may_wait in (True, False)
    )
    wakes_on = None
    if may_not.verdict == "deny" and remaining < policy.window:
        if "messaging_window" in may_not.because and left(case_of(policy, facts, now, remaining), THERE):
            wakes_on = "inbound"
        # Their place would lift it: which of the hours suits, or whose consent is asked for.
        elif may_not.because == ("unknown_zone",) or "consent" in may_not.because:
            places = each_place(policy, facts, now, remaining)
            wakes_on = "zone_evidence" if any(left(each, THERE) for each in places) else None
    # The same blame and the same reason: they still say what is missing.
    assert may == (may_not if wakes_on is None else replace(may_not, verdict="defer", wakes_on=wakes_on))


# --- looking ahead, and keeping --------------------------------------------------------------------------------------


@settings(fixed, max_examples=300)
@given(policies, cases, st.integers(1, 72 * HOUR), st.lists(st.integers(0, 72 * HOUR), max_size=4))
def test_a_forecast_tiles_its_span_and_says_what_would_be_decided(number, asked, span, instants):  # type: ignore[no-untyped-def]
    policy = POLICIES[number]
    facts, now, remaining = asked
    told = forecast(policy, facts, now, span=span, min_remaining=remaining)
    stretches = told.stretches
    assert told.decision == decide(policy, facts, now, min_remaining=remaining)
    assert (stretches[0].start, stretches[-1].end) == (now, now + span)
    for left_one, right_one in pairwise(stretches):
        assert left_one.end == right_one.start
        assert replace(left_one, start=0, end=0) != replace(right_one, start=0, end=0)
    assume("unknown_zone" not in told.decision.because)
    sampled = {each.start for each in stretches} | {each.end - 1 for each in stretches}
    for at in sampled | {now + instant % span for instant in instants}:
        stretch = next(each for each in stretches if each.start <= at < each.end)
        then = decide(policy, facts, at, min_remaining=remaining)
        if then.because == ("unknown_zone",):
            continue  # the horizon has moved
        assert stretch.permitted == (then.verdict == "send")
        if stretch.permitted:
            assert (stretch.ground, stretch.because, stretch.reason) == (then.ground, (), None)
        elif then.verdict == "defer" and not then.awaits_person:
            # A stretch names what is closed then; a wait for the person is blamed as the denial that it replaces.
            assert (stretch.because, stretch.reason) == (then.because, then.reason)


@settings(fixed, max_examples=300)
@given(cases)
def test_facts_survive_being_stored(asked):  # type: ignore[no-untyped-def]
    assert facts_from_json(json.loads(json.dumps(facts_to_json(asked[0])))) == asked[0]


@settings(fixed, max_examples=200)
@given(seeds)
def test_a_canonical_document_says_the_same(seed: int) -> None:
    policy: Policy = parse_policy(random_document(random.Random(seed)), where="t")
    again = parse_policy(policy_to_document(policy), where="canonical")
    assert again == policy
    assert (again.version, again.document) == (policy.version, policy.document)
