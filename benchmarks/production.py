"""What decisions cost on the facts that production has: tokens, consents, topics opted out, handovers, bars.

Each kind of people against an ``if`` chain written by hand over the same facts, in turns within one process.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from random import Random

from benchmarks.turns import in_turns
from policies.engine import decide
from policies.facts import Consent, Facts, Send, Token
from policies.local_time import offset_at
from policies.policy import Policy, load_policy, parse_policy
from policies.quick import decide_plain

_NOW = 1_795_262_400  # 2026-11-21 12:00 UTC
_GUARD = 2
_PEOPLE = 6_000
_ROUNDS = 9
_DAY = 86_400
_TIMEOUT = 12 * 3600
_TEXT = '[policy]\nname = "{name}"\nextends = "default"\n{more}'
_COUNTRIES = {
    "America/New_York": "US", "America/Toronto": "CA", "Europe/Berlin": "DE", "Asia/Tokyo": "JP", "Asia/Kolkata": "IN",
    "America/Sao_Paulo": "BR", "Europe/London": "GB", "Asia/Singapore": "SG",
}  # fmt: skip
_PAID_NOT_IN = {"DE", "GB", "JP", "KR", "AU"}


def _someone(random: Random, zones: Sequence[str]) -> Facts:
    return Facts(
        timezones=(random.choice(zones),),
        last_inbound=_NOW - random.randrange(30 * 3600),
        topic=random.choice((None, None, "news")),
        sends=tuple(
            Send(at=_NOW - random.randrange(8 * _DAY), category="promotional", ground="standard_window")
            for _ in range(random.randrange(4))
        ),
    )


def _with_tokens(random: Random, zones: Sequence[str]) -> Facts:
    facts = _someone(random, zones)
    facts.tokens = tuple(
        Token(
            kind=random.choice(("marketing", "marketing", "recurring", "one_time")),
            topic=random.choice((None, None, "news")),
            expires_at=None if random.random() < 0.5 else _NOW + random.randrange(-_DAY, 200 * _DAY),
            last_used_at=None if random.random() < 0.5 else _NOW - random.randrange(9 * _DAY),
        )
        for _ in range(random.choice((1, 1, 2)))
    )
    return facts


def _with_consents(random: Random, zones: Sequence[str]) -> Facts:  # noqa: ARG001 - those with a law of their own
    facts = _someone(random, tuple(_COUNTRIES))
    facts.country = _COUNTRIES[facts.timezones[0]]
    facts.consents = tuple(
        Consent(
            kind=random.choice(("express", "express", "implied")),
            topic=random.choice((None, None, None, "news")),
            granted_at=_NOW - random.randrange(900 * _DAY),
        )
        for _ in range(random.choice((0, 1, 1, 1, 2)))
    )
    return facts


def _barred(random: Random, zones: Sequence[str]) -> Facts:
    facts = _someone(random, zones)
    bar = random.choice(("opted_out", "opted_out", "blocked", "unreachable", "opted_out_topics", "other topics"))
    if bar in ("opted_out_topics", "other topics"):
        facts.topic, facts.opted_out_topics = "news", ("news",) if bar == "opted_out_topics" else ("sport",)
    else:
        setattr(facts, bar, True)
    return facts


def _handed_over(random: Random, zones: Sequence[str]) -> Facts:
    facts = _someone(random, zones)
    facts.handover, facts.handover_at = True, _NOW - random.randrange(24 * 3600)
    return facts


#: Kind of people: how they are made, and what the policy adds to the default one.
_KINDS: dict[str, tuple[Callable[[Random, Sequence[str]], Facts], str]] = {
    "tokens": (_with_tokens, ""),
    "consents": (_with_consents, '[consent]\nrequire = "packs"\n'),
    "barred": (_barred, ""),
    "handed_over": (_handed_over, '[handover]\ntimeout = "12h"\n'),
}


def _floor(offsets: dict[str, int], packs: bool) -> Callable[[Facts], str]:
    """The same facts, spelt out: no next instant, no blame, no explanation, no jurisdiction's own terms."""
    window = _DAY - 300

    def verdict(facts: Facts) -> str:
        if facts.opted_out or facts.blocked or facts.unreachable:
            return "deny"
        topic = facts.topic
        if facts.opted_out_topics and topic in facts.opted_out_topics:
            return "deny"
        if facts.last_inbound is None or facts.last_inbound + window <= _NOW:
            for token in facts.tokens:
                if token.topic is not None and token.topic != topic:
                    continue
                if token.expires_at is not None and token.expires_at <= _NOW:
                    continue
                used = token.last_used_at
                if token.kind == "marketing":
                    if facts.country not in _PAID_NOT_IN and (used is None or used + _DAY <= _NOW):
                        break
                elif token.kind == "one_time":
                    if used is None:
                        break
                elif facts.country in _PAID_NOT_IN and (used is None or used + 2 * _DAY <= _NOW):
                    break
            else:
                return "deny"
        if packs:
            for consent in facts.consents:
                if consent.topic is not None and consent.topic != topic:
                    continue
                if consent.kind == "express" or consent.granted_at + 730 * _DAY > _NOW:
                    break
            else:
                return "deny"
        if facts.handover and (facts.handover_at is None or facts.handover_at + _TIMEOUT > _NOW):
            return "defer"
        day = week = 0
        for send in facts.sends:
            if send.at + _DAY > _NOW:
                day += 1
            if send.at + 7 * _DAY > _NOW:
                week += 1
        if day >= 1 or week >= 3:
            return "defer"
        local = (_NOW + offsets[facts.timezones[0]]) % _DAY
        return "send" if 8 * 3600 <= local < 21 * 3600 else "defer"

    return verdict


def measure_production(zones: Sequence[str]) -> dict[str, float]:
    """For each kind: the median of the ratios to its ``if`` chain, and the share that took the general path."""
    offsets = {zone: offset_at(zone, _NOW) for zone in (*zones, *_COUNTRIES)}
    found: dict[str, float] = {}
    for kind, (made, more) in _KINDS.items():
        random = Random(3)
        policy = parse_policy(_TEXT.format(name=kind, more=more), where=kind) if more else load_policy("default")
        people = [made(random, zones) for _ in range(_PEOPLE)]
        floor, engine = _floor(offsets, packs=policy.consent == "packs"), _engine(policy)
        general = sum(1 for facts in people if decide_plain(policy, facts, _NOW, _GUARD) is None)
        turns = in_turns(_ROUNDS, (people, floor), (people, engine))
        found[f"{kind}_us"] = statistics.median(turn[1] for turn in turns)
        found[f"{kind}_times_floor"] = statistics.median(turn[1] / turn[0] for turn in turns)
        found[f"{kind}_on_the_general_path"] = general / _PEOPLE
    return found


def _engine(policy: Policy) -> Callable[[Facts], object]:
    return lambda facts: decide(policy, facts, _NOW, min_remaining=_GUARD)
